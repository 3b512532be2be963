-- The newest lists of places to patrol, with their station and district. Grain: police_area_id, shift, rank.
-- The district is that of the cell with the highest expectation.
select
    lists.reference_at,
    lists.police_area_id,
    areas.name as area_name,
    cells.admin_area_id,
    lists.shift,
    lists.shift_begins,
    lists.shift_hours,
    lists.target_start,
    lists.target_end,
    lists.rank,
    lists.area_km2,
    lists.expected,
    lists."q0.1",
    lists."q0.9",
    lists.any_probability,
    lists.base_expected,
    lists.recent_hits,
    lists.expected_per_patrol_hour,
    lists.visits,
    lists.planned_minutes,
    lists.station_expected,
    lists.round_km,
    lists.category_detail,
    lists.lon,
    lists.lat,
    lists.data_as_of,
    lists.degraded_reason,
    lists.geometry
from forecast.patrol_areas as lists
left join reference.areas on areas.area_id = lists.police_area_id
left join reference.cells on cells.cell_id = lists.cell_ids[1]
