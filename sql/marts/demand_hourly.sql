-- Calls and dispatches by area, service and hour, zeros present, up to the last whole hour before as_of. Grain: area_id, service, hour_start_at.
with bounds as (
    select
        date_trunc('hour', getvariable('as_of')::timestamptz) as until_at,
        date_trunc('hour', getvariable('as_of')::timestamptz) - to_days(getvariable('history_days')::integer) as from_at
),
calls as (
    select
        incident_id,
        admin_area_id,
        demand_services.demand_service as service,
        coalesce(reported_at, occurred_at) as called_at
    from core.incidents
    join reference.demand_services
        on demand_services.service = incidents.service
        and incidents.priority is not distinct from coalesce(demand_services.priority, incidents.priority)
),
sent as (
    select incident_id, count(*) as dispatches from core.dispatches group by incident_id
),
counted as (
    select
        calls.admin_area_id as area_id,
        calls.service,
        date_trunc('hour', calls.called_at) as hour_start_at,
        count(*) as calls,
        coalesce(sum(sent.dispatches), 0) as dispatches
    from calls
    left join sent on sent.incident_id = calls.incident_id
    cross join bounds
    where calls.called_at >= bounds.from_at and calls.called_at < bounds.until_at
    group by all
),
region as (
    select area_id from reference.areas where tree = 'admin' and level = 'province'
),
summed as (
    select area_id, service, hour_start_at, calls, dispatches from counted where area_id not in (select area_id from region)
    union all
    select region.area_id, service, hour_start_at, sum(calls), sum(dispatches) from counted cross join region group by all
),
hours as (
    select unnest(generate_series(from_at, until_at - interval 1 hour, interval 1 hour)) as hour_start_at from bounds
),
panel as (
    select areas.area_id, services.service, hours.hour_start_at
    from (
        select area_id from reference.areas where tree = 'admin' and level in ('province', 'district')
    ) areas
    cross join (select distinct demand_service as service from reference.demand_services) services
    cross join hours
)
select
    panel.area_id,
    panel.service,
    panel.hour_start_at,
    timezone(getvariable('time_zone'), panel.hour_start_at)::date as local_date,
    hour(timezone(getvariable('time_zone'), panel.hour_start_at))::integer as local_hour,
    coalesce(summed.calls, 0)::bigint as calls,
    coalesce(summed.dispatches, 0)::bigint as dispatches
from panel
left join summed
    on summed.area_id = panel.area_id
    and summed.service = panel.service
    and summed.hour_start_at = panel.hour_start_at
