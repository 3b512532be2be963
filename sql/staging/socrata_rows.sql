-- Rows of a Socrata table, every version of each that was known at as_of. Grain: row_id, known_at, _row_hash.
--
-- The name in quotes is that of the feed that a profile declares: one file serves all cities. Instants without offset
-- are local; in the hour that an autumn night has twice, DuckDB takes one of both. Yes and no come as true, Y, 1 and the
-- like. The district that a row names is found by its code or by its name, whatever zeros and other characters are around it.
--
-- A column whose every time is midnight states days. Of a day of occurrence, or of the report where nothing else is known, the
-- time is unknown: a span from occurred_at to occurred_until. Other days give no instant.
with
"table" as (
    -- A keyed feed's table knows no snapshots: taken by name, those columns are null there.
    select * from raw."socrata"
    union all by name
    select null::bigint as _copy, null::varchar as _last_snapshot where false
),
feed as (
    select * from reference.feeds where feed = 'socrata'
),
day_columns as (
    select
        coalesce(
            bool_and(regexp_matches(columns('_at$'), '^\d{4}-\d\d-\d\d([T ]00:00(:00(\.0+)?)?(Z|[+-]\d\d:\d\d)?)?$')), false
        ) as '\0_is_day'
    from "table"
),
timed as (
    select
        source_id,
        row_id,
        trim(category) as source_category,
        trim(priority) as source_priority,
        coalesce(written_instant(updated_at, false), written_day(updated_at, false, 1)) as updated_at,
        written_instant(reported_at, reported_at_is_day) as reported_at,
        written_day(reported_at, reported_at_is_day, 1) as reported_until,
        if(occurred_at is null and written_instant(reported_at, reported_at_is_day) is null, reported_at, occurred_at) as day_text,
        coalesce(occurred_at_is_day or (occurred_at is null and reported_at_is_day), false) as is_day,
        coalesce(written_instant(day_text, is_day), written_day(day_text, is_day, 0)) as occurred_at,
        written_day(day_text, is_day, 1) as occurred_until,
        written_instant(dispatched_at, dispatched_at_is_day) as dispatched_at,
        written_instant(en_route_at, en_route_at_is_day) as en_route_at,
        written_instant(arrived_at, arrived_at_is_day) as arrived_at,
        written_instant(left_scene_at, left_scene_at_is_day) as left_scene_at,
        written_instant(hospital_at, hospital_at_is_day) as hospital_at,
        written_instant(available_at, available_at_is_day) as available_at,
        written_instant(closed_at, closed_at_is_day) as closed_at,
        trim(unit_id) as unit_id,
        trim(unit_type) as unit_type,
        nullif(try_cast(lon as double), 0) as lon,
        nullif(try_cast(lat as double), 0) as lat,
        nullif(trim(area_code), '') as area_text,
        ltrim(regexp_replace(lower(regexp_replace(area_code, '\.0+$', '')), '[^\pL\pN]', '', 'g'), '0') as area_word,
        lower(trim(discovered)) as discovered,
        lower(trim(withheld)) as withheld,
        _row_hash,
        _copy
    from "table"
    cross join day_columns
    where _last_snapshot is not distinct from (select max(_last_snapshot) from "table")
),
known as (
    select
        timed.*,
        coalesce(updated_at, reported_at, reported_until, occurred_until, occurred_at) + to_seconds(feed.delay_seconds) as known_at,
        feed.is_discovered as feed_is_discovered
    from timed
    cross join feed
),
area_words as (
    select
        area_id,
        unnest([
            {'rank': 0, 'word': ltrim(regexp_replace(lower(regexp_replace(area_id, '^[A-Z]+-', '')), '[^\pL\pN]', '', 'g'), '0')},
            {'rank': 1, 'word': ltrim(regexp_replace(lower(name), '[^\pL\pN]', '', 'g'), '0')}
        ], recursive := true)
    from reference.areas
    where hierarchy = 'admin' and area_level = 'district'
),
named as (
    select word, min_by(area_id, {'rank': rank, 'area_id': area_id}) as area_id from area_words group by word
)
select
    coalesce(nullif(known.source_id, ''), known._row_hash || '-' || known._copy) as source_id,
    coalesce(nullif(known.row_id, ''), known._row_hash || '-' || known._copy) as row_id,
    known.source_category,
    coalesce(priority_map.priority, try_cast(known.source_priority as integer)) as priority,
    known.occurred_at,
    known.occurred_until,
    known.reported_at,
    known.dispatched_at,
    known.en_route_at,
    known.arrived_at,
    known.left_scene_at,
    known.hospital_at,
    known.available_at,
    coalesce(known.closed_at, known.available_at) as closed_at,
    known.unit_id,
    known.unit_type,
    known.lon,
    known.lat,
    named.area_id as named_area_id,
    known.area_text,
    case
        when known.discovered in ('true', 't', 'y', 'yes', '1') then true
        when known.discovered in ('false', 'f', 'n', 'no', '0') then false
        else known.feed_is_discovered
    end as is_discovered,
    coalesce(known.withheld in ('true', 't', 'y', 'yes', '1'), false) as is_withheld,
    excluded_categories.source_category is not null as is_excluded,
    known_at,
    row_number() over (
        partition by coalesce(nullif(known.row_id, ''), known._row_hash || '-' || known._copy)
        order by known_at desc, known._row_hash desc
    ) = 1 as is_newest,
    known._row_hash
from known
left join named on named.word = known.area_word
left join reference.priority_map
    on priority_map.feed = 'socrata' and priority_map.source_priority = known.source_priority
left join reference.excluded_categories
    on excluded_categories.feed = 'socrata' and excluded_categories.source_category = known.source_category
where known_at <= getvariable('as_of')
