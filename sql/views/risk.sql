-- The newest place-based risk forecast, every cell. Grain: cell_id, category, window.
select cells.admin_area_id, risk.*
from forecast.risk
left join reference.cells using (cell_id, cell_metres)
