-- Places of the spatial point pattern test with their outline. Grain: category, place_kind, place_id.
with outlines as (
    select 'district' as place_kind, area_id as place_id, geometry
    from reference.areas
    where hierarchy = 'admin' and area_level = 'district'
    union all
    select 'map_cell' as place_kind, cell_id as place_id, geometry from reference.cells
)
select places.*, outlines.geometry
from patterns.point_pattern_places as places
join outlines using (place_kind, place_id)
