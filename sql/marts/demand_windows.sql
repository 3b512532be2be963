-- The whole hours in which the demand of each service is known: from the first record of all its feeds, or as far back as
-- models read, until one of them is no longer complete. Time before a feed's first record is unknown, not zero.
-- Grain: service.
select
    demand_services.demand_service as service,
    greatest(
        date_trunc('hour', max(feed_status.first_record_at)),
        date_trunc('hour', getvariable('as_of')::timestamptz) - to_days(getvariable('history_days')::integer)
    ) as known_from_at,
    date_trunc('hour', min(coalesce(feed_status.complete_through_at, 'epoch'::timestamptz))) as known_until_at
from reference.demand_services
join reference.feed_services on feed_services.service = demand_services.service
join marts.feed_status on feed_status.feed = feed_services.feed
group by demand_services.demand_service
having max(feed_status.first_record_at) is not null
