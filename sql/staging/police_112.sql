-- 112 calls, each in the latest version that was known at as_of; withdrawn ones left out. Grain: incident_id.
--
-- A caller's phone is located to a few hundred metres only, so such a place counts as a centroid. A method that nobody
-- has described here could be a new kind of look-up and is treated as one; without a method a place is no exact one.
-- Calls found on patrol (순찰발견) are discovered, those made by telephone or text message are not; any other channel, or
-- none, leaves is_discovered null, which keeps the call out of risk. The source names the district, so a call without
-- coordinates, or at 0,0, still counts there.
with
versions as (
    select
        *,
        rowid as version,
        coalesce(try_cast(updated_at as timestamptz), try_cast(reported_at as timestamptz))
            + to_seconds((select delay_seconds from reference.feeds where feed = 'police_112')) as known_at
    from raw.police_112
),
-- Keys and instants alone are grouped: a window over whole rows would spill to disk at national volume.
latest as (
    select arg_max(version, {'known_at': known_at, 'row': _row_hash}) as version
    from versions where known_at <= getvariable('as_of') group by incident_no
),
newest as (
    select versions.* from versions semi join latest using (version)
)
select
    'police_112:' || incident_no as incident_id,
    'police' as agency,
    'police_112' as feed,
    incident_no as source_id,
    'police' as service,
    -- As one sees it: Hangul composed (NFC), no zero-width or wide spaces around.
    trim(replace(nfc_normalize(category), chr(8203), ''), ' ' || chr(12288)) as source_category,
    priority::integer as priority,
    try_cast(occurred_at as timestamptz) as occurred_at,
    null::timestamptz as occurred_until,
    try_cast(reported_at as timestamptz) as reported_at,
    try_cast(dispatched_at as timestamptz) as first_dispatched_at,
    try_cast(arrived_at as timestamptz) as first_arrived_at,
    try_cast(closed_at as timestamptz) as closed_at,
    nullif(lon, 0) as lon,
    nullif(lat, 0) as lat,
    case
        when coalesce(lon, 0) = 0 or coalesce(lat, 0) = 0 then 'none'
        when location_method in ('현장확인', '주소') then 'exact'
        else 'centroid'
    end as location_quality,
    case
        when location_method = '현장확인' then 'scene'
        when location_method = '주소' then 'address'
        when location_method is null then 'unknown'
        else 'caller_lookup'
    end as location_source,
    district_code as named_area_id,
    case trim(replace(nfc_normalize(report_channel), chr(8203), ''), ' ' || chr(12288))
        when '순찰발견' then true
        when '전화' then false
        when '문자' then false
    end as is_discovered,
    known_at
from newest
where not is_withdrawn
