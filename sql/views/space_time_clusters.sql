-- Space-time clusters of reported crime with the circle around them. Grain: category, cluster_rank, window_end_date.
select cells.admin_area_id, cells.lon, cells.lat, space_time_clusters.*
from patterns.space_time_clusters
join reference.cells using (cell_id, cell_metres)
