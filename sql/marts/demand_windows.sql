-- The whole hours in which the demand of each service is known, in all areas: within what models read back, those in which all
-- its feeds are observed (observation_windows). What is before, in or after a gap is unknown and not zero.
-- Grain: service, known_from_at.
with service_feeds as (
    select distinct demand_services.demand_service, demand_services.service, feed_services.feed
    from reference.demand_services
    join reference.feed_services on feed_services.service = demand_services.service
),
edges as (
    select
        service_feeds.demand_service,
        greatest(
            date_trunc('hour', max(feed_status.first_record_at)),
            date_trunc('hour', getvariable('as_of')::timestamptz) - to_days(getvariable('history_days')::integer)
        ) as first_at,
        date_trunc('hour', min(coalesce(feed_status.complete_through_at, 'epoch'::timestamptz))) as last_at
    from service_feeds
    join marts.feed_status on feed_status.feed = service_feeds.feed
    group by service_feeds.demand_service
    having max(feed_status.first_record_at) is not null
),
gaps as (
    select
        service_feeds.demand_service,
        coalesce(date_trunc('hour', windows.from_at), '-infinity'::timestamptz) as from_at,
        date_trunc('hour', windows.until_at + interval 1 hour - interval 1 microsecond) as until_at
    from service_feeds
    join marts.observation_windows as windows
        on windows.feed = service_feeds.feed
        and (windows.service is null or windows.service = service_feeds.service)
        and windows.category is null
        and windows.area_id is null
    where windows.observation_state in ('before_first_record', 'outage')
),
-- Each hour known begins where the gaps so far have ended.
bounds as (
    select demand_service, first_at as from_at, first_at as until_at from edges
    union all
    select demand_service, from_at, until_at from gaps
    union all
    select demand_service, last_at, last_at from edges
),
spans as (
    select
        bounds.demand_service,
        greatest(
            edges.first_at,
            max(bounds.until_at) over (
                partition by bounds.demand_service
                order by bounds.from_at nulls first, bounds.until_at
                rows between unbounded preceding and 1 preceding
            )
        ) as known_from_at,
        least(edges.last_at, bounds.from_at) as known_until_at
    from bounds
    join edges on edges.demand_service = bounds.demand_service
)
select distinct demand_service as service, known_from_at, known_until_at
from spans
where known_from_at < known_until_at
