-- Local days on which reported crime of a category is unknown, by the observation windows of its feeds: from_date (empty: ever
-- before) up to until_date, excluded. Its feeds are those with records whose words the profile maps to it; where one of
-- them is unknown, the category is, unless that one has less than a tenth of the category's records by day. Days that are
-- partly known count as unknown. With area_id, only that area is unknown (area_gaps), in all categories, and feed is empty.
-- Grain: category, feed, area_id, from_date, until_date.
with lives as (
    select feed, greatest(date_diff('day', min(hour_start_at), max(hour_start_at)), 1) as days
    from core.record_hours
    group by feed
),
rates as (
    select hours.feed, hours.category, sum(hours.records) / any_value(lives.days) as daily_records
    from core.record_hours as hours
    join lives on lives.feed = hours.feed
    where hours.category is not null
    group by hours.feed, hours.category
),
mapped as (
    select distinct category_map.feed, category_map.category
    from reference.category_map
    join marts.feed_status
        on feed_status.feed = category_map.feed
        and feed_status.agency = 'police'
        and feed_status.first_record_at is not null
),
category_feeds as (
    select mapped.feed, mapped.category
    from mapped
    left join rates on rates.feed = mapped.feed and rates.category = mapped.category
    qualify coalesce(rates.daily_records, 0)
        >= 0.1 * sum(coalesce(rates.daily_records, 0)) over (partition by mapped.category)
),
spans as (
    select
        category_feeds.category,
        windows.feed,
        null as area_id,
        windows.observation_state,
        windows.from_at,
        windows.until_at
    from marts.observation_windows as windows
    join category_feeds on category_feeds.feed = windows.feed
    where windows.observation_state <> 'observed'
        and windows.service is null
        and windows.area_id is null
        and coalesce(windows.category, category_feeds.category) = category_feeds.category
    union all
    select mapped.category, null, area_gaps.area_id, area_gaps.observation_state, area_gaps.from_at, area_gaps.until_at
    from marts.area_gaps
    join reference.feed_services on feed_services.service = area_gaps.service
    join mapped on mapped.feed = feed_services.feed
)
select distinct
    category,
    feed,
    area_id,
    nullif(timezone(getvariable('time_zone'), from_at)::date, '-infinity'::date) as from_date,
    timezone(getvariable('time_zone'), until_at + interval 1 day - interval 1 microsecond)::date as until_date,
    observation_state
from spans
