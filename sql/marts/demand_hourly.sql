-- Calls and dispatches by area of every hierarchy, service and hour, zeros present, for the whole hours in which all feeds of
-- the service are complete: all levels below the nation of the administrative hierarchy and of the service's own agency's
-- hierarchy, and the region as a whole, once.
-- What is before, after or in an outage is unknown and has no row, of all areas or of those in and above the one that stopped
-- (area_gaps); a service with a feed that was never fetched has none at all.
-- Listed calls are those whose records the agency may read: counted apart, because what is left after subtracting
-- records from all calls would be the sensitive matters. Where only the caller's telephone places a call, it counts by its
-- district, as one without a place: station areas cross districts, so both would tell where the telephone stood.
-- A call of which only the day is known is in no hour (demand_untimed).
-- Hierarchies overlap: add up areas of one hierarchy and level only. Grain: area_id, service, hour_start_at.
with services as (
    select
        *,
        -- Without a table of units, units sent are unknown and not none.
        service in (select service from core.dispatches) as has_units
    from marts.demand_windows
),
gaps as (
    select distinct demand_services.demand_service as service, area_gaps.area_id, area_gaps.from_at, area_gaps.until_at
    from marts.area_gaps
    join reference.demand_services on demand_services.service = area_gaps.service
),
sent as (
    select incident_id, count(*) as dispatches from core.dispatches group by incident_id
),
calls as (
    select
        incidents.admin_area_id,
        if(incidents.location_source is distinct from 'caller_lookup', incidents.police_area_id, null) as police_area_id,
        if(incidents.location_source is distinct from 'caller_lookup', incidents.fire_area_id, null) as fire_area_id,
        demand_services.demand_service as service,
        incidents.is_releasable,
        coalesce(incidents.reported_at, incidents.occurred_at) as called_at,
        coalesce(sent.dispatches, 0) as dispatches
    from core.incidents
    join reference.demand_services
        on demand_services.service = incidents.service
        and incidents.priority is not distinct from coalesce(demand_services.priority, incidents.priority)
    left join sent on sent.incident_id = incidents.incident_id
    where not is_untimed(incidents.reported_at, incidents.occurred_at, incidents.occurred_until)
),
counted as (
    select
        calls.admin_area_id,
        calls.police_area_id,
        calls.fire_area_id,
        calls.service,
        date_trunc('hour', calls.called_at) as hour_start_at,
        count(*) as calls,
        sum(calls.dispatches) as dispatches,
        count(*) filter (calls.is_releasable) as releasable_calls,
        coalesce(sum(calls.dispatches) filter (calls.is_releasable), 0) as releasable_dispatches
    from calls
    join services on services.service = calls.service
    where calls.called_at >= services.known_from_at and calls.called_at < services.known_until_at
    group by all
),
-- A call without a place in a hierarchy counts there by its district.
lying as (
    select counted.*, admin_area_id as area_id, 'admin' as hierarchy from counted
    union all
    select counted.*, coalesce(police_area_id, admin_area_id), 'police' from counted
    union all
    select counted.*, coalesce(fire_area_id, admin_area_id), 'fire' from counted
),
placed as (
    select lying.*, demand_areas.in_area_id
    from lying
    join marts.demand_areas on demand_areas.hierarchy = lying.hierarchy and demand_areas.area_id = lying.area_id
),
summed as (
    select
        in_area_id as area_id,
        service,
        hour_start_at,
        sum(calls)::bigint as calls,
        sum(dispatches)::bigint as dispatches,
        sum(releasable_calls)::bigint as releasable_calls,
        sum(releasable_dispatches)::bigint as releasable_dispatches
    from placed
    semi join marts.demand_hierarchies as hierarchies on hierarchies.service = placed.service and hierarchies.hierarchy = placed.hierarchy
    where in_area_id not in (select area_id from marts.region)
    group by all
    union all
    select
        region.area_id,
        service,
        hour_start_at,
        sum(calls)::bigint,
        sum(dispatches)::bigint,
        sum(releasable_calls)::bigint,
        sum(releasable_dispatches)::bigint
    from counted
    cross join marts.region
    group by all
),
known as (
    select service, has_units, unnest(generate_series(known_from_at, known_until_at - interval 1 hour, interval 1 hour)) as hour_start_at
    from services
),
hours as (
    select *, timezone(getvariable('time_zone'), hour_start_at) as local_at from known
),
panel as (
    select
        areas.hierarchy,
        areas.area_level,
        areas.area_id,
        hours.service,
        hours.has_units,
        hours.hour_start_at,
        hours.local_at::date as local_date,
        hour(hours.local_at)::integer as local_hour
    from reference.areas as areas
    join marts.demand_hierarchies as hierarchies on hierarchies.hierarchy = areas.hierarchy
    join hours on hours.service = hierarchies.service
    where areas.area_level <> 'nation' or areas.area_id in (select area_id from marts.region)
)
select
    panel.hierarchy,
    panel.area_level,
    panel.area_id,
    panel.service,
    panel.hour_start_at,
    panel.local_date,
    panel.local_hour,
    coalesce(summed.calls, 0) as calls,
    if(panel.has_units, coalesce(summed.dispatches, 0), null) as dispatches,
    coalesce(summed.releasable_calls, 0) as releasable_calls,
    if(panel.has_units, coalesce(summed.releasable_dispatches, 0), null) as releasable_dispatches
from panel
left join summed
    on summed.area_id = panel.area_id
    and summed.service = panel.service
    and summed.hour_start_at = panel.hour_start_at
anti join gaps
    on gaps.area_id = panel.area_id
    and gaps.service = panel.service
    and panel.hour_start_at >= date_trunc('hour', gaps.from_at)
    and panel.hour_start_at < gaps.until_at
