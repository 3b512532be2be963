-- The newest forecast of calls as planners read it. Grain: frequency, area_id, service, shift, target_start, disclosure_basis.
-- Units sent have a table of their own, dispatch_forecast. Hierarchies overlap: add up areas of one hierarchy and level only.
-- disclosure_basis: where records leave calls out, no audience gets forecasts of all calls next to records (all), but those that share
-- the region's forecast by releasable calls (releasable).
with issued as (
    select *, coalesce(shift, '') as turn
    from forecast.demand
    where measure in ('calls', 'disclosure_safe_calls')
),
chosen as (
    select *
    from issued
    where not is_baseline
    qualify row_number() over (partition by measure, frequency, area_id, service, turn, target_start order by model) = 1
),
baseline as (
    select *
    from issued
    -- The baseline that planners know is last week's same hour or day; others stand in the long form.
    where is_baseline
    qualify row_number() over (
        partition by frequency, area_id, service, turn, target_start order by model = 'seasonal_naive' desc, model
    ) = 1
),
hourly_units as (
    select 'h' as frequency, reference_at, area_id, service, measure, target_start, units_required
    from dispatch.staffing
)
select
    chosen.reference_at,
    chosen.frequency,
    chosen.hierarchy,
    chosen.area_level,
    chosen.area_id,
    areas.name as area_name,
    chosen.service,
    case
        when chosen.measure = 'disclosure_safe_calls' then 'releasable'
        when apart.service is not null then 'all'
        else 'both'
    end as disclosure_basis,
    chosen.shift,
    chosen.target_start,
    chosen.target_end,
    chosen.horizon_hours::integer as horizon_hours,
    chosen.mean as expected_calls,
    chosen."q0.1" as p10,
    chosen."q0.5" as p50,
    chosen."q0.9" as p90,
    chosen."q0.99" as p99,
    baseline.mean as baseline_calls,
    hourly_units.units_required::integer as units_required,
    chosen.model,
    chosen.method,
    chosen.data_as_of,
    chosen.degraded_reason
from chosen
left join baseline using (frequency, reference_at, area_id, service, turn, target_start, measure)
left join hourly_units using (frequency, reference_at, area_id, service, target_start, measure)
left join marts.demand_apart as apart on apart.service = chosen.service and apart.hierarchy = chosen.hierarchy
left join reference.areas as areas on areas.area_id = chosen.area_id
