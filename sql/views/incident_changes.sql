-- What of the agency's own records was changed after it was first received, and when; of a place only how far it moved. Grain: record_id, changed_at, changed.
-- A record that is withdrawn leaves table incidents and this one; revision_rates counts it.
select
    releasable.record_id, releasable.agency, releasable.feed, changes.changed_at, changes.days_after_report, changes.changed,
    changes."before", changes."after", changes.distance_m
from core.incident_changes as changes
join views.releasable_incidents as releasable on releasable.incident_id = changes.incident_id
where changes.is_releasable
