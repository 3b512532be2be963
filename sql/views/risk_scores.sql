-- How well past risk forecasts did. Grain: reference_at, origin_kind, category, model.
select
    reference_at, origin_kind, category, model, is_baseline, area_share, incidents::bigint as incidents,
    hits::bigint as hits, hit_rate, pai
from forecast.risk_scores
