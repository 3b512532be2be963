-- The feeds with legal basis, purpose and retention. Grain: feed.
select
    feeds.feed,
    feeds.agency,
    feeds.is_reference,
    timezone(getvariable('time_zone'), status.newest_known_at)::date as newest_known_date,
    status.is_stale,
    feeds.freshness_hours,
    feeds.legal_basis,
    feeds.purpose,
    feeds.retention_days,
    feeds.impact_assessment,
    feeds.is_simulated
from reference.feeds as feeds
left join marts.feed_status as status on status.feed = feeds.feed
