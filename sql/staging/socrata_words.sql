-- Source categories of the records whose rows or versions name several; also those of rows that a table which is read whole no
-- longer has: a report that was sensitive yesterday stays so when its row is changed or removed.
-- Grain: incident_id, source_category.
with
"table" as (
    -- A keyed feed's table knows no snapshots: taken by name, that column is null there.
    select * from raw."socrata"
    union all by name
    select null::varchar as _last_snapshot where false
),
stated as (
    select source_id, source_category, is_excluded from staging."socrata_rows"
    union
    select
        "table".source_id,
        trim("table".category) as source_category,
        excluded_categories.source_category is not null as is_excluded
    from "table"
    semi join staging."socrata_rows" as current_rows using (source_id)
    left join reference.excluded_categories
        on excluded_categories.feed = 'socrata' and excluded_categories.source_category = trim("table".category)
    where "table"._last_snapshot < (select max(_last_snapshot) from "table")
),
differing as (
    select source_id
    from stated
    where not is_excluded
    group by source_id
    having count(distinct coalesce(source_category, '')) > 1
)
select distinct 'socrata:' || source_id as incident_id, 'socrata' as feed, source_category
from stated
semi join differing using (source_id)
where not is_excluded
