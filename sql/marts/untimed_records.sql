-- How many of each feed's records state no time of day: they are in no hour of anything. A service with a feed whose records
-- all are like that has no hourly demand (reference.untimed_services). Grain: feed.
select
    feed,
    count(*) as incidents,
    count(*) filter (is_untimed(reported_at, occurred_at, occurred_until)) as date_only_incidents,
    count(*) filter (
        is_untimed(reported_at, occurred_at, occurred_until) and occurred_until - occurred_at >= interval 28 day
    ) as month_only_incidents
from staging.incidents
group by feed
