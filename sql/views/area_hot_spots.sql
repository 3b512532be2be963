-- Districts and station areas by rate and neighbourhood. Grain: area_id, category, window_end_date.
select
    hot.area_id,
    hot.tree,
    areas.name as area_name,
    hot.category,
    hot.window_start_date,
    hot.window_end_date,
    hot.incidents::bigint as incidents,
    areas.population,
    hot.rate_per_10000,
    hot.eb_rate_per_10000,
    hot.measured_on,
    hot.gi_star_z,
    hot.p_value,
    hot.is_hot,
    hot.local_moran,
    hot.local_moran_p_value,
    hot.quadrant,
    hot.is_moran_significant
from patterns.area_hot_spots as hot
join reference.areas as areas using (area_id)
