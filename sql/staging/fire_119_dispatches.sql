-- Units sent to 119 calls, each in the latest version that was known at as_of; withdrawn ones left out. Grain: incident_id, unit_id.
--
-- The source names a unit's station; home_station_id is that station's area where the fire tree has one of that name in the call's province.
with
versions as (
    select
        *,
        rowid as version,
        timezone(
            getvariable('time_zone'), coalesce(try_strptime(chg_dt, '%Y%m%d%H%M%S'), try_strptime(dclr_dt, '%Y%m%d%H%M%S'))
        ) + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_119')) as known_at
    from raw.fire_119
    where vhcl_no <> ''
),
-- Keys and instants alone are grouped: a window over whole rows would spill to disk at national volume.
latest as (
    select arg_max(version, {'known_at': known_at, 'row': _row_hash}) as version
    from versions where known_at <= getvariable('as_of') group by dclr_rcpt_no, vhcl_no
),
newest as (
    select versions.* from versions semi join latest using (version)
),
stations as (
    select name, substr(area_id, 3, 2) as province_id, min(area_id) as area_id
    from reference.areas where tree = 'fire' and level = 'station' group by name, province_id
)
select
    'fire_119:' || newest.dclr_rcpt_no as incident_id,
    newest.vhcl_no as unit_id,
    newest.vhcl_se_nm as unit_type,
    coalesce(stations.area_id, trim(newest.cmptnc_frstn_nm)) as home_station_id,
    timezone(getvariable('time_zone'), try_strptime(newest.dspt_drtv_dt, '%Y%m%d%H%M%S')) as dispatched_at,
    timezone(getvariable('time_zone'), try_strptime(newest.dspt_dt, '%Y%m%d%H%M%S')) as en_route_at,
    timezone(getvariable('time_zone'), try_strptime(newest.grnds_arvl_dt, '%Y%m%d%H%M%S')) as arrived_at,
    timezone(getvariable('time_zone'), try_strptime(newest.ptn_cntc_dt, '%Y%m%d%H%M%S')) as patient_contact_at,
    timezone(getvariable('time_zone'), try_strptime(newest.grnds_dptre_dt, '%Y%m%d%H%M%S')) as left_scene_at,
    timezone(getvariable('time_zone'), try_strptime(newest.hsptl_arvl_dt, '%Y%m%d%H%M%S')) as hospital_at,
    timezone(getvariable('time_zone'), try_strptime(newest.cbk_dt, '%Y%m%d%H%M%S')) as available_at
from newest
left join stations
    on stations.name = trim(newest.cmptnc_frstn_nm) and stations.province_id = left(newest.clmty_sgg_cd, 2)
where newest.del_yn <> 'Y'
