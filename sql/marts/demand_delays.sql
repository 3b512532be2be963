-- How long after its hour each call of the last weeks became known, beyond the delay that its feed declares: whole hours,
-- begun ones counting, 0 for what was known when the hour ended. An update is not a late report: a call counts from the first
-- state that was received; one of which only the day is known has no hour. Grain: service, hour_start_at, delay_hours.
with first_received as (
    select incident_id, min(known_at) as known_at from staging.versions group by incident_id
),
calls as (
    select
        incidents.agency,
        demand_services.demand_service as service,
        date_trunc('hour', coalesce(incidents.reported_at, incidents.occurred_at)) as hour_start_at,
        least(first_received.known_at, firsts.first_known_at, incidents.known_at)
            - to_seconds(feeds.delay_seconds) as received_at
    from core.incidents
    join reference.feeds on feeds.feed = incidents.feed
    join reference.demand_services
        on demand_services.service = incidents.service
        and incidents.priority is not distinct from coalesce(demand_services.priority, incidents.priority)
    left join first_received on first_received.incident_id = incidents.incident_id
    left join staging.firsts on firsts.incident_id = incidents.incident_id
    where
        coalesce(incidents.reported_at, incidents.occurred_at) >= getvariable('as_of')::timestamptz - to_days(112)
        and not is_untimed(incidents.reported_at, incidents.occurred_at, incidents.occurred_until)
)
select
    agency,
    service,
    hour_start_at,
    greatest(ceil((epoch(received_at) - epoch(hour_start_at)) / 3600) - 1, 0)::bigint as delay_hours,
    count(*) as calls
from calls
group by all
