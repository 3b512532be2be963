-- Units required per area, service and hour, for the newest forecast. Grain: area_id, service, target_start, disclosure_basis.
-- disclosure_basis is as in demand_forecast.
select
    staffing.reference_at,
    staffing.area_id,
    areas.hierarchy,
    areas.area_level,
    areas.name as area_name,
    staffing.service,
    case
        when staffing.measure = 'disclosure_safe_calls' then 'releasable'
        when apart.service is not null then 'all'
        else 'both'
    end as disclosure_basis,
    staffing.target_start,
    staffing.target_end,
    staffing.expected_calls,
    staffing.p10,
    staffing.p50,
    staffing.p90,
    staffing.p99,
    staffing.baseline_calls,
    staffing.service_minutes,
    staffing.workload_erlangs,
    staffing.units_required::integer as units_required,
    staffing.unit_hour_utilisation,
    staffing.data_as_of,
    staffing.degraded_reason
from dispatch.staffing as staffing
left join reference.areas as areas on areas.area_id = staffing.area_id
left join marts.demand_apart as apart on apart.service = staffing.service and apart.hierarchy = areas.hierarchy
