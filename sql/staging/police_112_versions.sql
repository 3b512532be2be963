-- What was known at as_of of the 112 calls that were not always told alike: every version of each. Grain: incident_id, known_at.
--
-- Only category, CODE, when the call came, place, how the call and its place came in, and withdrawal are watched: nearly
-- every call is written twice, few of them change in these.
-- Two versions of one instant count as one, chosen as in police_112.
with
known as (
    select
        incident_no,
        trim(replace(nfc_normalize(category), chr(8203), ''), ' ' || chr(12288)) as source_category,
        priority,
        try_cast(occurred_at as timestamptz) as occurred_at,
        try_cast(reported_at as timestamptz) as reported_at,
        nullif(lon, 0) as lon,
        nullif(lat, 0) as lat,
        location_method,
        district_code,
        case trim(replace(nfc_normalize(report_channel), chr(8203), ''), ' ' || chr(12288))
            when '순찰발견' then true
            when '전화' then false
            when '문자' then false
        end as is_discovered,
        is_withdrawn,
        _row_hash,
        coalesce(try_cast(updated_at as timestamptz), try_cast(police_112.reported_at as timestamptz))
            + to_seconds((select delay_seconds from reference.feeds where feed = 'police_112')) as known_at
    from raw.police_112
    where known_at <= getvariable('as_of')
),
watched as (
    select
        incident_no,
        hash(
            source_category, priority, coalesce(reported_at, occurred_at), lon, lat, location_method, district_code,
            is_discovered, is_withdrawn
        ) as told
    from known
),
differing as (
    select incident_no from watched group by incident_no having min(told) <> max(told)
),
versions as (
    select known.*
    from known
    semi join differing using (incident_no)
    qualify row_number() over (partition by incident_no, known_at order by _row_hash desc) = 1
)
select
    'police_112:' || incident_no as incident_id,
    'police' as agency,
    'police_112' as feed,
    'police' as service,
    source_category,
    priority::integer as priority,
    occurred_at,
    reported_at,
    lon,
    lat,
    case
        when lon is null or lat is null then 'none'
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
    is_discovered,
    null::bigint as units,
    is_withdrawn,
    known_at
from versions
