-- Toronto police offences of the current snapshot, exact duplicates kept as offences of their own. Grain: incident_id.
--
-- The date is local midnight written as UTC. The midnight nearest to it is taken, because the publisher applied the
-- daylight saving rules of our day to 1978 and 1980 too, where midnight then reads 23:00. The hour is added to the
-- local date, not to the instant, so that it holds on the two days a year that have 23 or 25 hours; of an hour that
-- occurs twice DuckDB takes one, of an hour that does not occur the one after.
-- An hour is all that is known: an offence happened between occurred_at and one hour later. 0 and 12 also stand for
-- unknown hours and cannot be distinguished from real ones.
-- is_discovered is false: the five categories (assault, break and enter, auto theft, robbery, theft over 5,000 dollars)
-- are offences with a victim who reports them; none is an offence that patrols come upon, such as drugs.
-- Points are moved to the nearest intersection; 0,0 means no place, but the neighbourhood that is named still counts.
with
newest as (
    select
        occurrencedate,
        occurrencehour,
        MCI,
        Neighbourhood,
        if(abs(Lat) < 1 and abs(Long) < 1, null, Lat) as lat,
        if(abs(Lat) < 1 and abs(Long) < 1, null, Long) as lon,
        _row_hash || '-' || _copy as source_id
    from raw.toronto_police_mci
    where _last_snapshot = (select max(_last_snapshot) from raw.toronto_police_mci)
),
neighbourhoods as (
    select
        min('T-' || Hood_ID) as area_id,
        regexp_replace(lower(regexp_replace(Neighbourh, '\(\d+\)', '')), '[^a-z0-9]', '', 'g') as cleaned_name
    from raw.toronto_neighbourhoods
    where _last_snapshot = (select max(_last_snapshot) from raw.toronto_neighbourhoods)
    group by cleaned_name
),
dated as (
    select
        newest.*,
        regexp_replace(lower(regexp_replace(Neighbourhood, '\(\d+\)', '')), '[^a-z0-9]', '', 'g') as cleaned_name,
        cast(
            timezone(
                getvariable('time_zone'),
                timezone('UTC', strptime(left(occurrencedate, 19), '%Y/%m/%d %H:%M:%S'))
            ) + interval 12 hours as date
        ) as local_date
    from newest
),
timed as (
    select
        *,
        timezone(getvariable('time_zone'), local_date::timestamp + to_hours(occurrencehour)) as occurred_at
    from dated
),
known as (
    select
        *,
        occurred_at + declared_delay('toronto_police_mci') as known_at
    from timed
)
select
    'toronto_police_mci:' || known.source_id as incident_id,
    'police' as agency,
    'toronto_police_mci' as feed,
    known.source_id::varchar as source_id,
    'police' as service,
    known.MCI as source_category,
    null::integer as priority,
    known.occurred_at,
    known.occurred_at + interval 1 hour as occurred_until,
    null::timestamptz as reported_at,
    null::timestamptz as first_dispatched_at,
    null::timestamptz as first_arrived_at,
    null::timestamptz as closed_at,
    known.lon,
    known.lat,
    if(known.lon is null, 'none', 'snapped') as location_quality,
    'unknown' as location_source,
    neighbourhoods.area_id as named_area_id,
    false as is_discovered,
    known.known_at
from known
left join neighbourhoods using (cleaned_name)
where known.known_at <= getvariable('as_of')
