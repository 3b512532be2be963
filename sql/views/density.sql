-- Kernel density of reported crime, where above zero. Grain: cell_id, category, window_end_date.
select cells.admin_area_id, density.*
from patterns.density
join reference.cells using (cell_id, cell_metres)
