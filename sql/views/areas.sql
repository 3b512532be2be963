-- Areas of all three trees with their boundaries. Grain: area_id.
select area_id, tree, level, parent_area_id, name, population, is_approximated, lon, lat, geometry
from reference.areas
