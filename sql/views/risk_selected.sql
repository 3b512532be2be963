-- The selected cells of the newest risk forecast with their outline. Grain: cell_id, category, window.
select
    risk.reference_at, risk.cell_id, risk.cell_metres, risk.admin_area_id, risk.category, risk."window", risk.target_start, risk.target_end,
    risk.expected, risk.baseline_expected, risk.rank, cells.geometry
from views.risk as risk
join reference.cells as cells on cells.cell_id = risk.cell_id and cells.cell_metres = risk.cell_metres
where risk.is_selected
