-- How fresh each feed is at as_of, and from when and up to when its records are complete; feeds of boundaries or places
-- are left out. Time before a feed's first record is unknown.
-- What was fetched later than as_of plays no part, so an earlier day run again says the same. Grain: feed.
with fetched as (
    select feed, min(window_start) as first_window_at from ops.batches where verdict = 'accepted' group by feed
),
begun as (
    select feed, until_at as begun_at
    from core.unobserved
    where observation_state = 'before_first_record' and service is null and category is null and area_id is null
),
records as (
    select
        incidents.feed,
        max(incidents.known_at) as newest_known_at,
        any_value(fetched.first_window_at) as first_window_at,
        -- A record older than the first window, or than the hour in which records really begin, is a stray one.
        min(coalesce(incidents.reported_at, incidents.occurred_at)) filter (
            coalesce(incidents.reported_at, incidents.occurred_at)
            >= greatest(fetched.first_window_at, begun.begun_at, '-infinity'::timestamptz)
        ) as first_record_at
    from staging.incidents
    left join fetched on fetched.feed = incidents.feed
    left join begun on begun.feed = incidents.feed
    group by incidents.feed
),
measured as (
    select
        feeds.feed,
        feeds.agency,
        -- least() passes over nulls: a feed that was never fetched must stay without an instant.
        if(
            cursors.fetched_through_at is null, null,
            least(cursors.fetched_through_at, getvariable('as_of')::timestamptz)
        ) as fetched_through_at,
        feeds.delay_seconds,
        records.first_record_at,
        greatest(
            records.first_window_at,
            timezone(
                getvariable('time_zone'), date_trunc('day', timezone(getvariable('time_zone'), records.first_record_at))
            )
        ) as complete_from_at,
        records.newest_known_at,
        date_diff('minute', records.newest_known_at, getvariable('as_of')::timestamptz) / 60.0 as age_hours,
        feeds.freshness_hours
    from reference.feeds
    left join ops.cursors on cursors.feed = feeds.feed
    left join records on records.feed = feeds.feed
    where not feeds.is_reference
),
judged as (
    select
        *,
        case
            when fetched_through_at is null then 'never fetched'
            when fetched_through_at < getvariable('as_of')::timestamptz
                then 'fetched only through ' || strftime(timezone('UTC', fetched_through_at), '%Y-%m-%d %H:%M UTC')
            when newest_known_at is null then 'no record'
            when age_hours > freshness_hours
                then 'newest record is ' || round(age_hours)::integer || ' h old, limit ' || round(freshness_hours)::integer || ' h'
        end as stale_reason
    from measured
),
untimed as (
    select feed, string_agg(demand_service, ', ' order by demand_service) as untimed_services
    from reference.untimed_services
    group by feed
)
select
    judged.feed,
    judged.agency,
    judged.first_record_at,
    judged.complete_from_at,
    judged.fetched_through_at,
    judged.fetched_through_at - to_seconds(judged.delay_seconds) as complete_through_at,
    judged.newest_known_at,
    judged.age_hours::double as age_hours,
    judged.freshness_hours,
    judged.stale_reason is not null as is_stale,
    judged.stale_reason,
    untimed.untimed_services
from judged
left join untimed on untimed.feed = judged.feed
