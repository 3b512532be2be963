-- Calls answered, those of them that ask for a unit, and units sent, by agency, area (district, province, the region as a
-- whole) and hour, zeros present, for the hours in which the demand of all the agency's services is known.
-- What call-takers answer is more than demand: advice, hang-ups and repeats of one event count here and nowhere else.
-- What a patrol found is not a call; one of which only the day is known is in no hour. Listed ones are counted apart as in demand_hourly. Grain: agency, area_id, hour_start_at.
with served as (
    select distinct feeds.agency, demand_services.demand_service
    from reference.demand_services
    join reference.feed_services on feed_services.service = demand_services.service
    join reference.feeds on feeds.feed = feed_services.feed
),
panel as (
    select
        served.agency,
        demand.area_id,
        demand.hour_start_at,
        demand.local_date,
        demand.local_hour,
        bool_or(demand.dispatches is not null) as has_units,
        count(*) as services
    from marts.demand_hourly as demand
    join served on served.demand_service = demand.service
    where demand.hierarchy = 'admin'
    group by all
),
known as (
    select panel.*
    from panel
    join (select agency, count(*) as services from served group by agency) as whole
        on whole.agency = panel.agency and whole.services = panel.services
),
sent as (
    select incident_id, count(*) as dispatches from core.dispatches group by incident_id
),
calls as (
    select
        incidents.agency,
        incidents.admin_area_id,
        date_trunc('hour', coalesce(incidents.reported_at, incidents.occurred_at)) as hour_start_at,
        incidents.is_releasable,
        exists(
            select 1
            from reference.demand_services as requested
            where requested.needs_units
                and requested.service = incidents.service
                and incidents.priority is not distinct from coalesce(requested.priority, incidents.priority)
        ) as is_for_unit,
        coalesce(sent.dispatches, 0) as dispatches
    from core.incidents
    left join sent on sent.incident_id = incidents.incident_id
    where
        incidents.is_discovered is not true
        and incidents.agency in (select agency from served)
        and not is_untimed(incidents.reported_at, incidents.occurred_at, incidents.occurred_until)
),
counted as (
    select
        agency,
        admin_area_id,
        hour_start_at,
        count(*) as calls_answered,
        count(*) filter (is_for_unit) as calls_for_units,
        sum(dispatches) as dispatches,
        count(*) filter (is_releasable) as releasable_calls_answered,
        count(*) filter (is_releasable and is_for_unit) as releasable_calls_for_units,
        coalesce(sum(dispatches) filter (is_releasable), 0) as releasable_dispatches
    from calls
    group by all
),
admin as (
    select area_id, area_level, parent_area_id from reference.areas where hierarchy = 'admin'
),
-- As in demand_hourly: a call counts in its area, in its province, and, with or without a place, in the region.
counting as (
    select area_id, area_id as in_area_id from admin where area_level in ('district', 'province')
    union all
    select area_id, parent_area_id as in_area_id from admin where area_level = 'district'
),
placed as (
    select counted.* exclude (admin_area_id), counting.in_area_id as area_id
    from counted
    join counting on counting.area_id = counted.admin_area_id
    where counting.in_area_id not in (select area_id from marts.region)
    union all by name
    select counted.* exclude (admin_area_id), region.area_id
    from counted
    cross join marts.region
),
summed as (
    select agency, area_id, hour_start_at, sum(columns('calls_|dispatches')) as '\0'
    from placed
    group by agency, area_id, hour_start_at
)
select
    known.agency,
    known.area_id,
    known.hour_start_at,
    known.local_date,
    known.local_hour,
    coalesce(summed.calls_answered, 0)::bigint as calls_answered,
    coalesce(summed.calls_for_units, 0)::bigint as calls_for_units,
    if(known.has_units, coalesce(summed.dispatches, 0), null)::bigint as dispatches,
    coalesce(summed.releasable_calls_answered, 0)::bigint as releasable_calls_answered,
    coalesce(summed.releasable_calls_for_units, 0)::bigint as releasable_calls_for_units,
    if(known.has_units, coalesce(summed.releasable_dispatches, 0), null)::bigint as releasable_dispatches
from known
left join summed
    on summed.agency = known.agency
    and summed.area_id = known.area_id
    and summed.hour_start_at = known.hour_start_at
