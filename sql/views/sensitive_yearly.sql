-- Sensitive matters per province and whole year, once every feed is complete through its end. Grain: area_id, year, category.
with known as (
    select min(coalesce(complete_through_at, 'epoch'::timestamptz)) as complete_through_at
    from marts.feed_status
)
select counted.area_id, counted.year::integer as year, counted.category, counted.incidents
from marts.sensitive_yearly as counted
cross join known
where timezone(getvariable('time_zone'), make_timestamp(counted.year + 1, 1, 1, 0, 0, 0)) <= known.complete_through_at
