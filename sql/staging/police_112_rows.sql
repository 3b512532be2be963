-- Every version of every 112 call that was known at as_of. Grain: source_id, known_at, _row_hash.
--
-- A caller's phone is located to a few hundred metres only, so such a place counts as a centroid. A location method that
-- is not described here could be a new kind of look-up and is treated as one; without a method a place is not exact.
-- Calls found on patrol (순찰발견) are discovered, those made by telephone or text message are not; any other channel, or
-- none, leaves is_discovered null, which keeps the call out of risk. The source names the district, so a call without
-- coordinates, or at 0,0, still counts there.
with
versions as (
    select
        *,
        rowid as version,
        coalesce(try_cast(updated_at as timestamptz), try_cast(reported_at as timestamptz))
            + declared_delay('police_112') as known_at
    from raw.police_112
    where known_at <= getvariable('as_of')
),
-- Keys and instants alone are grouped: a window over whole rows would spill to disk at national volume.
newest as (
    select arg_max(version, {'known_at': known_at, 'row': _row_hash}) as version from versions group by incident_no
)
select
    versions.incident_no as source_id,
    'police' as agency,
    'police' as service,
    clean_text(versions.category) as source_category,
    versions.priority::integer as priority,
    try_cast(versions.occurred_at as timestamptz) as occurred_at,
    null::timestamptz as occurred_until,
    try_cast(versions.reported_at as timestamptz) as reported_at,
    try_cast(versions.dispatched_at as timestamptz) as first_dispatched_at,
    try_cast(versions.arrived_at as timestamptz) as first_arrived_at,
    try_cast(versions.closed_at as timestamptz) as closed_at,
    nullif(versions.lon, 0) as lon,
    nullif(versions.lat, 0) as lat,
    case
        when nullif(versions.lon, 0) is null or nullif(versions.lat, 0) is null then 'none'
        when versions.location_method in ('현장확인', '주소') then 'exact'
        else 'centroid'
    end as location_quality,
    case
        when versions.location_method = '현장확인' then 'scene'
        when versions.location_method = '주소' then 'address'
        when versions.location_method is null then 'unknown'
        else 'caller_lookup'
    end as location_source,
    current_district(versions.district_code) as named_area_id,
    case clean_text(versions.report_channel)
        when '순찰발견' then true
        when '전화' then false
        when '문자' then false
    end as is_discovered,
    versions.is_withdrawn,
    false as is_excluded,
    versions.known_at,
    newest.version is not null as is_newest,
    versions._row_hash
from versions
left join newest using (version)
