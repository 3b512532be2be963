-- Units sent to 119 calls, each in the newest version known at as_of; withdrawn ones left out. Grain: incident_id, unit_id.
--
-- The source names a unit's station; home_station_id is that station's area where the fire hierarchy has one of that name
-- in the call's province.
with stations as (
    select name, substr(area_id, 3, 2) as province_id, min(area_id) as area_id
    from reference.areas
    where hierarchy = 'fire' and area_level = 'station'
    group by name, province_id
)
select
    'fire_119:' || units.source_id as incident_id,
    units.unit_id,
    units.unit_type,
    coalesce(stations.area_id, units.station) as home_station_id,
    units.dispatched_at,
    units.en_route_at,
    units.arrived_at,
    units.patient_contact_at,
    units.left_scene_at,
    units.hospital_at,
    units.available_at
from staging.fire_119_rows as units
left join stations on stations.name = units.station and stations.province_id = left(units.named_area_id, 2)
where units.is_newest and not units.is_withdrawn and units.unit_id <> ''
