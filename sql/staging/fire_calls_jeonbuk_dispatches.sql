-- Units sent to Jeonbuk's 119 calls, current snapshot: rows that were ordered out. Grain: incident_id, unit_id.
--
-- Units have no name in the file and are numbered within their call, in order of their times. The station is the one
-- that is in charge of the place. Departure and contact with a patient are not told.
with
digits as (
    select * replace (
        regexp_replace(dspt_drtv_dt, '\D', '', 'g') as dspt_drtv_dt,
        regexp_replace(grnds_arvl_dt, '\D', '', 'g') as grnds_arvl_dt,
        regexp_replace(hsptl_arvl_dt, '\D', '', 'g') as hsptl_arvl_dt,
        regexp_replace(cbk_dt, '\D', '', 'g') as cbk_dt
    )
    from raw.fire_calls_jeonbuk
    where _last_snapshot = (select max(_last_snapshot) from raw.fire_calls_jeonbuk)
),
cleaned as (
    -- Leading zeros are put back: '24' is 00:00:24.
    select
        regexp_replace(columns('\w+_ymd'), '\D', '', 'g') as '\0',
        lpad(nullif(trim(columns('\w+_tm')), ''), 6, '0') as '\0',
        left(columns('\w+_dt'), 8) || lpad(substr(columns('\w+_dt'), 9), 6, '0') as '\0',
        -- As one sees them: Hangul composed (NFC), no zero-width or wide spaces around.
        nullif(trim(replace(nfc_normalize(columns('\w+_(?:nm|no)')), chr(8203), ''), ' ' || chr(12288)), '') as '\0',
        _row_hash || '-' || _copy as row_id
    from digits
),
numbered as (
    select
        dclr_ymd || '-' || coalesce(dclr_rcpt_no, row_id) as source_id,
        cmptnc_frstn_nm as station,
        try_strptime(dspt_drtv_dt, '%Y%m%d%H%M%S') as dispatched_local,
        try_strptime(grnds_arvl_dt, '%Y%m%d%H%M%S') as arrived_local,
        try_strptime(hsptl_arvl_dt, '%Y%m%d%H%M%S') as hospital_local,
        try_strptime(cbk_dt, '%Y%m%d%H%M%S') as back_local,
        row_number() over (
            partition by source_id order by dispatched_local, arrived_local, back_local, row_id
        ) as turn
    from cleaned
    where dispatched_local is not null
),
stations as (
    select name, min(area_id) as area_id from reference.areas where tree = 'fire' and level = 'station' group by name
)
select
    'fire_calls_jeonbuk:' || numbered.source_id as incident_id,
    'unit ' || numbered.turn as unit_id,
    null::varchar as unit_type,
    coalesce(stations.area_id, numbered.station) as home_station_id,
    timezone(getvariable('time_zone'), numbered.dispatched_local) as dispatched_at,
    null::timestamptz as en_route_at,
    timezone(getvariable('time_zone'), numbered.arrived_local) as arrived_at,
    null::timestamptz as patient_contact_at,
    null::timestamptz as left_scene_at,
    timezone(getvariable('time_zone'), numbered.hospital_local) as hospital_at,
    timezone(getvariable('time_zone'), numbered.back_local) as available_at
from numbered
left join stations on stations.name = numbered.station
