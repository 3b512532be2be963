-- Incidents that are not releasable as records: any row or version has a sensitive source category, or else an unmapped one,
-- which could be sensitive. source_category is the one that decides. Grain: incident_id.
with words as (
    select incident_id, feed, source_category from staging.incidents
    union
    select incident_id, feed, source_category from staging.versions
    union
    select incident_id, feed, source_category from staging.missing
    union
    select incident_id, feed, source_category from staging.words
),
judged as (
    select
        words.*,
        coalesce(categories.is_sensitive, false) as is_sensitive
    from words
    left join reference.category_map
        on category_map.feed = words.feed and category_map.source_category = words.source_category
    left join reference.categories on categories.category = category_map.category
    where category_map.category is null or categories.is_sensitive
)
select
    incident_id,
    first(source_category order by is_sensitive desc, source_category) as source_category,
    bool_or(is_sensitive) as is_sensitive
from judged
group by incident_id
