-- How well past risk forecasts did on average, without a place or a count. Grain: category, window, origin_kind, model, area_share.
with added as (
    -- Whole numbers are added, so that the answer does not hang on the order of rows.
    select
        category, "window", origin_kind, model, is_baseline, round(area_share, 3) as area_share,
        sum(origins)::bigint as origins,
        sum(hits)::bigint as hits,
        sum(incidents)::bigint as incidents
    from forecast.risk_scores
    where coalesce(patrolled, 'all') = 'all'
    group by category, "window", origin_kind, model, is_baseline, round(area_share, 3)
)
select
    category, "window", origin_kind, model, is_baseline, origins, area_share,
    round(hits / nullif(incidents, 0), 3) as hit_rate,
    round(hits / nullif(incidents, 0) / nullif(area_share, 0), 1) as pai
from added
