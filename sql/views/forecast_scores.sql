-- How well past demand forecasts did. Grain: reference_at, origin_kind, frequency, service, measure, area_level, model, is_baseline.
-- Errors of few targets, next to forecasts and records, disclose the calls that have no record: of a service with such calls
-- readers of records and the public get scores of many targets at once (is_pooled), scaled and rounded.
select
    scores.reference_at, scores.origin_kind, scores.frequency, scores.service, scores.measure, scores.area_level,
    scores.model, scores.is_baseline, scores.targets::bigint as targets, scores.origins::bigint as origins,
    scores.mae, scores.pinball, scores.wis,
    round(scores.coverage_80, 3) as coverage_80, round(scores.expected_coverage_80, 3) as expected_coverage_80,
    round(scores.mase, 3) as mase, round(scores.scaled_pinball, 3) as scaled_pinball, scores.crps,
    round(scores.rmsse, 3) as rmsse, scores.bias, scores.brier_capacity, round(scores.skill, 3) as skill,
    round(scores.skill_low, 3) as skill_low, round(scores.skill_high, 3) as skill_high,
    round(scores.worse_share, 3) as worse_share,
    scores.service not in (select service from marts.demand_apart)
        or (scores.targets >= 500 and scores.measure not like 'disclosure_safe%') as is_pooled
from forecast.demand_scores as scores
