-- What was known at as_of of the 119 calls that were not always told alike, at each of their instants. Grain: incident_id, known_at.
--
-- A call is told by one row per unit, each with versions of its own. Its state at an instant is made, as in fire_119,
-- from the newest version of each of its rows; it is withdrawn when no row of it stands. Class, what asks for no unit, time,
-- place and withdrawal are watched, and rows of further units that come more than an hour after the first row.
with
known as (
    select
        dclr_rcpt_no,
        vhcl_no,
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
        try_strptime(dspt_drtv_dt, '%Y%m%d%H%M%S') as dispatched_local,
        timezone(getvariable('time_zone'), try_strptime(dclr_dt, '%Y%m%d%H%M%S')) as reported_at,
        nullif(try_cast(trim(damg_rgn_lot) as double), 0) as lon,
        nullif(try_cast(trim(damg_rgn_lat) as double), 0) as lat,
        clmty_sgg_cd,
        del_yn = 'Y' as is_withdrawn,
        _row_hash,
        timezone(
            getvariable('time_zone'), coalesce(try_strptime(chg_dt, '%Y%m%d%H%M%S'), try_strptime(dclr_dt, '%Y%m%d%H%M%S'))
        ) + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_119')) as known_at
    from raw.fire_119
    where known_at <= getvariable('as_of')
),
told as (
    select
        dclr_rcpt_no,
        hash(
            source_category, is_talk and dispatched_local is null, reported_at, lon, lat, clmty_sgg_cd, is_withdrawn
        ) as told,
        min(known_at) as first_known_at
    from known
    group by dclr_rcpt_no, vhcl_no, told
),
differing as (
    select dclr_rcpt_no
    from told
    group by dclr_rcpt_no
    having min(told) <> max(told) or max(first_known_at) > min(first_known_at) + interval 1 hour
),
versions as (
    select known.* from known semi join differing using (dclr_rcpt_no)
),
instants as (
    select distinct dclr_rcpt_no, known_at as told_at from versions
),
standing as (
    select instants.told_at, versions.*
    from instants
    join versions on versions.dclr_rcpt_no = instants.dclr_rcpt_no and versions.known_at <= instants.told_at
    qualify row_number() over (
        partition by versions.dclr_rcpt_no, told_at, vhcl_no order by versions.known_at desc, _row_hash desc
    ) = 1
),
-- A call that is withdrawn is what it was.
telling as (
    select * from standing qualify not is_withdrawn or bool_and(is_withdrawn) over (partition by dclr_rcpt_no, told_at)
),
states as (
    select
        dclr_rcpt_no,
        told_at,
        -- A sensitive matter in one row is one of the whole call.
        if(bool_or(source_category = '자해'), '자해', first(source_category order by known_at desc, vhcl_no)) as source_category,
        first(unit_service order by dispatched_local nulls last, vhcl_no)
            filter (where unit_service is not null) as unit_service,
        min(reported_at) as reported_at,
        bool_and(is_talk) and count(dispatched_local) = 0 as is_talk,
        min({'lon': lon, 'lat': lat}) filter (where lon is not null and lat is not null) as place,
        min(clmty_sgg_cd) as named_area_id,
        count(*) filter (where vhcl_no <> '') as units,
        bool_and(is_withdrawn) as is_withdrawn
    from telling
    group by dclr_rcpt_no, told_at
)
select
    'fire_119:' || dclr_rcpt_no as incident_id,
    'fire' as agency,
    'fire_119' as feed,
    case
        when is_talk then null
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
    reported_at,
    place.lon as lon,
    place.lat as lat,
    if(place is null, 'none', 'exact') as location_quality,
    if(place is null, 'unknown', 'scene') as location_source,
    named_area_id,
    null::boolean as is_discovered,
    units,
    is_withdrawn,
    told_at as known_at
from states
