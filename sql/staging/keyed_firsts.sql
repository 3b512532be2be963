-- When records with several rows or versions were first known. Grain: incident_id.
select 'keyed:' || source_id as incident_id, min(known_at) as first_known_at
from staging."keyed_rows"
group by source_id
having count(*) > 1
