-- Harm of reported crime per district with its outline. Grain: area_id.
select
    harm.area_id, areas.name as area_name, harm.window_start_date, harm.window_end_date, harm.incidents, harm.harm,
    harm.harm_share, harm.hot_incidents, harm.hot_harm, areas.geometry
from patterns.district_harm as harm
join reference.areas as areas using (area_id)
