-- Ambulance calls of Busan, current snapshot: rows of one report instant and district are one. Grain: incident_id.
--
-- The numbers are those of units' own reports, so they cannot tell calls apart; the file holds no calls that sent nobody
-- and no place but the district. Self-harm and violence in a family stand in any of several columns: one of them makes
-- the record such a matter, whatever else it says, so that nobody reads it.
with
cleaned as (
    -- Leading zeros are put back: '24' is 00:00:24.
    select
        regexp_replace(columns('\w+_ymd'), '\D', '', 'g') as '\0',
        lpad(nullif(trim(columns('\w+_tm')), ''), 6, '0') as '\0',
        -- As one sees them: Hangul composed (NFC), no zero-width or wide spaces around.
        nullif(trim(replace(nfc_normalize(columns('\w+_(?:nm|no)')), chr(8203), ''), ' ' || chr(12288)), '') as '\0',
        _row_hash || '-' || _copy as row_id
    from raw.fire_ems_busan
    where _last_snapshot = (select max(_last_snapshot) from raw.fire_ems_busan)
),
told as (
    select
        dclr_ymd || dclr_tm || ' ' || coalesce(grnds_sgg_nm, '') as source_id,
        try_strptime(dclr_ymd || dclr_tm, '%Y%m%d%H%M%S') as reported_local,
        concat_ws(
            ' ', ptn_ocrn_type_nm, etc_ocrn_type_nm, etc_ocrn_type_dtl_nm, acdnt_injr_nm, ntrma_damg_nm, ntrma_etc_damg_nm
        ) as words,
        ptn_ocrn_type_nm as kind,
        null::struct(lon double, lat double) as place,
        replace(grnds_sgg_nm, ' ', '') as district_name,
        grnds_ctpv_nm as province_name
    from cleaned
),
calls as (
    select
        source_id,
        timezone(getvariable('time_zone'), min(reported_local)) as reported_at,
        reported_at + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_ems_busan')) as known_at,
        string_agg(words, ' ') as words,
        -- An unmapped kind in one row is that of the whole call.
        coalesce(
            min(kind) filter (
                kind not in (select source_category from reference.category_map where feed = 'fire_ems_busan')
            ),
            min(kind)
        ) as kind,
        min(place) as place,
        min(district_name) as district_name,
        min(province_name) as province_name
    from told
    group by source_id
),
units as (
    select
        incident_id,
        min(dispatched_at) as first_dispatched_at,
        min(arrived_at) as first_arrived_at,
        if(count(available_at) = count(*), max(available_at), null) as closed_at
    from staging.fire_ems_busan_dispatches
    group by incident_id
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
    'fire_ems_busan:' || calls.source_id as incident_id,
    'fire' as agency,
    'fire_ems_busan' as feed,
    calls.source_id,
    'ems' as service,
    case
        when regexp_matches(calls.words, '자살|자해|음독|목맴|투신') then '자해'
        when regexp_matches(calls.words, '성폭|가정폭력|데이트폭력|학대|스토킹') then '폭력피해'
        else calls.kind
    end as source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    calls.reported_at,
    units.first_dispatched_at,
    units.first_arrived_at,
    units.closed_at,
    calls.place.lon as lon,
    calls.place.lat as lat,
    if(calls.place is null, 'none', 'exact') as location_quality,
    if(calls.place is null, 'unknown', 'scene') as location_source,
    districts.area_id as named_area_id,
    false as is_discovered,
    calls.known_at
from calls
left join units on units.incident_id = 'fire_ems_busan:' || calls.source_id
left join districts
    on districts.name = calls.district_name
    and (districts.namesakes = 1 or districts.province_name = calls.province_name)
where calls.known_at <= getvariable('as_of')
