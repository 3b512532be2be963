-- Rows of Jeonbuk's call-reception file, of every snapshot, with clean texts and instants. Grain: source_id, row_id.
--
-- The scene comes before the place of the accident.
with
digits as (
    select * replace (
        regexp_replace(dspt_drtv_dt, '\D', '', 'g') as dspt_drtv_dt,
        regexp_replace(grnds_arvl_dt, '\D', '', 'g') as grnds_arvl_dt,
        regexp_replace(hsptl_arvl_dt, '\D', '', 'g') as hsptl_arvl_dt,
        regexp_replace(cbk_dt, '\D', '', 'g') as cbk_dt
    ),
    _last_snapshot = (select max(_last_snapshot) from raw.fire_calls_jeonbuk) as is_current
    from raw.fire_calls_jeonbuk
),
cleaned as (
    -- Leading zeros are put back: '24' is 00:00:24.
    select
        regexp_replace(columns('\w+_ymd'), '\D', '', 'g') as '\0',
        lpad(nullif(trim(columns('\w+_tm')), ''), 6, '0') as '\0',
        left(columns('\w+_dt'), 8) || lpad(substr(columns('\w+_dt'), 9), 6, '0') as '\0',
        nullif(clean_text(columns('\w+_(?:nm|no)')), '') as '\0',
        nullif(try_cast(trim(damg_rgn_lot) as double), 0) as lon,
        nullif(try_cast(trim(damg_rgn_lat) as double), 0) as lat,
        nullif(try_cast(trim(acdnt_ocrn_lot) as double), 0) as second_lon,
        nullif(try_cast(trim(acdnt_ocrn_lat) as double), 0) as second_lat,
        _row_hash || '-' || _copy as row_id,
        is_current
    from digits
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
        when second_lon is not null and second_lat is not null then {'choice': 2, 'lon': second_lon, 'lat': second_lat}
    end as place,
    local_instant(dspt_drtv_dt, '%Y%m%d%H%M%S') as dispatched_at,
    local_instant(grnds_arvl_dt, '%Y%m%d%H%M%S') as arrived_at,
    local_instant(hsptl_arvl_dt, '%Y%m%d%H%M%S') as hospital_at,
    local_instant(cbk_dt, '%Y%m%d%H%M%S') as available_at,
    cmptnc_frstn_nm as station,
    replace(clmty_sgg_nm, ' ', '') as district_name,
    clmty_ctpv_nm as province_name
from cleaned
