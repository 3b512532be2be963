-- Response times by district, service and month, from report to first arrival, split into their parts; of releasable
-- incidents only, so that nothing is left when their records are subtracted. Instants out of order give no duration
-- (time_checks); days of an outage are stated. Grain: area_id, service, month_start_date.
with first_units as (
    select
        incident_id,
        min(dispatched_at) as dispatched_at,
        min(en_route_at) as en_route_at,
        min(arrived_at) as arrived_at
    from core.dispatches
    group by incident_id
),
timed as (
    select
        incidents.admin_area_id as area_id,
        incidents.service,
        date_trunc('month', incidents.report_date)::date as month_start_date,
        seconds_between(incidents.reported_at, coalesce(first_units.dispatched_at, incidents.first_dispatched_at))
            as call_processing_seconds,
        seconds_between(first_units.dispatched_at, first_units.en_route_at) as turnout_seconds,
        seconds_between(first_units.en_route_at, first_units.arrived_at) as travel_seconds,
        seconds_between(incidents.reported_at, coalesce(first_units.arrived_at, incidents.first_arrived_at))
            as response_seconds
    from core.incidents
    left join first_units on first_units.incident_id = incidents.incident_id
    where incidents.is_releasable
),
unknown as (
    select
        feed_services.service,
        date_trunc('month', outage_days.local_date)::date as month_start_date,
        count(distinct outage_days.local_date)::integer as unknown_days
    from marts.outage_days
    join reference.feed_services on feed_services.feed = outage_days.feed
    group by all
)
select
    timed.area_id,
    timed.service,
    timed.month_start_date,
    count(*) as incidents,
    coalesce(any_value(unknown.unknown_days), 0) as unknown_days,
    quantile_cont(call_processing_seconds, 0.5)::double as call_processing_p50_seconds,
    quantile_cont(turnout_seconds, 0.5)::double as turnout_p50_seconds,
    quantile_cont(travel_seconds, 0.5)::double as travel_p50_seconds,
    quantile_cont(response_seconds, 0.5)::double as response_p50_seconds,
    quantile_cont(response_seconds, 0.9)::double as response_p90_seconds
from timed
left join unknown on unknown.service = timed.service and unknown.month_start_date = timed.month_start_date
where timed.response_seconds is not null and timed.area_id is not null
group by timed.area_id, timed.service, timed.month_start_date
