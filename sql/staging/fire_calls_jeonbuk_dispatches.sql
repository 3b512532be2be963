-- Units sent to Jeonbuk's 119 calls, current snapshot: rows that were ordered out. Grain: incident_id, unit_id.
--
-- Units have no name in the file and are numbered within their call, in order of their times. The station is the one
-- responsible for the place. Departure and contact with a patient are not in the file.
with
numbered as (
    select
        *,
        row_number() over (
            partition by source_id order by dispatched_at, arrived_at, available_at, row_id
        ) as number
    from staging.fire_calls_jeonbuk_cleaned
    where is_current and dispatched_at is not null
)
select
    'fire_calls_jeonbuk:' || source_id as incident_id,
    'unit ' || number as unit_id,
    null::varchar as unit_type,
    coalesce(fire_station(station), station) as home_station_id,
    dispatched_at,
    null::timestamptz as en_route_at,
    arrived_at,
    null::timestamptz as patient_contact_at,
    null::timestamptz as left_scene_at,
    hospital_at,
    available_at
from numbered
