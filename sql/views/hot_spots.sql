-- Hot spots of reported crime with the outline of their cells. Grain: cell_id, category, window_end_date.
select cells.admin_area_id, hot_spots.*, cells.geometry
from patterns.hot_spots
join reference.cells using (cell_id, cell_metres)
