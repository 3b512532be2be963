-- The newest place-based risk forecast, every cell. Grain: cell_id, category, window.
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
left join reference.cells as cells on cells.cell_id = risk.cell_id and cells.cell_metres = risk.cell_metres
