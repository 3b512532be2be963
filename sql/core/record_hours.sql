-- Records by hour of the report (else of the occurrence): of every feed as a whole, of each of its services, of each of its
-- categories of crime, and of each area of a service in the three hierarchies; hours without a record have no row. From
-- this it is found where records begin and which spans are outages (core.unobserved).
-- Records older than the first fetched window are stray ones and left out, as are those dated after as_of. As in
-- demand_hourly, only its district counts a call that the caller's telephone places.
-- Grain: feed, service, category, area_id, hour_start_at; where service, category or area_id is empty, the row counts all of them.
with windows as (
    select feed, min(window_start) as first_window_at from ops.batches where verdict = 'accepted' group by feed
),
records as (
    select
        incidents.feed,
        incidents.service,
        if(incidents.agency = 'police', incidents.category, null) as category,
        incidents.admin_area_id,
        if(incidents.location_source is distinct from 'caller_lookup', incidents.police_area_id, null) as police_area_id,
        if(incidents.location_source is distinct from 'caller_lookup', incidents.fire_area_id, null) as fire_area_id,
        date_trunc('hour', coalesce(incidents.reported_at, incidents.occurred_at)) as hour_start_at
    from core.incidents
    left join windows on windows.feed = incidents.feed
    where coalesce(incidents.reported_at, incidents.occurred_at) < getvariable('as_of')::timestamptz
        and coalesce(incidents.reported_at, incidents.occurred_at) >= coalesce(windows.first_window_at, '-infinity'::timestamptz)
),
counted as (
    select feed, service, category, admin_area_id, police_area_id, fire_area_id, hour_start_at, count(*) as records
    from records
    group by all
),
by_area as (
    select feed, service, unnest([admin_area_id, police_area_id, fire_area_id]) as area_id, hour_start_at, records
    from counted
),
scopes as (
    select feed, hour_start_at, records from counted
    union all by name
    select feed, service, hour_start_at, records from counted where service is not null
    union all by name
    select feed, category, hour_start_at, records from counted where category is not null
    union all by name
    select * from by_area where service is not null and area_id is not null
)
select feed, service, category, area_id, hour_start_at, sum(records)::bigint as records
from scopes
group by all
