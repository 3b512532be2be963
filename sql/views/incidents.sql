-- Incidents that an agency may read of its own: no sensitive matter, no unknown category. Grain: record_id.
select
    record_id, agency, feed, service, category, source_category, priority, occurred_at, occurred_until, reported_at,
    first_dispatched_at, first_arrived_at, closed_at, lon, lat, location_quality, location_source, admin_area_id,
    police_area_id, fire_area_id, cell_id, is_discovered, known_at, report_date, report_hour
from views.releasable_incidents
