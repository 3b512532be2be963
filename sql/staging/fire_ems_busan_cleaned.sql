-- Rows of Busan's ambulance file, of every snapshot, with clean texts and instants. Grain: source_id, row_id.
--
-- Self-harm and violence in a family appear in any of several columns: one of them, in any snapshot, makes the whole record such a matter.
-- The file has no place but the district, and not the arrival at a hospital.
with cleaned as (
    -- Leading zeros are put back: '24' is 00:00:24.
    select
        regexp_replace(columns('\w+_ymd'), '\D', '', 'g') as '\0',
        lpad(nullif(trim(columns('\w+_tm')), ''), 6, '0') as '\0',
        nullif(clean_text(columns('\w+_(?:nm|no)')), '') as '\0',
        _row_hash || '-' || _copy as row_id,
        _last_snapshot = (select max(_last_snapshot) from raw.fire_ems_busan) as is_current
    from raw.fire_ems_busan
),
described as (
    select
        *,
        dclr_ymd || dclr_tm || ' ' || coalesce(grnds_sgg_nm, '') as source_id,
        string_agg(concat_ws(
            ' ', ptn_ocrn_type_nm, etc_ocrn_type_nm, etc_ocrn_type_dtl_nm, acdnt_injr_nm, ntrma_damg_nm, ntrma_etc_damg_nm
        ), ' ') over (partition by source_id) as words
    from cleaned
)
select
    source_id,
    row_id,
    is_current,
    local_instant(dclr_ymd || dclr_tm, '%Y%m%d%H%M%S') as reported_at,
    'ems' as service,
    case
        when is_self_harm(words) then '자해'
        when regexp_matches(words, '성폭|가정폭력|데이트폭력|학대|스토킹') then '폭력피해'
    end as sensitive_category,
    ptn_ocrn_type_nm as type,
    null::struct(lon double, lat double) as place,
    replace(grnds_sgg_nm, ' ', '') as district_name,
    grnds_ctpv_nm as province_name,
    coalesce(lfdau_nm, cntr_nm, frstn_nm, 'unit') as unit,
    '구급차' as unit_type,
    frstn_nm as station,
    local_instant(dspt_ymd || dspt_tm, '%Y%m%d%H%M%S') as dispatched_at,
    local_instant(grnds_arvl_ymd || grnds_arvl_tm, '%Y%m%d%H%M%S') as arrived_at,
    local_instant(ptn_cntc_ymd || ptn_cntc_tm, '%Y%m%d%H%M%S') as patient_contact_at,
    local_instant(grnds_dptre_ymd || grnds_dptre_tm, '%Y%m%d%H%M%S') as left_scene_at,
    local_instant(cbk_ymd || cbk_tm, '%Y%m%d%H%M%S') as available_at
from described
