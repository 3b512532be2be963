-- How well past demand forecasts did. Grain: reference_at, origin_kind, frequency, service, measure, area_level, model.
select
    reference_at, origin_kind, frequency, service, measure, area_level, model, is_baseline, targets::bigint as targets, mae,
    pinball, wis, coverage_80, expected_coverage_80, mase, scaled_pinball, crps, rmsse, bias, brier_capacity, skill,
    skill_low, skill_high, worse_share
from forecast.demand_scores
