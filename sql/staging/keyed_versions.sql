-- Every version known at as_of of the records whose versions differ, for feeds with one row per record.
-- Grain: incident_id, known_at.
--
-- Category, priority, time, place, discovery and withdrawal are compared: nearly every record is written twice, few change
-- in these. Two versions of one instant count as one, chosen as for the newest.
with
differing as (
    select source_id
    from staging."keyed_rows"
    group by source_id
    having count(distinct hash(
        source_category, priority, coalesce(reported_at, occurred_at), occurred_until, lon, lat, location_quality,
        location_source, named_area_id, is_discovered, is_withdrawn
    )) > 1
),
versions as (
    select keyed_rows.*
    from staging."keyed_rows" as keyed_rows
    semi join differing using (source_id)
    qualify row_number() over (partition by source_id, known_at order by _row_hash desc) = 1
)
select
    'keyed:' || versions.source_id as incident_id,
    versions.agency,
    'keyed' as feed,
    versions.service,
    versions.source_category,
    versions.priority,
    versions.occurred_at,
    versions.occurred_until,
    versions.reported_at,
    versions.lon,
    versions.lat,
    versions.location_quality,
    versions.location_source,
    versions.named_area_id,
    versions.is_discovered,
    null::bigint as units,
    versions.is_withdrawn,
    versions.known_at
from versions
