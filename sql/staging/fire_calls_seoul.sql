-- 119 calls of Seoul's call-reception file, current snapshot; rows of one number and day are one. Grain: incident_id.
--
-- Advice, hang-ups and repeats ask for no unit: their service is null, so that they count as calls and not as demand.
-- Nothing is told of units. The scene in degrees comes before the place of the accident in metres, which is read in the
-- CRS that the profile declares for this feed; what PROJ cannot read is no place.
with
cleaned as (
    -- Leading zeros are put back: '24' is 00:00:24.
    select
        regexp_replace(columns('\w+_ymd'), '\D', '', 'g') as '\0',
        lpad(nullif(trim(columns('\w+_tm')), ''), 6, '0') as '\0',
        -- As one sees them: Hangul composed (NFC), no zero-width or wide spaces around.
        nullif(trim(replace(nfc_normalize(columns('\w+_(?:nm|no)')), chr(8203), ''), ' ' || chr(12288)), '') as '\0',
        nullif(try_cast(trim(damg_rgn_lot) as double), 0) as lon,
        nullif(try_cast(trim(damg_rgn_lat) as double), 0) as lat,
        st_transform(
            st_point(
                nullif(try_cast(trim(acdnt_ocrn_xcrd) as double), 0), nullif(try_cast(trim(acdnt_ocrn_ycrd) as double), 0)
            ),
            (select crs from reference.feeds where feed = 'fire_calls_seoul'),
            'EPSG:4326'
        ) as accident,
        _row_hash || '-' || _copy as row_id
    from raw.fire_calls_seoul
    where _last_snapshot = (select max(_last_snapshot) from raw.fire_calls_seoul)
),
services as (
    select * from (
        values ('화재', 'fire'), ('구조', 'rescue'), ('구급', 'ems'), ('자해', 'ems'), ('생활안전', 'life_safety')
    ) as service(word, service)
),
classed as (
    -- Either of two columns holds the word that says which service: headquarters differ.
    select
        dclr_ymd || '-' || coalesce(dclr_rcpt_no, row_id) as source_id,
        try_strptime(dclr_ymd || dclr_tm, '%Y%m%d%H%M%S') as reported_local,
        services.service,
        if(
            regexp_matches(concat_ws(' ', emrg_rscu_assrt_nm, emrg_rscu_clsf_nm), '자살|자해|음독|목맴|투신'),
            '자해', coalesce(services.word, emrg_rscu_clsf_nm)
        ) as source_category,
        coalesce(regexp_matches(prcs_rslt_se_nm, '중복|무응답|오접|장난|허위|안내|상담'), false) as is_talk,
        case
            when lon is not null and lat is not null then {'turn': 1, 'lon': lon, 'lat': lat}
            when isfinite(st_x(accident)) and isfinite(st_y(accident)) then {'turn': 2, 'lon': st_x(accident), 'lat': st_y(accident)}
        end as place,
        replace(clmty_sgg_nm, ' ', '') as district_name,
        clmty_ctpv_nm as province_name
    from cleaned
    left join services
        on services.word = if(emrg_rscu_assrt_nm in (select word from services), emrg_rscu_assrt_nm, emrg_rscu_clsf_nm)
),
calls as (
    select
        source_id,
        timezone(getvariable('time_zone'), min(reported_local)) as reported_at,
        reported_at + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_calls_seoul')) as known_at,
        min(service) as service,
        -- A sensitive matter or an unmapped source category in one row is one of the whole call.
        case
            when bool_or(source_category = '자해') then '자해'
            when bool_or(is_unmapped) then min(source_category) filter (is_unmapped)
            else min(source_category)
        end as source_category,
        bool_and(is_talk) as is_talk,
        min(place) as place,
        min(district_name) as district_name,
        min(province_name) as province_name
    from (
        select
            *,
            source_category is null or source_category not in (
                select source_category from reference.category_map where feed = 'fire_calls_seoul'
            ) as is_unmapped
        from classed
    )
    group by source_id
),
districts as (
    -- Some districts of different provinces have one name; then the province must be named too.
    select
        district.area_id,
        replace(district.name, ' ', '') as name,
        province.name as province_name,
        count(*) over (partition by replace(district.name, ' ', '')) as namesakes
    from reference.areas as district
    left join reference.areas as province on province.area_id = district.parent_area_id
    where district.tree = 'admin' and district.level = 'district'
)
select
    'fire_calls_seoul:' || calls.source_id as incident_id,
    'fire' as agency,
    'fire_calls_seoul' as feed,
    calls.source_id,
    if(calls.is_talk, null, calls.service) as service,
    calls.source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    calls.reported_at,
    null::timestamptz as first_dispatched_at,
    null::timestamptz as first_arrived_at,
    null::timestamptz as closed_at,
    calls.place.lon as lon,
    calls.place.lat as lat,
    if(calls.place is null, 'none', 'exact') as location_quality,
    if(calls.place.turn = 1, 'scene', 'unknown') as location_source,
    districts.area_id as named_area_id,
    false as is_discovered,
    calls.known_at
from calls
left join districts
    on districts.name = calls.district_name
    and (districts.namesakes = 1 or districts.province_name = calls.province_name)
where calls.known_at <= getvariable('as_of')
