-- Harm of reported crime per district with its outline. Grain: area_id.
select areas.name as area_name, district_harm.*, areas.geometry
from patterns.district_harm
join reference.areas using (area_id)
