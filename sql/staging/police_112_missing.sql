-- 112 calls that vanished without notice: the newest list believed lacks their number. Grain: incident_id.
--
-- A call is missing since the first list after its last appearance, which is a version of its record or a list with its
-- number. Every list brings new numbers, so each is the first of some and its instant is known. A record changed after the
-- list was made counts again.
with
newest as (
    select * from staging.police_112_lists where is_accepted order by snapshot desc limit 1
),
held as (
    select * from raw.police_112_keys where _copy = 1
),
lacking as (
    select calls.*, newest.snapshot, if(held._last_snapshot < newest.snapshot, held._last_snapshot, '') as last_snapshot
    from staging.police_112 as calls
    join newest
        on left(calls.source_id, 8) > left(newest.first_key, 8)
        and calls.source_id < newest.last_key
        and calls.known_at < newest.listed_at
    left join held on held.incident_no = calls.source_id
    where held.incident_no is null or held._first_snapshot > newest.snapshot or held._last_snapshot < newest.snapshot
),
snapshots as (
    select _first_snapshot as snapshot from raw.police_112_keys
    union
    select _last_snapshot as snapshot from raw.police_112_keys
)
select
    lacking.incident_id,
    lacking.agency,
    lacking.feed,
    lacking.service,
    lacking.source_category,
    lacking.priority,
    lacking.occurred_at,
    lacking.reported_at,
    lacking.lon,
    lacking.lat,
    lacking.location_quality,
    lacking.location_source,
    lacking.named_area_id,
    lacking.is_discovered,
    lacking.known_at,
    min(split_part(snapshots.snapshot, '/', 1)::timestamptz) as missing_at
from lacking
join snapshots
    on snapshots.snapshot <= lacking.snapshot
    and snapshots.snapshot > coalesce(lacking.last_snapshot, '')
    and split_part(snapshots.snapshot, '/', 1)::timestamptz > lacking.known_at
group by all
