-- Which models the newest demand forecast is made of. Grain: frequency, area_id, service, measure, horizon_block.
select
    reference_at, frequency, tree, level, area_id, service, measure, origin_at, horizon_block, chosen_at, models,
    model_weight, scaled_pinball, runner_up, runner_up_scaled_pinball, standard_error, origins::bigint as origins, chosen_by
from forecast.demand_choices
-- Of calls that no part of an area counts nothing is told: that there are any would say that some were withheld.
where level <> 'unplaced'
qualify origin_at = max(origin_at) over (partition by frequency, area_id, service, measure)
