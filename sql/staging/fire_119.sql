-- 119 calls: the rows of a call's units as one incident, each row in the latest version that was known at as_of;
-- withdrawn ones left out. Grain: incident_id.
--
-- Times are the first unit's; a call is closed when its last unit is back. Advice, hang-ups and repeats ask for no unit,
-- by their class (안내, 기타) or by how they ended before anybody was sent (중복신고, 무응답, …): their service is null, so
-- that they count as calls answered and never as demand. A call of a service that was cancelled before anybody was sent
-- keeps its service and has no first_dispatched_at. A class that nobody has described asks for what was sent: the service
-- of its first unit of a known kind, so that the call is not lost to demand; null where that is unknown too, or nobody was sent.
with
versions as (
    select
        *,
        rowid as version,
        timezone(
            getvariable('time_zone'), coalesce(try_strptime(chg_dt, '%Y%m%d%H%M%S'), try_strptime(dclr_dt, '%Y%m%d%H%M%S'))
        ) + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_119')) as known_at
    from raw.fire_119
),
-- Keys and instants alone are grouped: a window over whole rows would spill to disk at national volume.
latest as (
    select arg_max(version, {'known_at': known_at, 'row': _row_hash}) as version
    from versions where known_at <= getvariable('as_of') group by dclr_rcpt_no, vhcl_no
),
newest as (
    select versions.* from versions semi join latest using (version)
),
"read" as (
    select
        dclr_rcpt_no,
        vhcl_no,
        -- As one sees it: Hangul composed (NFC), no zero-width or wide spaces around.
        trim(replace(nfc_normalize(emrg_rscu_clsf_nm), chr(8203), ''), ' ' || chr(12288)) as word,
        if(regexp_matches(word, '자살|자해|음독|목맴|투신'), '자해', word) as source_category,
        case
            when vhcl_no = '' or source_category in ('화재', '구조', '구급', '자해', '생활안전', '안내', '기타') then null
            when nfc_normalize(vhcl_se_nm) like '%구급%' then 'ems'
            when nfc_normalize(vhcl_se_nm) like '%구조%' then 'rescue'
            when nfc_normalize(vhcl_se_nm) like '%생활안전%' then 'life_safety'
            when regexp_matches(nfc_normalize(vhcl_se_nm), '펌프|물탱크|사다리|화학|소방') then 'fire'
        end as unit_service,
        coalesce(regexp_matches(prcs_rslt_se_nm, '중복|무응답|오접|장난|허위|안내|상담'), false) as is_talk,
        try_strptime(dclr_dt, '%Y%m%d%H%M%S') as reported_local,
        try_strptime(dspt_drtv_dt, '%Y%m%d%H%M%S') as dispatched_local,
        try_strptime(grnds_arvl_dt, '%Y%m%d%H%M%S') as arrived_local,
        try_strptime(cbk_dt, '%Y%m%d%H%M%S') as back_local,
        nullif(try_cast(trim(damg_rgn_lot) as double), 0) as lon,
        nullif(try_cast(trim(damg_rgn_lat) as double), 0) as lat,
        clmty_sgg_cd,
        known_at
    from newest
    where del_yn <> 'Y'
),
calls as (
    select
        dclr_rcpt_no,
        -- A sensitive matter in one row is one of the whole call.
        if(bool_or(source_category = '자해'), '자해', first(source_category order by known_at desc, vhcl_no)) as source_category,
        first(unit_service order by dispatched_local nulls last, vhcl_no)
            filter (where unit_service is not null) as unit_service,
        bool_and(is_talk) as is_talk,
        min(reported_local) as reported_local,
        min(dispatched_local) as dispatched_local,
        min(arrived_local) as arrived_local,
        if(count(dispatched_local) = count(back_local), max(back_local), null) as closed_local,
        min({'lon': lon, 'lat': lat}) filter (where lon is not null and lat is not null) as place,
        min(clmty_sgg_cd) as named_area_id,
        max(known_at) as known_at
    from "read"
    group by dclr_rcpt_no
)
select
    'fire_119:' || dclr_rcpt_no as incident_id,
    'fire' as agency,
    'fire_119' as feed,
    dclr_rcpt_no as source_id,
    case
        when is_talk and dispatched_local is null then null
        when source_category = '화재' then 'fire'
        when source_category = '구조' then 'rescue'
        when source_category in ('구급', '자해') then 'ems'
        when source_category = '생활안전' then 'life_safety'
        when source_category in ('안내', '기타') then null
        else unit_service
    end as service,
    source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    timezone(getvariable('time_zone'), reported_local) as reported_at,
    timezone(getvariable('time_zone'), dispatched_local) as first_dispatched_at,
    timezone(getvariable('time_zone'), arrived_local) as first_arrived_at,
    timezone(getvariable('time_zone'), closed_local) as closed_at,
    place.lon as lon,
    place.lat as lat,
    if(place is null, 'none', 'exact') as location_quality,
    if(place is null, 'unknown', 'scene') as location_source,
    named_area_id,
    false as is_discovered,
    known_at
from calls
