-- How fresh each feed is and what became of its rows. Grain: feed.
with accounted as (
    select
        feed,
        sum(received)::bigint as received,
        sum(loaded)::bigint as loaded,
        sum(unchanged)::bigint as unchanged,
        sum(quarantined)::bigint as quarantined,
        sum(rejected)::bigint as rejected
    from ops.batches
    where kind = 'delivery'
    group by feed
),
latest as (
    select feed, max(known_at) as data_as_of from staging.incidents group by feed
),
measured as (
    select
        feeds.feed,
        feeds.agency,
        cursors.fetched_through_at,
        latest.data_as_of,
        date_diff('minute', latest.data_as_of, getvariable('as_of')::timestamptz) / 60.0 as age_hours,
        feeds.freshness_hours,
        accounted.received,
        accounted.loaded,
        accounted.unchanged,
        accounted.quarantined,
        accounted.rejected
    from reference.feeds
    left join ops.cursors on cursors.feed = feeds.feed
    left join latest on latest.feed = feeds.feed
    left join accounted on accounted.feed = feeds.feed
    where not feeds.is_reference
),
judged as (
    select
        *,
        case
            when fetched_through_at is null then 'never fetched'
            when fetched_through_at < getvariable('as_of')::timestamptz
                then 'fetched only through ' || strftime(fetched_through_at, '%Y-%m-%d %H:%M UTC')
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
    data_as_of,
    age_hours::double as age_hours,
    freshness_hours,
    stale_reason is not null as is_stale,
    stale_reason,
    coalesce(received, 0) as received,
    coalesce(loaded, 0) as loaded,
    coalesce(unchanged, 0) as unchanged,
    coalesce(quarantined, 0) as quarantined,
    coalesce(rejected, 0) as rejected
from judged
