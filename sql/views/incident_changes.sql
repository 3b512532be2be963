-- What of the agency's own records was changed after it was first received, and when; of a place only how far it moved. Grain: record_id, changed_at, changed.
-- A record that is withdrawn leaves table incidents and this one; revision_rates counts it.
select
    listed.record_id, listed.agency, listed.feed, changes.changed_at, changes.days_after_report, changes.changed,
    changes."before", changes."after", changes.distance_m
from core.incident_changes as changes
join views.listed_incidents as listed on listed.incident_id = changes.incident_id
where changes.is_listed
