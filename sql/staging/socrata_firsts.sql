-- When records of a Socrata table that were told more than once were first known. Grain: incident_id.
select 'socrata:' || source_id as incident_id, min(known_at) as first_known_at
from staging."socrata_rows"
group by source_id
having count(*) > 1
