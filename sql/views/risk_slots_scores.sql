-- How well past lists of cells and two-hour slots did. Grain: reference_at, origin_kind, category, model.
select
    reference_at, origin_kind, category, model, is_baseline, area_share, origins::bigint as origins,
    incidents::bigint as incidents, untimed_incidents::bigint as untimed_incidents, hits::bigint as hits, hit_rate, pai,
    pai_low, pai_high, pei_star, hits_per_patrol_hour, log_score, gain, gain_low, gain_high
from forecast.risk_slots_scores
