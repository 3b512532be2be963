-- Fire and ambulance calls per district and whole quarter. Grain: area_id, quarter_start_date, service.
-- A running quarter published every day would give days away by subtraction; one that began before the history is short.
with history as (
    select min(local_date) as first_date
    from marts.demand_hourly
),
counted as (
    select area_id, date_trunc('quarter', local_date)::date as quarter_start_date, service, sum(calls)::bigint as calls
    from marts.demand_hourly
    where service in ('fire', 'ems')
    group by all
)
select counted.area_id, counted.quarter_start_date, counted.service, counted.calls
from counted
cross join history
where counted.quarter_start_date > history.first_date
    and counted.quarter_start_date + interval 3 months <= getvariable('as_of_date')
