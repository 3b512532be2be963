-- Hot spots of reported crime with the outline of their cells. Grain: cell_id, category, window_end_date.
select
    hot_spots.cell_id,
    hot_spots.cell_metres::integer as cell_metres,
    cells.admin_area_id,
    hot_spots.category,
    hot_spots.window_start_date,
    hot_spots.window_end_date,
    hot_spots.incidents::bigint as incidents,
    hot_spots.gi_star_z,
    hot_spots.p_value,
    hot_spots.is_hot,
    hot_spots.local_moran,
    hot_spots.local_moran_p_value,
    hot_spots.quadrant,
    hot_spots.is_moran_significant,
    cells.geometry
from patterns.hot_spots as hot_spots
join reference.cells as cells on cells.cell_id = hot_spots.cell_id and cells.cell_metres = hot_spots.cell_metres
