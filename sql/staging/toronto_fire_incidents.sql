-- Toronto fires of the current snapshot, with alarm and first arrival. Grain: incident_id.
--
-- Times carry UTC, or nothing, but read the local wall clock, so their offset is cut off. When a fire began is not
-- known: reported_at is the alarm, occurred_at is null. On the autumn night whose hour comes twice, an arrival that
-- reads earlier than its alarm is taken an hour later. Slow arrivals (up to five hours) are real rows and stay.
-- Points stand at the nearest intersection; those outside the city stay, without an area.
with
newest as (
    select
        timezone(getvariable('time_zone'), replace(left(tfs_alarm_time, 19), 'T', ' ')::timestamp) as reported_at,
        timezone(getvariable('time_zone'), replace(left(tfs_arrival_time, 19), 'T', ' ')::timestamp) as arrived_at,
        if(abs(latitude) < 1 and abs(longitude) < 1, null, latitude) as lat,
        if(abs(latitude) < 1 and abs(longitude) < 1, null, longitude) as lon,
        _row_hash || '-' || _copy as source_id
    from raw.toronto_fire_incidents
    where _last_snapshot = (select max(_last_snapshot) from raw.toronto_fire_incidents)
),
known as (
    select
        *,
        reported_at + declared_delay('toronto_fire_incidents') as known_at
    from newest
)
select
    'toronto_fire_incidents:' || source_id as incident_id,
    'fire' as agency,
    'toronto_fire_incidents' as feed,
    source_id::varchar as source_id,
    'fire' as service,
    'fire' as source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    reported_at,
    null::timestamptz as first_dispatched_at,
    if(arrived_at < reported_at, arrived_at + interval 1 hour, arrived_at) as first_arrived_at,
    null::timestamptz as closed_at,
    lon,
    lat,
    if(lon is null, 'none', 'snapped') as location_quality,
    'unknown' as location_source,
    null::varchar as named_area_id,
    false as is_discovered,
    known_at
from known
where known_at <= getvariable('as_of')
