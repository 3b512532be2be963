-- 119 calls: the rows of a call's units as one incident, each row in the newest version known at as_of;
-- withdrawn ones left out. Grain: incident_id.
--
-- Times are the first unit's; a call is closed when its last unit is back. Advice, hang-ups and repeats need no unit, by
-- their class (안내, 기타) or by how they ended before a unit was sent (상담, 중복신고, 무응답, …): they count as calls answered
-- and never as demand for units. The service of advice is advice, that of the others is null.
-- A call of a service that was cancelled before a unit was sent keeps its service and has no first_dispatched_at. The
-- service of another class is that of the first unit of a known kind.
with calls as (
    select
        source_id,
        -- A sensitive matter in one row is one of the whole call.
        if(bool_or(source_category = '자해'), '자해', first(source_category order by known_at desc, unit_id)) as source_category,
        first(unit_service order by dispatched_at nulls last, unit_id)
            filter (where unit_service is not null) as unit_service,
        bool_and(needs_no_unit) as needs_no_unit,
        bool_and(is_advice) as is_advice,
        min(reported_at) as reported_at,
        min(dispatched_at) as first_dispatched_at,
        min(arrived_at) as first_arrived_at,
        if(count(dispatched_at) = count(available_at), max(available_at), null) as closed_at,
        min({'lon': lon, 'lat': lat}) filter (where lon is not null and lat is not null) as place,
        min(named_area_id) as named_area_id,
        max(known_at) as known_at
    from staging.fire_119_rows
    where is_newest and not is_withdrawn
    group by source_id
)
select
    'fire_119:' || source_id as incident_id,
    'fire' as agency,
    'fire_119' as feed,
    source_id,
    fire_service(source_category, unit_service, first_dispatched_at is not null, is_advice, needs_no_unit) as service,
    source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    reported_at,
    first_dispatched_at,
    first_arrived_at,
    closed_at,
    place.lon as lon,
    place.lat as lat,
    if(place is null, 'none', 'exact') as location_quality,
    if(place is null, 'unknown', 'scene') as location_source,
    named_area_id,
    false as is_discovered,
    known_at
from calls
