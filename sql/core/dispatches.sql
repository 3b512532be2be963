-- Every unit sent to an incident. Grain: incident_id, unit_id.
select
    dispatches.incident_id,
    dispatches.unit_id,
    dispatches.unit_type,
    dispatches.home_station_id,
    dispatches.dispatched_at,
    dispatches.en_route_at,
    dispatches.arrived_at,
    dispatches.patient_contact_at,
    dispatches.left_scene_at,
    dispatches.hospital_at,
    dispatches.available_at,
    incidents.agency,
    incidents.service,
    incidents.admin_area_id,
    incidents.fire_area_id
from staging.dispatches
join core.incidents on incidents.incident_id = dispatches.incident_id
