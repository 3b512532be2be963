-- Where records of a service are unknown in an area while others go on (observation_windows): in one whose records begin
-- later or stop, in every area within it, and, where records stopped, in every area of any hierarchy, up to the region, in
-- which those that are missing usually are a tenth of the records. One area that begins later takes nothing from others: it
-- may be a new station, whose records they had. Grain: service, area_id, from_at, until_at.
with gaps as (
    select
        windows.feed,
        windows.service,
        areas.hierarchy,
        windows.area_id,
        windows.observation_state,
        coalesce(windows.from_at, '-infinity'::timestamptz) as from_at,
        windows.until_at
    from marts.observation_windows as windows
    join reference.areas on areas.area_id = windows.area_id
    where windows.area_id is not null
),
lives as (
    select feed, service, min(hour_start_at) as first_at, max(hour_start_at) + interval 1 hour as last_at
    from core.record_hours
    where service is not null and area_id is null
    group by feed, service
),
-- Records that lie in the same areas, with the span in which they are missing.
alike as (
    select
        incidents.feed,
        incidents.service,
        [incidents.admin_area_id, incidents.police_area_id, incidents.fire_area_id] as area_ids,
        any_value(date_diff('hour', lives.first_at, lives.last_at)) as hours,
        count(*) as records
    from core.incidents
    join lives on lives.feed = incidents.feed and lives.service = incidents.service
    where coalesce(incidents.reported_at, incidents.occurred_at) >= lives.first_at
        and coalesce(incidents.reported_at, incidents.occurred_at) < lives.last_at
    group by all
),
rated as (
    select
        alike.feed,
        alike.service,
        alike.area_ids,
        min(gaps.from_at) as from_at,
        max(gaps.until_at) as until_at,
        any_value(alike.records)
        / greatest(any_value(alike.hours) - coalesce(date_diff('hour', min(gaps.from_at), max(gaps.until_at)), 0), 1) as hourly_records
    from alike
    left join gaps
        on gaps.feed = alike.feed
        and gaps.service = alike.service
        and gaps.observation_state = 'outage'
        and list_contains(alike.area_ids, gaps.area_id)
    group by alike.feed, alike.service, alike.area_ids
),
named as (
    select *, unnest(area_ids) as named_area_id from rated
),
counting as (
    select named.* exclude named_area_id, demand_areas.in_area_id as area_id
    from named
    join marts.demand_areas on demand_areas.area_id = named.named_area_id
    union
    select rated.*, region.area_id
    from rated
    cross join marts.region
),
bounds as (
    select service, area_id, from_at as bound_at, hourly_records as change from counting where from_at is not null
    union all
    select service, area_id, until_at, -hourly_records from counting where from_at is not null
),
spans as (
    select
        service,
        area_id,
        bound_at as from_at,
        lead(bound_at) over each_area as until_at,
        sum(sum(change)) over each_area as hourly_records
    from bounds
    group by service, area_id, bound_at
    window each_area as (partition by service, area_id order by bound_at)
),
usual as (
    select service, area_id, sum(hourly_records) as hourly_records from counting group by service, area_id
)
select gaps.service, within.area_id, gaps.observation_state, gaps.from_at, gaps.until_at
from gaps
join marts.demand_areas on demand_areas.in_area_id = gaps.area_id and demand_areas.hierarchy = gaps.hierarchy
join reference.areas as within on within.area_id = demand_areas.area_id and within.hierarchy = gaps.hierarchy
union
select spans.service, spans.area_id, 'outage', spans.from_at, spans.until_at
from spans
join usual on usual.service = spans.service and usual.area_id = spans.area_id
where spans.until_at is not null and round(spans.hourly_records / usual.hourly_records, 6) >= 0.1
