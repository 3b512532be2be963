-- Whether each feed tells what is usual for it: silence, flood and dearth by fixed limits. Grain: feed.
select
    feed, agency, state, is_alarm, judged_from_at, judged_through_at, records, expected_records, silent_hours, times_usual,
    rule
from ops.feed_health
