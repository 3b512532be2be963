-- Calls and dispatches by area (district, province, the region as a whole), service and hour, zeros present, for the
-- whole hours in which all feeds of the service are complete.
-- What lies after is unknown and has no row; a service with a feed that was never fetched has none at all.
-- Listed calls are those whose records the agency may read: counted apart, because what is left after subtracting
-- records from all calls would be the sensitive matters. Grain: area_id, service, hour_start_at.
with bounds as (
    select date_trunc('hour', getvariable('as_of')::timestamptz) - to_days(getvariable('history_days')::integer) as from_at
),
services as (
    select
        demand_services.demand_service as service,
        date_trunc('hour', min(coalesce(feed_status.complete_through_at, 'epoch'::timestamptz))) as until_at,
        -- Without a table of units, units sent are unknown and not none.
        bool_or(demand_services.service in (select service from core.dispatches)) as has_units
    from reference.demand_services
    join reference.feed_services on feed_services.service = demand_services.service
    join marts.feed_status on feed_status.feed = feed_services.feed
    group by demand_services.demand_service
),
sent as (
    select incident_id, count(*) as dispatches from core.dispatches group by incident_id
),
calls as (
    select
        incidents.admin_area_id as area_id,
        demand_services.demand_service as service,
        incidents.is_listed,
        coalesce(incidents.reported_at, incidents.occurred_at) as called_at,
        coalesce(sent.dispatches, 0) as dispatches
    from core.incidents
    join reference.demand_services
        on demand_services.service = incidents.service
        and incidents.priority is not distinct from coalesce(demand_services.priority, incidents.priority)
    left join sent on sent.incident_id = incidents.incident_id
),
counted as (
    select
        calls.area_id,
        calls.service,
        date_trunc('hour', calls.called_at) as hour_start_at,
        count(*) as calls,
        sum(calls.dispatches) as dispatches,
        count(*) filter (calls.is_listed) as listed_calls,
        coalesce(sum(calls.dispatches) filter (calls.is_listed), 0) as listed_dispatches
    from calls
    join services on services.service = calls.service
    cross join bounds
    where calls.called_at >= bounds.from_at and calls.called_at < services.until_at
    group by all
),
admin as (
    select area_id, level, parent_area_id from reference.areas where tree = 'admin'
),
-- The region is all that the profile covers: its one province, or the nation. Calls without a place count there too.
region as (
    select
        if(
            count(*) filter (level = 'province') = 1,
            max(area_id) filter (level = 'province'),
            max(area_id) filter (level = 'nation')
        ) as area_id
    from admin
),
-- A call counts in the area that it names or lies in, and, where there are several provinces, in its province.
counting as (
    select area_id, area_id as in_area_id from admin where level in ('district', 'province')
    union all
    select area_id, parent_area_id as in_area_id from admin where level = 'district'
),
summed as (
    select
        counting.in_area_id as area_id, service, hour_start_at,
        sum(calls) as calls, sum(dispatches) as dispatches,
        sum(listed_calls) as listed_calls, sum(listed_dispatches) as listed_dispatches
    from counted
    join counting on counting.area_id = counted.area_id
    where counting.in_area_id not in (select area_id from region)
    group by all
    union all
    select
        region.area_id, service, hour_start_at, sum(calls), sum(dispatches), sum(listed_calls), sum(listed_dispatches)
    from counted
    cross join region
    group by all
),
hours as (
    select service, has_units, unnest(generate_series(from_at, until_at - interval 1 hour, interval 1 hour)) as hour_start_at
    from services
    cross join bounds
),
panel as (
    select areas.area_id, hours.service, hours.has_units, hours.hour_start_at
    from (
        select area_id from admin where level in ('province', 'district')
        union
        select area_id from region
    ) areas
    cross join hours
)
select
    panel.area_id,
    panel.service,
    panel.hour_start_at,
    timezone(getvariable('time_zone'), panel.hour_start_at)::date as local_date,
    hour(timezone(getvariable('time_zone'), panel.hour_start_at))::integer as local_hour,
    coalesce(summed.calls, 0)::bigint as calls,
    if(panel.has_units, coalesce(summed.dispatches, 0), null)::bigint as dispatches,
    coalesce(summed.listed_calls, 0)::bigint as listed_calls,
    if(panel.has_units, coalesce(summed.listed_dispatches, 0), null)::bigint as listed_dispatches
from panel
left join summed
    on summed.area_id = panel.area_id
    and summed.service = panel.service
    and summed.hour_start_at = panel.hour_start_at
