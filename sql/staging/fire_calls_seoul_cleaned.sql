-- Rows of Seoul's call-reception file, of every snapshot, with clean texts and instants. Grain: source_id, row_id.
--
-- The file has nothing of units. The scene in degrees comes before the place of the accident in metres, which is read in
-- the CRS that the profile declares for this feed; what PROJ cannot read counts as no place.
with cleaned as (
    -- Leading zeros are put back: '24' is 00:00:24.
    select
        regexp_replace(columns('\w+_ymd'), '\D', '', 'g') as '\0',
        lpad(nullif(trim(columns('\w+_tm')), ''), 6, '0') as '\0',
        nullif(clean_text(columns('\w+_(?:nm|no)')), '') as '\0',
        nullif(try_cast(trim(damg_rgn_lot) as double), 0) as lon,
        nullif(try_cast(trim(damg_rgn_lat) as double), 0) as lat,
        st_transform(
            st_point(
                nullif(try_cast(trim(acdnt_ocrn_xcrd) as double), 0), nullif(try_cast(trim(acdnt_ocrn_ycrd) as double), 0)
            ),
            (select crs from reference.feeds where feed = 'fire_calls_seoul'),
            'EPSG:4326'
        ) as accident,
        _row_hash || '-' || _copy as row_id,
        _last_snapshot = (select max(_last_snapshot) from raw.fire_calls_seoul) as is_current
    from raw.fire_calls_seoul
)
select
    dclr_ymd || '-' || coalesce(dclr_rcpt_no, row_id) as source_id,
    row_id,
    is_current,
    local_instant(dclr_ymd || dclr_tm, '%Y%m%d%H%M%S') as reported_at,
    emrg_rscu_assrt_nm as first_class,
    emrg_rscu_clsf_nm as second_class,
    needs_no_unit(prcs_rslt_se_nm) as needs_no_unit,
    is_advice(prcs_rslt_se_nm) as is_advice,
    case
        when lon is not null and lat is not null then {'choice': 1, 'lon': lon, 'lat': lat}
        when isfinite(st_x(accident)) and isfinite(st_y(accident))
            then {'choice': 2, 'lon': st_x(accident), 'lat': st_y(accident)}
    end as place,
    null::timestamptz as dispatched_at,
    null::timestamptz as arrived_at,
    null::timestamptz as available_at,
    replace(clmty_sgg_nm, ' ', '') as district_name,
    clmty_ctpv_nm as province_name
from cleaned
