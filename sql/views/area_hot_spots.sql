-- Districts and station areas by rate and neighbourhood. Grain: area_id, category, window_end_date.
select areas.name as area_name, area_hot_spots.*, areas.population
from patterns.area_hot_spots
join reference.areas using (area_id)
