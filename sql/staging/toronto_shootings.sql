-- Toronto shootings and firearm discharges, standing in for investigation cases; the version of each event with the
-- highest row number of the portal. Grain: incident_id.
--
-- An hour is all that is known of the time: an event is between occurred_at and occurred_until. Without an hour the
-- part of the day bounds it (all such rows say Night, which is midnight to six), else the whole local day.
-- The point is read from GeoJSON as well as from the Python literal of the shared vintage. NSA (not specified) events
-- sit at 0,0: no place, no area. is_discovered is null: how an event came to notice is not published.
with
parts_of_day as (
    select * from (values ('Night', 0, 6), ('Morning', 6, 12), ('Afternoon', 12, 18), ('Evening', 18, 24))
        as part(OCC_TIME_RANGE, first_hour, end_hour)
),
timed as (
    select
        events.*,
        list_transform(
            regexp_extract_all(events.geometry, '-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?'), lambda number: number::double
        ) as numbers,
        timezone(
            getvariable('time_zone'),
            left(events.OCC_DATE, 10)::timestamp + to_hours(coalesce(events.OCC_HOUR, part.first_hour, 0))
        ) as occurred_at,
        timezone(
            getvariable('time_zone'), left(events.OCC_DATE, 10)::timestamp + to_hours(coalesce(part.end_hour, 24))
        ) as ended_at
    from raw.toronto_shootings as events
    left join parts_of_day as part using (OCC_TIME_RANGE)
),
placed as (
    select
        *,
        if(abs(numbers[1]) < 1 and abs(numbers[2]) < 1, null, numbers[1]) as lon,
        if(abs(numbers[1]) < 1 and abs(numbers[2]) < 1, null, numbers[2]) as lat,
        occurred_at + declared_delay('toronto_shootings') as known_at
    from timed
),
newest as (
    select *
    from placed
    where known_at <= getvariable('as_of')
    qualify row_number() over (partition by EVENT_UNIQUE_ID order by X_id desc, _row_hash desc) = 1
)
select
    'toronto_shootings:' || EVENT_UNIQUE_ID as incident_id,
    'investigation' as agency,
    'toronto_shootings' as feed,
    EVENT_UNIQUE_ID as source_id,
    'investigation' as service,
    'shooting' as source_category,
    null::integer as priority,
    occurred_at,
    if(OCC_HOUR is null, ended_at, occurred_at + interval 1 hour) as occurred_until,
    null::timestamptz as reported_at,
    null::timestamptz as first_dispatched_at,
    null::timestamptz as first_arrived_at,
    null::timestamptz as closed_at,
    lon,
    lat,
    if(lon is null, 'none', 'snapped') as location_quality,
    'unknown' as location_source,
    if(regexp_full_match(HOOD_140, '\d{3}'), 'T-' || HOOD_140, null) as named_area_id,
    null::boolean as is_discovered,
    known_at
from newest
