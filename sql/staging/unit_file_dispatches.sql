-- Units sent, from Busan's files of units, current snapshot. Grain: incident_id, unit_id.
--
-- Order and departure have one instant, which counts as the order. A unit is named by its post alone: rows of one post
-- that left, arrived and came back together are one unit (an ambulance with several patients, or written twice), others of
-- that post are 
with
sent as (
    select
        source_id, unit, unit_type, station, dispatched_at, arrived_at, available_at,
        min(patient_contact_at) as patient_contact_at,
        max(left_scene_at) as left_scene_at
    from staging."unit_file_cleaned"
    where is_current
    group by source_id, unit, unit_type, station, dispatched_at, arrived_at, available_at
),
numbered as (
    select
        *,
        row_number() over (
            partition by source_id, unit order by dispatched_at, arrived_at, available_at, station
        ) as number
    from sent
)
select
    'unit_file:' || source_id as incident_id,
    unit || if(number = 1, '', ' ' || number) as unit_id,
    unit_type,
    coalesce(fire_station(station), station) as home_station_id,
    dispatched_at,
    null::timestamptz as en_route_at,
    arrived_at,
    patient_contact_at,
    left_scene_at,
    null::timestamptz as hospital_at,
    available_at
from numbered
