-- How well past risk forecasts did. Grain: reference_at, origin_kind, category, window, model, patrolled, area_share.
select
    reference_at, origin_kind, category, "window", model, is_baseline, coalesce(patrolled, 'all') as patrolled, area_share,
    origins::bigint as origins, incidents::bigint as incidents, hits::bigint as hits, hit_rate, pai, pai_low, pai_high, pei_star, rri,
    false_alarms_per_hit, hits_per_patrol_hour, log_score, gain, gain_low, gain_high, prospective_gain,
    prospective_gain_low, prospective_gain_high, patrol_minutes
from forecast.risk_scores
