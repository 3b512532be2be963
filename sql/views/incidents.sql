-- Incidents that an agency may read of its own: no sensitive matter, no unknown category. Grain: incident_id.
with known as (
    -- A word that nobody has mapped could be a sensitive matter, so its records stay inside.
    select incidents.*
    from core.incidents as incidents
    semi join reference.category_map as mapped
        on mapped.feed = incidents.feed and mapped.source_category = incidents.source_category
    where not incidents.is_sensitive
),
placed as (
    -- The position of a caller's telephone is nobody's business below the district. Station areas go too:
    -- they cross district lines, so both together would say more than the district.
    select *, location_source is distinct from 'caller_lookup' as may_be_placed
    from known
)
select
    incident_id, agency, feed, source_id, service, category, source_category, priority, occurred_at, occurred_until,
    reported_at, first_dispatched_at, first_arrived_at, closed_at,
    case when may_be_placed then lon end as lon,
    case when may_be_placed then lat end as lat,
    location_quality, location_source, admin_area_id,
    case when may_be_placed then police_area_id end as police_area_id,
    case when may_be_placed then fire_area_id end as fire_area_id,
    case when may_be_placed then cell_id end as cell_id,
    is_discovered, known_at, local_date, local_hour
from placed
