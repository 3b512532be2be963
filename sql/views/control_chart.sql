-- Weekly counts of reported crime with what is usual. Grain: area_id, category, week_start_date.
select areas.name as area_name, control_chart.*
from patterns.control_chart
join reference.areas using (area_id)
