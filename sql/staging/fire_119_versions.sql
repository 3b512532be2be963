-- What was known of the 119 calls whose versions differ, at each of their instants up to as_of. Grain: incident_id, known_at.
--
-- A call has one row per unit, each with versions of its own. Its state at an instant is made, as in fire_119, from the
-- newest version of each of its rows; it is withdrawn when all its rows are. Class, whether it needs a unit, time, place
-- and withdrawal are compared, and rows of further units that come more than an hour after the first row.
with
compared as (
    select
        source_id,
        hash(
            source_category, is_advice, needs_no_unit and dispatched_at is null, reported_at, lon, lat, named_area_id, is_withdrawn
        ) as content,
        min(known_at) as first_known_at
    from staging.fire_119_rows
    group by source_id, unit_id, content
),
differing as (
    select source_id
    from compared
    group by source_id
    having min(content) <> max(content) or max(first_known_at) > min(first_known_at) + interval 1 hour
),
versions as (
    select fire_119_rows.* from staging.fire_119_rows semi join differing using (source_id)
),
instants as (
    select distinct source_id, known_at as instant from versions
),
newest as (
    select instants.instant, versions.*
    from instants
    join versions on versions.source_id = instants.source_id and versions.known_at <= instants.instant
    qualify row_number() over (
        partition by versions.source_id, instant, unit_id order by versions.known_at desc, _row_hash desc
    ) = 1
),
-- A call that is withdrawn is what it was.
counted as (
    select * from newest qualify not is_withdrawn or bool_and(is_withdrawn) over (partition by source_id, instant)
),
states as (
    select
        source_id,
        instant,
        -- A sensitive matter in one row is one of the whole call.
        if(bool_or(source_category = '자해'), '자해', first(source_category order by known_at desc, unit_id)) as source_category,
        first(unit_service order by dispatched_at nulls last, unit_id)
            filter (where unit_service is not null) as unit_service,
        bool_and(needs_no_unit) as needs_no_unit,
        bool_and(is_advice) as is_advice,
        count(dispatched_at) > 0 as is_sent,
        min(reported_at) as reported_at,
        min({'lon': lon, 'lat': lat}) filter (where lon is not null and lat is not null) as place,
        min(named_area_id) as named_area_id,
        count(*) filter (where unit_id <> '') as units,
        bool_and(is_withdrawn) as is_withdrawn
    from counted
    group by source_id, instant
)
select
    'fire_119:' || source_id as incident_id,
    'fire' as agency,
    'fire_119' as feed,
    fire_service(source_category, unit_service, is_sent, is_advice, needs_no_unit) as service,
    source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    reported_at,
    place.lon as lon,
    place.lat as lat,
    if(place is null, 'none', 'exact') as location_quality,
    if(place is null, 'unknown', 'scene') as location_source,
    named_area_id,
    null::boolean as is_discovered,
    units,
    is_withdrawn,
    instant as known_at
from states
