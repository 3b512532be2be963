-- How well past risk forecasts did on average, without a place or a count. Grain: category, model.
with added as (
    -- Whole numbers are added, so that the answer does not hang on the order of rows.
    select
        category, model, is_baseline,
        count(*) as origins,
        sum(hits)::bigint as hits,
        sum(incidents)::bigint as incidents,
        sum(area_share::decimal(18, 9))::double as area_share
    from forecast.risk_scores
    group by category, model, is_baseline
)
select
    category, model, is_baseline, origins,
    area_share / origins as area_share,
    round(hits / nullif(incidents, 0), 3) as hit_rate,
    round(hits / nullif(incidents, 0) / nullif(area_share / origins, 0), 1) as pai
from added
