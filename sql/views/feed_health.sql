-- Whether each feed delivers what is usual for it: no data, volume spike and volume drop by fixed limits. Grain: feed.
-- Of investigation cases the state alone: so few come in that a count of two days would date single ones.
select
    feed,
    agency,
    state,
    is_alarm,
    judged_from_at,
    judged_through_at,
    if(agency = 'investigation', null, records) as records,
    if(agency = 'investigation', null, expected_records) as expected_records,
    if(agency = 'investigation', null, no_data_hours) as no_data_hours,
    if(agency = 'investigation', null, times_usual) as times_usual,
    rule
from ops.feed_health
