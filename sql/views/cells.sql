-- Grid squares of risk and of shared maps. Grain: cell_id.
select cell_id, cell_metres, map_cell_id, x_m, y_m, lon, lat, admin_area_id, geometry
from reference.cells
