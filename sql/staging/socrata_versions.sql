-- What was known at as_of of the records of a Socrata table whose versions differ: every version of each.
-- Grain: incident_id, known_at.
--
-- Only category, priority, time, place, withholding and discovery are watched, in the record's first row: its units' rows, which share
-- them, come each at its own time and are not versions of it. Two versions of one instant count as one.
with
first_rows as (
    select *, coalesce(reported_at, occurred_at) as called_at
    from staging."socrata_rows"
    qualify row_id = min(row_id) over (partition by source_id)
),
differing as (
    select source_id
    from first_rows
    group by source_id
    having
        min(hash(source_category, priority, called_at, occurred_until, lon, lat, is_withheld, named_area_id, is_discovered))
        <> max(hash(source_category, priority, called_at, occurred_until, lon, lat, is_withheld, named_area_id, is_discovered))
        and not bool_or(is_newest and is_excluded)
),
versions as (
    select first_rows.*
    from first_rows
    semi join differing using (source_id)
    qualify row_number() over (partition by source_id, known_at order by _row_hash desc) = 1
),
services as (
    select category_map.source_category, categories.service
    from reference.category_map
    join reference.categories on categories.category = category_map.category
    join reference.feed_services
        on feed_services.feed = category_map.feed and feed_services.service = categories.service
    where category_map.feed = 'socrata'
)
select
    'socrata:' || versions.source_id as incident_id,
    feeds.agency,
    'socrata' as feed,
    coalesce(services.service, feeds.service) as service,
    versions.source_category,
    versions.priority,
    versions.occurred_at,
    versions.occurred_until,
    versions.reported_at,
    if(versions.is_withheld, null, versions.lon) as lon,
    if(versions.is_withheld, null, versions.lat) as lat,
    case
        when versions.is_withheld then 'withheld'
        when versions.lon is null or versions.lat is null then 'none'
        else feeds.location_quality
    end as location_quality,
    'unknown' as location_source,
    versions.named_area_id,
    versions.is_discovered,
    null::bigint as units,
    false as is_withdrawn,
    versions.known_at
from versions
join reference.feeds on feeds.feed = 'socrata'
left join services on services.source_category = versions.source_category
