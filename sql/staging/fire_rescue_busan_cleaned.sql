-- Rows of Busan's rescue file, of every snapshot, with clean texts and instants. Grain: source_id, row_id.
--
-- Bees, animals, locked doors and ice about to fall are life safety by law (소방기본법 16조의3), not rescue. Self-harm
-- appears in any of several columns: one of them, in any snapshot, makes the whole record such a matter. left_scene_at is the end of the
-- rescue.
with cleaned as (
    -- Leading zeros are put back: '24' is 00:00:24.
    select
        regexp_replace(columns('\w+_ymd'), '\D', '', 'g') as '\0',
        lpad(nullif(trim(columns('\w+_tm')), ''), 6, '0') as '\0',
        nullif(clean_text(columns('\w+_(?:nm|no)')), '') as '\0',
        nullif(try_cast(trim(damg_rgn_lot) as double), 0) as lon,
        nullif(try_cast(trim(damg_rgn_lat) as double), 0) as lat,
        _row_hash || '-' || _copy as row_id,
        _last_snapshot = (select max(_last_snapshot) from raw.fire_rescue_busan) as is_current
    from raw.fire_rescue_busan
),
described as (
    select
        *,
        dclr_ymd || dclr_tm || ' ' || coalesce(grnds_sgg_nm, '') as source_id,
        concat_ws(' ', acdnt_cs_nm, acdnt_cs_assrt_nm, etc_ocrn_type_dtl_nm) as row_words,
        string_agg(row_words, ' ') over (partition by source_id) as words,
        string_agg(row_words, ' ') filter (is_current) over (partition by source_id) as current_words
    from cleaned
)
select
    source_id,
    row_id,
    is_current,
    local_instant(dclr_ymd || dclr_tm, '%Y%m%d%H%M%S') as reported_at,
    if(regexp_matches(current_words, '생활안전|벌집|동물|잠금|고드름'), 'life_safety', 'rescue') as service,
    if(is_self_harm(words), '자해', null) as sensitive_category,
    acdnt_cs_nm as type,
    if(lon is null or lat is null, null, {'lon': lon, 'lat': lat}) as place,
    replace(grnds_sgg_nm, ' ', '') as district_name,
    grnds_ctpv_nm as province_name,
    coalesce(lfdau_nm, cntr_nm, frstn_nm, 'unit') as unit,
    '구조대' as unit_type,
    frstn_nm as station,
    local_instant(dspt_ymd || dspt_tm, '%Y%m%d%H%M%S') as dispatched_at,
    local_instant(grnds_arvl_ymd || grnds_arvl_tm, '%Y%m%d%H%M%S') as arrived_at,
    null::timestamptz as patient_contact_at,
    local_instant(rscu_cmptn_ymd || rscu_cmptn_tm, '%Y%m%d%H%M%S') as left_scene_at,
    local_instant(cbk_ymd || cbk_tm, '%Y%m%d%H%M%S') as available_at
from described
