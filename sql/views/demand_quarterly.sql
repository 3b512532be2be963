-- Fire and ambulance calls per district and whole quarter. Grain: area_id, quarter_start_date, service.
-- Counts of 1 to 7 are hidden, the others rounded to 5. There is no total, which could narrow a hidden count.
-- A running quarter published every day would give days away by subtraction, and one whose last days have not been
-- fetched yet is not whole either; one that began before the history is short. Listed calls, since everybody can lay the
-- public's file next to that of an agency with records. Calls of which only the day is known count too.
with history as (
    select service, min(local_date) as first_date, max(hour_start_at) + interval 1 hour as complete_through_at
    from marts.demand_hourly
    group by service
),
called as (
    select area_id, service, local_date, releasable_calls, 1 as known_hours
    from marts.demand_hourly
    where hierarchy = 'admin' and area_level = 'district'
    union all
    select area_id, service, local_date, releasable_calls, 0 as known_hours from marts.demand_untimed
),
counted as (
    select
        area_id,
        date_trunc('quarter', local_date)::date as quarter_start_date,
        service,
        sum(releasable_calls)::bigint as calls,
        sum(known_hours)::bigint as known_hours
    from called
    where service in ('fire', 'ems')
    group by all
)
select
    counted.area_id,
    counted.quarter_start_date,
    counted.service,
    disclosable_count(counted.calls) as calls,
    -- A day of the quarter has an hour less or more where clocks change.
    greatest(
        round(date_diff('day', counted.quarter_start_date, counted.quarter_start_date + interval 3 months) - counted.known_hours / 24), 0
    )::integer as unknown_days
from counted
join history on history.service = counted.service
where counted.quarter_start_date > history.first_date
    and timezone(getvariable('time_zone'), counted.quarter_start_date + interval 3 months) <= history.complete_through_at
