-- Kernel density of reported crime, where above zero. Grain: cell_id, category, window_end_date.
select
    density.cell_id,
    density.cell_metres::integer as cell_metres,
    cells.admin_area_id,
    density.category,
    density.window_start_date,
    density.window_end_date,
    density.density_per_km2_year,
    density.kernel_share,
    density.bandwidth_m
from patterns.density as density
join reference.cells as cells on cells.cell_id = density.cell_id and cells.cell_metres = density.cell_metres
