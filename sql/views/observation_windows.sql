-- When the records of each feed, or of one of its services, are known, and why not else. Grain: feed, service, from_at, evidence.
select feed, service, observation_state, from_at, until_at, evidence
from marts.observation_windows
where area_id is null and category is null
