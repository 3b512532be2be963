-- The newest forecast of units sent. Grain: frequency, area_id, service, shift, target_start, disclosure_basis.
-- disclosure_basis is as in demand_forecast.
-- Only where the agency reports them; calls are in demand_forecast. Hierarchies overlap: add up areas of one hierarchy and level only.
with chosen as (
    select *
    from forecast.demand
    where measure in ('dispatches', 'disclosure_safe_dispatches') and not is_baseline
    qualify row_number() over (partition by measure, frequency, area_id, service, shift, target_start order by model) = 1
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
        when chosen.measure = 'disclosure_safe_dispatches' then 'releasable'
        when apart.service is not null then 'all'
        else 'both'
    end as disclosure_basis,
    chosen.shift,
    chosen.target_start,
    chosen.target_end,
    chosen.horizon_hours::integer as horizon_hours,
    chosen.mean as expected_dispatches,
    chosen."q0.1" as p10,
    chosen."q0.5" as p50,
    chosen."q0.9" as p90,
    chosen."q0.99" as p99,
    chosen.model,
    chosen.method,
    chosen.data_as_of,
    chosen.degraded_reason
from chosen
left join marts.demand_apart as apart on apart.service = chosen.service and apart.hierarchy = chosen.hierarchy
left join reference.areas as areas on areas.area_id = chosen.area_id
