-- Every version of every row of a 119 call, one row per unit, that was known at as_of. Grain: source_id, unit_id, known_at, _row_hash.
--
-- A class that is not described here needs what was sent: unit_service is the service of the unit's kind, so that the
-- call is not lost to demand. unit_id is empty in the row of a call without a unit.
with
versions as (
    select
        *,
        rowid as version,
        coalesce(local_instant(chg_dt, '%Y%m%d%H%M%S'), local_instant(dclr_dt, '%Y%m%d%H%M%S'))
            + declared_delay('fire_119') as known_at,
        clean_text(emrg_rscu_clsf_nm) as class,
        if(is_self_harm(class), '자해', class) as source_category,
        nfc_normalize(vhcl_se_nm) as vehicle
    from raw.fire_119
    where known_at <= getvariable('as_of')
),
-- Keys and instants alone are grouped: a window over whole rows would spill to disk at national volume.
newest as (
    select arg_max(version, {'known_at': known_at, 'row': _row_hash}) as version
    from versions
    group by dclr_rcpt_no, vhcl_no
)
select
    versions.dclr_rcpt_no as source_id,
    versions.vhcl_no as unit_id,
    versions.vhcl_se_nm as unit_type,
    trim(versions.cmptnc_frstn_nm) as station,
    versions.source_category,
    case
        when versions.vhcl_no = '' then null
        when versions.source_category in ('화재', '구조', '구급', '자해', '생활안전', '안내', '기타') then null
        when versions.vehicle like '%구급%' then 'ems'
        when versions.vehicle like '%구조%' then 'rescue'
        when versions.vehicle like '%생활안전%' then 'life_safety'
        when regexp_matches(versions.vehicle, '펌프|물탱크|사다리|화학|소방') then 'fire'
    end as unit_service,
    needs_no_unit(versions.prcs_rslt_se_nm) as needs_no_unit,
    is_advice(versions.prcs_rslt_se_nm) as is_advice,
    local_instant(versions.dclr_dt, '%Y%m%d%H%M%S') as reported_at,
    local_instant(versions.dspt_drtv_dt, '%Y%m%d%H%M%S') as dispatched_at,
    local_instant(versions.dspt_dt, '%Y%m%d%H%M%S') as en_route_at,
    local_instant(versions.grnds_arvl_dt, '%Y%m%d%H%M%S') as arrived_at,
    local_instant(versions.ptn_cntc_dt, '%Y%m%d%H%M%S') as patient_contact_at,
    local_instant(versions.grnds_dptre_dt, '%Y%m%d%H%M%S') as left_scene_at,
    local_instant(versions.hsptl_arvl_dt, '%Y%m%d%H%M%S') as hospital_at,
    local_instant(versions.cbk_dt, '%Y%m%d%H%M%S') as available_at,
    nullif(try_cast(trim(versions.damg_rgn_lot) as double), 0) as lon,
    nullif(try_cast(trim(versions.damg_rgn_lat) as double), 0) as lat,
    current_district(versions.clmty_sgg_cd) as named_area_id,
    versions.del_yn = 'Y' as is_withdrawn,
    false as is_excluded,
    versions.known_at,
    newest.version is not null as is_newest,
    versions._row_hash
from versions
left join newest using (version)
