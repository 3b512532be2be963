-- Reported crime of the last days next to earlier years. Grain: area_id, category, span.
select areas.name as area_name, weekly.*
from patterns.weekly
join reference.areas using (area_id)
