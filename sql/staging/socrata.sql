-- Records of a Socrata table as incidents: the newest rows of one record, which may be its units' parts, put together;
-- rows of excluded categories left out. Grain: incident_id.
--
-- Times are the first unit's; a row with a time of day comes before those that state a day only, and if all do, the time in
-- which it happened is that long. A record is closed when its last unit is. What it asks for is its category's service where
-- the feed has that, else the first of the feed's. A place that the source withholds is withheld, whatever it sends.
with
newest as (
    select * from staging."socrata_rows" where is_newest and not is_excluded
),
feed as (
    select * from reference.feeds where feed = 'socrata'
),
records as (
    select
        source_id,
        first(source_category order by known_at desc, row_id) as source_category,
        min(priority) as priority,
        coalesce(min(occurred_at) filter (where occurred_until is null), min(occurred_at)) as occurred_at,
        if(count(occurred_until) = count(occurred_at), max(occurred_until), null) as occurred_until,
        min(reported_at) as reported_at,
        min(dispatched_at) as first_dispatched_at,
        min(arrived_at) as first_arrived_at,
        if(count(closed_at) = count(*), max(closed_at), null) as closed_at,
        min({'lon': lon, 'lat': lat}) filter (where lon is not null and lat is not null) as place,
        min(named_area_id) as named_area_id,
        bool_or(is_discovered) as is_discovered,
        bool_or(is_withheld) as is_withheld,
        max(known_at) as known_at
    from newest
    group by source_id
),
services as (
    select category_map.source_category, categories.service
    from reference.category_map
    join reference.categories on categories.category = category_map.category
    join reference.feed_services
        on feed_services.feed = category_map.feed and feed_services.service = categories.service
    where category_map.feed = 'socrata'
)
select
    'socrata:' || records.source_id as incident_id,
    feed.agency,
    'socrata' as feed,
    records.source_id,
    coalesce(services.service, feed.service) as service,
    records.source_category,
    records.priority,
    records.occurred_at,
    records.occurred_until,
    records.reported_at,
    records.first_dispatched_at,
    records.first_arrived_at,
    records.closed_at,
    if(is_withheld, null, place.lon) as lon,
    if(is_withheld, null, place.lat) as lat,
    case when is_withheld then 'withheld' when place is null then 'none' else feed.location_quality end as location_quality,
    'unknown' as location_source,
    records.named_area_id,
    records.is_discovered,
    records.known_at
from records
cross join feed
left join services on services.source_category = records.source_category
