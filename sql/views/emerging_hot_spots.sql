-- Emerging hot spots of reported crime with the outline of their cells. Grain: cell_id, category, window_end_date.
select
    emerging.cell_id,
    emerging.cell_metres::integer as cell_metres,
    cells.admin_area_id,
    emerging.category,
    emerging.window_start_date,
    emerging.window_end_date,
    emerging.incidents::bigint as incidents,
    emerging.emerging_class,
    emerging.hot_steps::integer as hot_steps,
    emerging.cold_steps::integer as cold_steps,
    emerging.last_gi_star_z,
    emerging.gi_star_trend_z,
    emerging.gi_star_trend_p_value,
    cells.geometry
from patterns.emerging_hot_spots as emerging
join reference.cells as cells on cells.cell_id = emerging.cell_id and cells.cell_metres = emerging.cell_metres
