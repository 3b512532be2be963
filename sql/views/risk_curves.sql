-- What the issued list of cells would have caught as the area grows. Grain: reference_at, category, window, model, area_share.
select
    reference_at, category, "window", model, is_baseline, area_share, origins::bigint as origins,
    incidents::bigint as incidents, hits::bigint as hits, hit_rate, pai, pai_low, pai_high
from forecast.risk_curves
