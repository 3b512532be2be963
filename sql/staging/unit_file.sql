-- 119 calls of Busan's files of units sent; rows of one report instant and district are one. Grain: incident_id.
--
-- The name in quotes is that of the feed, whose rows are in <feed>_cleaned. The numbers are those of units' own reports,
-- so they cannot distinguish calls; the file has no calls without a unit.
with
-- An unmapped type in one row of any snapshot is that of the whole call.
types as (
    select
        source_id,
        min(sensitive_category) as sensitive_category,
        coalesce(
            min(type) filter (type not in (select source_category from reference.category_map where feed = 'unit_file')),
            min(type) filter (is_current)
        ) as type
    from staging."unit_file_cleaned"
    group by source_id
),
calls as (
    select
        source_id,
        min(reported_at) as reported_at,
        min(reported_at) + declared_delay('unit_file') as known_at,
        min(service) as service,
        min(place) as place,
        min(district_name) as district_name,
        min(province_name) as province_name
    from staging."unit_file_cleaned"
    where is_current
    group by source_id
),
units as (
    select
        incident_id,
        min(dispatched_at) as first_dispatched_at,
        min(arrived_at) as first_arrived_at,
        if(count(available_at) = count(*), max(available_at), null) as closed_at
    from staging."unit_file_dispatches"
    group by incident_id
)
select
    'unit_file:' || calls.source_id as incident_id,
    'fire' as agency,
    'unit_file' as feed,
    calls.source_id,
    calls.service,
    coalesce(types.sensitive_category, types.type) as source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    calls.reported_at,
    units.first_dispatched_at,
    units.first_arrived_at,
    units.closed_at,
    calls.place.lon as lon,
    calls.place.lat as lat,
    if(calls.place is null, 'none', 'exact') as location_quality,
    if(calls.place is null, 'unknown', 'scene') as location_source,
    named_district(calls.district_name, calls.province_name) as named_area_id,
    false as is_discovered,
    calls.known_at
from calls
join types on types.source_id = calls.source_id
left join units on units.incident_id = 'unit_file:' || calls.source_id
where calls.known_at <= getvariable('as_of')
