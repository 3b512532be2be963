-- The newest lists of 112 call numbers known at as_of, each compared with the calls we know: is it accepted? Grain: snapshot.
--
-- A list speaks of the numbers up to its last one, from the day after its first one's (of that day it may tell a part), and
-- of calls that were known before it was made. One that lacks more of these than max_missing_share is cut off or of another place: it
-- withdraws nothing, and the list before it holds on. That is judged here and not when it arrives, so that the order of
-- arrival changes nothing.
with
snapshots as (
    select _first_snapshot as snapshot from raw.police_112_keys
    union
    select _last_snapshot as snapshot from raw.police_112_keys
),
lists as (
    select snapshot, split_part(snapshot, '/', 1)::timestamptz as listed_at
    from snapshots
    where listed_at <= getvariable('as_of')
    qualify row_number() over (order by snapshot desc) <= 4
),
spans as (
    select
        lists.snapshot,
        lists.listed_at,
        min(held.incident_no) as first_key,
        max(held.incident_no) as last_key,
        count(*) as listed_keys
    from lists
    join raw.police_112_keys as held
        on held._first_snapshot <= lists.snapshot and held._last_snapshot >= lists.snapshot
    group by lists.snapshot, lists.listed_at
),
compared as (
    select
        spans.snapshot,
        count(*) as known_keys,
        count(*) filter (
            where held.incident_no is null or held._first_snapshot > spans.snapshot or held._last_snapshot < spans.snapshot
        ) as missing_keys
    from spans
    join staging.police_112 as calls
        on left(calls.source_id, 8) > left(spans.first_key, 8)
        and calls.source_id < spans.last_key
        and calls.known_at < spans.listed_at
    left join raw.police_112_keys as held on held.incident_no = calls.source_id and held._copy = 1
    group by spans.snapshot
)
select
    'police_112' as feed,
    spans.snapshot,
    spans.listed_at,
    spans.first_key,
    spans.last_key,
    spans.listed_keys,
    coalesce(compared.known_keys, 0) as known_keys,
    coalesce(compared.missing_keys, 0) as missing_keys,
    coalesce(compared.missing_keys, 0)
        <= coalesce(compared.known_keys, 0)
        * (select max_missing_share from reference.feeds where feed = 'police_112_keys') as is_accepted
from spans
left join compared on compared.snapshot = spans.snapshot
