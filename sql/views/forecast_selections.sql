-- Which models the newest demand forecast is made of. Grain: frequency, area_id, service, measure, model.
-- disclosure_basis is as in demand_forecast: what readers of records get of a hierarchy where some are withheld is not selected.
select
    selections.reference_at, selections.frequency, selections.hierarchy, selections.area_level, selections.area_id, selections.service,
    selections.measure, if(apart.service is null, 'both', 'all') as disclosure_basis, selections.origin_at,
    selections.selected_at, selections.model, selections.model_weight, selections.loss_ratio, selections.origins::bigint as origins,
    selections.selected_by
from forecast.demand_selections as selections
left join marts.demand_apart as apart on apart.service = selections.service and apart.hierarchy = selections.hierarchy
-- Calls that no part of an area counts are left out: that there are any would disclose that some were withheld.
where selections.area_level <> 'unplaced'
qualify selections.origin_at
    = max(selections.origin_at) over (partition by selections.frequency, selections.area_id, selections.service, selections.measure)
