-- Street-level crimes of data.police.uk, each month from the newest delivery that holds it. Grain: incident_id.
--
-- The month is all that is known of the time: a crime is between occurred_at and occurred_until, and was known after it.
-- Points are moved to a street point. What is published was recorded by a force, whoever reported it: is_discovered is null
-- unless the profile states it.
with
monthly as (
    select
        *,
        _row_hash || '-' || _copy as source_id,
        timezone(getvariable('time_zone'), strptime(month, '%Y-%m')) as occurred_at,
        timezone(getvariable('time_zone'), strptime(month, '%Y-%m') + interval 1 month) as occurred_until,
        nullif(try_cast(longitude as double), 0) as lon,
        nullif(try_cast(latitude as double), 0) as lat
    from raw."data_police_uk"
    qualify _last_snapshot = max(_last_snapshot) over (partition by month)
),
known as (
    select monthly.*, occurred_until + to_seconds(feeds.delay_seconds) as known_at, feeds.is_discovered
    from monthly
    join reference.feeds on feeds.feed = 'data_police_uk'
)
select
    'data_police_uk:' || source_id as incident_id,
    'police' as agency,
    'data_police_uk' as feed,
    source_id,
    'police' as service,
    category as source_category,
    null::integer as priority,
    occurred_at,
    occurred_until,
    null::timestamptz as reported_at,
    null::timestamptz as first_dispatched_at,
    null::timestamptz as first_arrived_at,
    null::timestamptz as closed_at,
    if(lat is null, null, lon) as lon,
    if(lon is null, null, lat) as lat,
    if(lon is null or lat is null, 'none', 'snapped') as location_quality,
    'unknown' as location_source,
    null::varchar as named_area_id,
    is_discovered,
    known_at
from known
where known_at <= getvariable('as_of')
