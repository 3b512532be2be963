-- Which models the newest demand forecast is made of. Grain: frequency, area_id, service, measure, horizon_block.
-- basis is as in demand_forecast: what readers of records get of a tree where some are withheld is not selected.
select
    choices.reference_at, choices.frequency, choices.tree, choices.level, choices.area_id, choices.service,
    choices.measure, if(apart.service is null, 'both', 'all') as basis, choices.origin_at, choices.horizon_block,
    choices.chosen_at, choices.models, choices.model_weight, choices.scaled_pinball, choices.runner_up,
    choices.runner_up_scaled_pinball, choices.standard_error, choices.origins::bigint as origins, choices.chosen_by
from forecast.demand_choices as choices
left join marts.demand_apart as apart on apart.service = choices.service and apart.tree = choices.tree
-- Calls that no part of an area counts are left out: that there are any would disclose that some were withheld.
where choices.level <> 'unplaced'
qualify choices.origin_at
    = max(choices.origin_at) over (partition by choices.frequency, choices.area_id, choices.service, choices.measure)
