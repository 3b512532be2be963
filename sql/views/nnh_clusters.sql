-- Nearest-neighbour hierarchical clusters with their outline. Grain: nnh_cluster_id, window_end_date.
select
    nnh_cluster_id,
    category,
    nnh_order::integer as nnh_order,
    parent_nnh_cluster_id,
    window_start_date,
    window_end_date,
    incidents::bigint as incidents,
    distinct_places::bigint as distinct_places,
    first_order_clusters::bigint as first_order_clusters,
    nnh_threshold_m,
    cluster_km2,
    incidents_per_km2,
    lon,
    lat,
    geometry
from patterns.nnh_clusters
