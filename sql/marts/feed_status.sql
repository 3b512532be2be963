-- How fresh each feed is at as_of, and up to when its records are complete; feeds of boundaries or places are left out.
-- What was fetched later than as_of plays no part, so an earlier day run again says the same. Grain: feed.
with latest as (
    select feed, max(known_at) as data_as_of from staging.incidents group by feed
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
        latest.data_as_of,
        date_diff('minute', latest.data_as_of, getvariable('as_of')::timestamptz) / 60.0 as age_hours,
        feeds.freshness_hours
    from reference.feeds
    left join ops.cursors on cursors.feed = feeds.feed
    left join latest on latest.feed = feeds.feed
    where not feeds.is_reference
),
judged as (
    select
        *,
        case
            when fetched_through_at is null then 'never fetched'
            when fetched_through_at < getvariable('as_of')::timestamptz
                then 'fetched only through ' || strftime(timezone('UTC', fetched_through_at), '%Y-%m-%d %H:%M UTC')
            when data_as_of is null then 'no record'
            when age_hours > freshness_hours
                then 'newest record is ' || round(age_hours)::integer || ' h old, limit ' || round(freshness_hours)::integer || ' h'
        end as stale_reason
    from measured
)
select
    feed,
    agency,
    fetched_through_at,
    fetched_through_at - to_seconds(delay_seconds) as complete_through_at,
    data_as_of,
    age_hours::double as age_hours,
    freshness_hours,
    stale_reason is not null as is_stale,
    stale_reason
from judged
