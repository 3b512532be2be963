-- How fresh each feed is at the release's as_of. Grain: feed.
select
    feed, agency, fetched_through_at, complete_through_at, newest_known_at, age_hours, freshness_hours, is_stale, stale_reason,
    untimed_services
from marts.feed_status
