-- The newest place-based risk forecast, every cell. Grain: cell_id, category, window.
with newest as (
    select max(reference_at) as reference_at
    from forecast.risk
)
select
    risk.reference_at,
    risk.cell_id,
    risk.cell_metres::integer as cell_metres,
    cells.admin_area_id,
    risk.category,
    risk."window",
    risk.target_start,
    risk.target_end,
    risk.model,
    risk.expected,
    risk.baseline_expected,
    risk.rank::bigint as rank,
    risk.is_selected,
    risk.data_as_of,
    risk.method,
    risk.degraded_reason
from forecast.risk as risk
join newest on newest.reference_at = risk.reference_at
left join reference.cells as cells on cells.cell_id = risk.cell_id and cells.cell_metres = risk.cell_metres
