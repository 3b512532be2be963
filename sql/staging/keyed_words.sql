-- Source categories of the records whose rows or versions name several. Grain: incident_id, source_category.
with differing as (
    select source_id
    from staging."keyed_rows"
    where not is_excluded
    group by source_id
    having count(distinct coalesce(source_category, '')) > 1
)
select distinct 'keyed:' || source_id as incident_id, 'keyed' as feed, source_category
from staging."keyed_rows"
semi join differing using (source_id)
where not is_excluded
