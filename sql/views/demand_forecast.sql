-- The newest forecast of calls as planners read it. Grain: frequency, area_id, service, shift, target_start.
-- Units sent have a table of their own, dispatch_forecast. Trees overlap: add up areas of one tree and level only.
with issued as (
    select *, coalesce(shift, '') as turn
    from forecast.demand
    where measure = 'calls'
),
chosen as (
    select *
    from issued
    where not is_baseline
    qualify row_number() over (partition by frequency, area_id, service, turn, target_start order by model) = 1
),
baseline as (
    select *
    from issued
    -- The baseline that planners know is last week's same hour or day; others stand in the long form. It is a count, and
    -- of stations, whose areas cross districts, none is told that holds calls placed by the caller's telephone alone.
    where is_baseline and level <> 'station'
    qualify row_number() over (
        partition by frequency, area_id, service, turn, target_start order by model = 'seasonal_naive' desc, model
    ) = 1
),
hourly_units as (
    select 'h' as frequency, reference_at, area_id, service, target_start, prob_over_capacity, units_required
    from dispatch.staffing
)
select
    chosen.reference_at,
    chosen.frequency,
    chosen.tree,
    chosen.level,
    chosen.area_id,
    areas.name as area_name,
    chosen.service,
    chosen.shift,
    chosen.target_start,
    chosen.target_end,
    chosen.horizon_hours::integer as horizon_hours,
    chosen.mean as expected_calls,
    chosen."q0.1" as p10,
    chosen."q0.5" as p50,
    chosen."q0.9" as p90,
    chosen."q0.99" as p99,
    hourly_units.prob_over_capacity::double as prob_over_capacity,
    baseline.mean as baseline_calls,
    hourly_units.units_required::integer as units_required,
    chosen.model,
    chosen.method,
    chosen.data_as_of,
    chosen.degraded_reason
from chosen
left join baseline using (frequency, reference_at, area_id, service, turn, target_start)
left join hourly_units using (frequency, reference_at, area_id, service, target_start)
left join reference.areas as areas on areas.area_id = chosen.area_id
