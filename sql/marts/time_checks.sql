-- How many of each feed's records have instants out of order, such as an arrival before the report: they give no
-- duration (response_times). Grain: feed, time_order.
with instants as (
    select
        incidents.feed,
        incidents.incident_id,
        incidents.reported_at,
        coalesce(min(dispatches.dispatched_at), incidents.first_dispatched_at) as dispatched_at,
        min(dispatches.en_route_at) as en_route_at,
        coalesce(min(dispatches.arrived_at), incidents.first_arrived_at) as arrived_at
    from core.incidents as incidents
    left join core.dispatches as dispatches on dispatches.incident_id = incidents.incident_id
    group by incidents.feed, incidents.incident_id, incidents.reported_at, incidents.first_dispatched_at,
        incidents.first_arrived_at
),
pairs as (
    select feed, incident_id, unnest([
        {'time_order': 'report to dispatch', 'earlier_at': reported_at, 'later_at': dispatched_at},
        {'time_order': 'dispatch to departure', 'earlier_at': dispatched_at, 'later_at': en_route_at},
        {'time_order': 'departure to arrival', 'earlier_at': en_route_at, 'later_at': arrived_at},
        {'time_order': 'report to arrival', 'earlier_at': reported_at, 'later_at': arrived_at}
    ], recursive := true)
    from instants
)
select
    feed,
    time_order,
    count(*) as incidents,
    count(*) filter (later_at < earlier_at) as disordered_incidents
from pairs
where earlier_at is not null and later_at is not null
group by feed, time_order
