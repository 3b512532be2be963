-- When records are known, and why not else; of areas only outages. Grain: feed, service, area_id, from_at, evidence.
select feed, service, area_id, observation_state, from_at, until_at, evidence
from marts.observation_windows
where category is null and (area_id is null or observation_state = 'outage')
