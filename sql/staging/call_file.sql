-- 119 calls of a province's call-reception file; rows of one number and day are one. Grain: incident_id.
--
-- The name in quotes is that of the feed, whose rows are in <feed>_cleaned. Times are the first unit's; a call is closed
-- when its last unit is back. Advice, hang-ups and repeats need no unit (fire_service): they count as calls answered and not
-- as demand for units. The service of another class is null.
with
services as (
    select * from (
        values ('화재', 'fire'), ('구조', 'rescue'), ('구급', 'ems'), ('자해', 'ems'), ('생활안전', 'life_safety'), ('안내', null)
    ) as service(class, service)
),
classed as (
    -- Either of two columns holds the class: headquarters differ.
    select
        cleaned.*,
        services.class,
        services.service,
        if(
            is_self_harm(concat_ws(' ', first_class, second_class)), '자해', coalesce(services.class, second_class)
        ) as source_category,
        source_category is null or source_category not in (
            select source_category from reference.category_map where feed = 'call_file'
        ) as is_unmapped
    from staging."call_file_cleaned" as cleaned
    left join services
        on services.class = if(first_class in (select class from services), first_class, second_class)
),
-- A sensitive matter or an unmapped source category in one row of any snapshot is one of the whole call.
categories as (
    select
        source_id,
        case
            when bool_or(source_category = '자해') then '자해'
            when bool_or(is_unmapped) then min(source_category) filter (is_unmapped)
            else min(source_category) filter (is_current)
        end as source_category
    from classed
    group by source_id
),
calls as (
    select
        source_id,
        min(reported_at) as reported_at,
        min(reported_at) + declared_delay('call_file') as known_at,
        -- A unit's class comes before advice.
        coalesce(arg_min(class, service), min(class)) as class,
        bool_and(needs_no_unit) as needs_no_unit,
        bool_and(is_advice) as is_advice,
        min(dispatched_at) as first_dispatched_at,
        min(arrived_at) as first_arrived_at,
        if(count(dispatched_at) = count(available_at), max(available_at), null) as closed_at,
        min(place) as place,
        min(district_name) as district_name,
        min(province_name) as province_name
    from classed
    where is_current
    group by source_id
)
select
    'call_file:' || calls.source_id as incident_id,
    'fire' as agency,
    'call_file' as feed,
    calls.source_id,
    fire_service(
        calls.class, null, calls.first_dispatched_at is not null, calls.is_advice, calls.needs_no_unit
    ) as service,
    categories.source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    calls.reported_at,
    calls.first_dispatched_at,
    calls.first_arrived_at,
    calls.closed_at,
    calls.place.lon as lon,
    calls.place.lat as lat,
    if(calls.place is null, 'none', 'exact') as location_quality,
    if(calls.place.choice = 1, 'scene', 'unknown') as location_source,
    named_district(calls.district_name, calls.province_name) as named_area_id,
    false as is_discovered,
    calls.known_at
from calls
join categories on categories.source_id = calls.source_id
where calls.known_at <= getvariable('as_of')
