-- What became of each feed's places: how many records have one, how many of those lie in no area of the region, how many
-- in another district than their source names. A wrong CRS that is still inside the country shows here. Points moved
-- to the nearest crossing are often on a border, so they are not compared with the district they name.
-- Grain: feed.
with named as (
    select area_id from reference.areas where hierarchy = 'admin' and area_level = 'district'
),
judged as (
    select
        incidents.feed,
        coalesce(incidents.location_quality = 'outside', false) as is_outside_country,
        incidents.lon is not null and incidents.lat is not null as is_placed,
        is_placed and places.admin_area_id is null as is_outside,
        named.area_id is not null and places.admin_area_id is not null and incidents.location_quality = 'exact' as is_named,
        is_named and named.area_id <> places.admin_area_id as is_elsewhere
    from staging.incidents as incidents
    left join reference.places as places on places.lon = incidents.lon and places.lat = incidents.lat
    left join named on named.area_id = incidents.named_area_id
)
select
    feed,
    count(*) as incidents,
    count(*) filter (is_placed) as placed_incidents,
    count(*) filter (is_outside_country) as outside_country_incidents,
    count(*) filter (is_outside) as outside_incidents,
    count(*) filter (is_elsewhere) as elsewhere_incidents,
    (count(*) filter (is_outside) / nullif(count(*) filter (is_placed), 0))::double as outside_share,
    (count(*) filter (is_elsewhere) / nullif(count(*) filter (is_named), 0))::double as elsewhere_share
from judged
group by feed
