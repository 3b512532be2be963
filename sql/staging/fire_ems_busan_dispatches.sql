-- Ambulances sent, from Busan's file, current snapshot. Grain: incident_id, unit_id.
--
-- One instant is told of order and departure, and counts as the order; the arrival at a hospital is not told. A unit is
-- named by its post alone: rows of one post that left, arrived and came back together are one ambulance with several
-- patients, others of that post are numbered.
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
timed as (
    select
        dclr_ymd || dclr_tm || ' ' || coalesce(grnds_sgg_nm, '') as source_id,
        coalesce(lfdau_nm, cntr_nm, frstn_nm, 'unit') as unit,
        frstn_nm as station,
        try_strptime(dspt_ymd || dspt_tm, '%Y%m%d%H%M%S') as dispatched_local,
        try_strptime(grnds_arvl_ymd || grnds_arvl_tm, '%Y%m%d%H%M%S') as arrived_local,
        try_strptime(cbk_ymd || cbk_tm, '%Y%m%d%H%M%S') as back_local,
        try_strptime(ptn_cntc_ymd || ptn_cntc_tm, '%Y%m%d%H%M%S') as contact_local,
        try_strptime(grnds_dptre_ymd || grnds_dptre_tm, '%Y%m%d%H%M%S') as left_local
    from cleaned
),
sent as (
    select
        source_id, unit, station, dispatched_local, arrived_local, back_local,
        min(contact_local) as contact_local,
        max(left_local) as left_local
    from timed
    group by all
),
numbered as (
    select
        *,
        row_number() over (
            partition by source_id, unit order by dispatched_local, arrived_local, back_local, station
        ) as turn
    from sent
),
stations as (
    select name, min(area_id) as area_id from reference.areas where tree = 'fire' and level = 'station' group by name
)
select
    'fire_ems_busan:' || numbered.source_id as incident_id,
    numbered.unit || if(numbered.turn = 1, '', ' ' || numbered.turn) as unit_id,
    '구급차' as unit_type,
    coalesce(stations.area_id, numbered.station) as home_station_id,
    timezone(getvariable('time_zone'), numbered.dispatched_local) as dispatched_at,
    null::timestamptz as en_route_at,
    timezone(getvariable('time_zone'), numbered.arrived_local) as arrived_at,
    timezone(getvariable('time_zone'), numbered.contact_local) as patient_contact_at,
    timezone(getvariable('time_zone'), numbered.left_local) as left_scene_at,
    null::timestamptz as hospital_at,
    timezone(getvariable('time_zone'), numbered.back_local) as available_at
from numbered
left join stations on stations.name = numbered.station
