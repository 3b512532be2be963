-- The records that near-repeat chains are made of, by their names in the release. Grain: chain_id, record_id.
select members.chain_id, incidents.record_id, incidents.category, incidents.occurred_at, incidents.reported_at
from patterns.near_repeat_members as members
join views.releasable_incidents as incidents on incidents.incident_id = members.incident_id
