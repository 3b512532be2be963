-- Every incident of every agency as now known, with its place, category and joint incident.
-- A source category that is sensitive or unmapped in any row or version decides for the whole incident
-- (core.restricted_incidents). An incident is releasable when none is: then its own agency may read it as a record.
-- A snapped point may lie on the border of its district, so there the district that the source names comes first.
-- Grain: incident_id.
with staged as (
    select
        incidents.* replace (
            if(restricted.incident_id is null, incidents.source_category, restricted.source_category) as source_category
        ),
        restricted.incident_id is null as is_releasable
    from staging.incidents
    left join core.restricted_incidents as restricted on restricted.incident_id = incidents.incident_id
),
categorised as (
    select
        staged.*,
        coalesce(category_map.category, 'other') as category
    from staged
    left join reference.category_map
        on category_map.feed = staged.feed and category_map.source_category = staged.source_category
),
placed as (
    select
        categorised.*,
        places.police_area_id,
        places.fire_area_id,
        places.cell_id,
        case
            when categorised.location_quality = 'snapped'
                then coalesce(categorised.named_area_id, places.admin_area_id)
            else coalesce(places.admin_area_id, categorised.named_area_id)
        end as admin_area_id,
        timezone(getvariable('time_zone'), coalesce(reported_at, occurred_at)) as local_at
    from categorised
    left join reference.places on places.lon = categorised.lon and places.lat = categorised.lat
)
select
    placed.incident_id,
    placed.agency,
    placed.feed,
    placed.source_id,
    placed.service,
    placed.category,
    placed.source_category,
    placed.priority,
    placed.occurred_at,
    placed.occurred_until,
    placed.reported_at,
    placed.first_dispatched_at,
    placed.first_arrived_at,
    placed.closed_at,
    placed.lon,
    placed.lat,
    placed.location_quality,
    placed.location_source,
    placed.admin_area_id,
    placed.police_area_id,
    placed.fire_area_id,
    placed.cell_id,
    placed.is_discovered,
    joint_links.joint_incident_id,
    placed.known_at,
    coalesce(categories.is_sensitive, false) as is_sensitive,
    placed.is_releasable,
    coalesce(categories.is_crime, false) as is_crime,
    risk_exclusion(
        placed.agency, categories.is_sensitive, categories.is_risk_allowed, placed.is_discovered, placed.location_source,
        placed.location_quality, placed.cell_id, piles.feed is not null
    ) is null as is_risk_allowed,
    placed.local_at::date as report_date,
    if(
        is_untimed(placed.reported_at, placed.occurred_at, placed.occurred_until), null, hour(placed.local_at)
    )::integer as report_hour
from placed
left join reference.categories on categories.category = placed.category
left join core.place_piles as piles on piles.feed = placed.feed and piles.lon = placed.lon and piles.lat = placed.lat
left join reference.joint_links on joint_links.incident_id = placed.incident_id
