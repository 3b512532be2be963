-- Sensitive matters per province and whole year, counts of 1 to 7 hidden, the others rounded to 5. Grain: area_id, year, category.
-- A year is whole where every feed has records from its start through its end.
with known as (
    select
        max(complete_from_at) as complete_from_at,
        min(coalesce(complete_through_at, 'epoch'::timestamptz)) as complete_through_at
    from marts.feed_status
)
select counted.area_id, counted.year::integer as year, counted.category, disclosable_count(counted.incidents) as incidents
from marts.sensitive_yearly as counted
cross join known
where timezone(getvariable('time_zone'), make_timestamp(counted.year, 1, 1, 0, 0, 0)) >= known.complete_from_at
    and timezone(getvariable('time_zone'), make_timestamp(counted.year + 1, 1, 1, 0, 0, 0)) <= known.complete_through_at
