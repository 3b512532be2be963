-- Space-time clusters of reported crime with the circle around them. Grain: category, cluster_rank, window_end_date.
select
    clusters.category, clusters.cluster_rank, clusters.cell_id, clusters.cell_metres, cells.lon, cells.lat,
    cells.admin_area_id, clusters.radius_m, clusters.cluster_start_date, clusters.window_start_date,
    clusters.window_end_date, clusters.incidents, clusters.expected_incidents, clusters.excess_ratio,
    clusters.log_likelihood_ratio, clusters.permutation_p_value, clusters.permutations, clusters.recurrence_days,
    clusters.is_signal, clusters.geometry
from patterns.space_time_clusters as clusters
join reference.cells as cells on cells.cell_id = clusters.cell_id and cells.cell_metres = clusters.cell_metres
