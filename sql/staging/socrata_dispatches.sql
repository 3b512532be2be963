-- Units sent to the records of a Socrata table that has one row per unit. Grain: incident_id, unit_id.
--
-- A unit that was sent twice to one record counts once, from its first dispatch to its last return.
select
    'socrata:' || source_id as incident_id,
    unit_id,
    first(unit_type order by known_at desc, row_id) as unit_type,
    null::varchar as home_station_id,
    min(dispatched_at) as dispatched_at,
    min(en_route_at) as en_route_at,
    min(arrived_at) as arrived_at,
    null::timestamptz as patient_contact_at,
    min(left_scene_at) as left_scene_at,
    min(hospital_at) as hospital_at,
    if(count(available_at) = count(*), max(available_at), null) as available_at
from staging."socrata_rows"
where is_newest and not is_excluded and unit_id is not null
group by source_id, unit_id
