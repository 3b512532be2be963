-- Records of a feed with one row per record: the newest version known at as_of, without withdrawn ones. Grain: incident_id.
--
-- The name in quotes is that of a feed that has the file <feed>_rows and no file of its own for this table.
select
    'keyed:' || keyed_rows.source_id as incident_id,
    keyed_rows.agency,
    'keyed' as feed,
    keyed_rows.source_id,
    keyed_rows.service,
    keyed_rows.source_category,
    keyed_rows.priority,
    keyed_rows.occurred_at,
    keyed_rows.occurred_until,
    keyed_rows.reported_at,
    keyed_rows.first_dispatched_at,
    keyed_rows.first_arrived_at,
    keyed_rows.closed_at,
    keyed_rows.lon,
    keyed_rows.lat,
    keyed_rows.location_quality,
    keyed_rows.location_source,
    keyed_rows.named_area_id,
    keyed_rows.is_discovered,
    keyed_rows.known_at
from staging."keyed_rows" as keyed_rows
where keyed_rows.is_newest and not keyed_rows.is_withdrawn
