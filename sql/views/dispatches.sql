-- Responding units of the incidents that an agency may read. Grain: record_id, unit_id.
select
    shown.record_id, sent.unit_id, sent.unit_type, sent.home_station_id, sent.dispatched_at, sent.en_route_at,
    sent.arrived_at, sent.patient_contact_at, sent.left_scene_at, sent.hospital_at, sent.available_at, sent.agency,
    sent.service, shown.admin_area_id, shown.fire_area_id
from core.dispatches as sent
join views.releasable_incidents as shown on shown.incident_id = sent.incident_id
