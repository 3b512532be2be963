-- Sensitive matters per province and whole year, counts of 1 to 7 hidden, the others rounded to 5. Grain: area_id, year, category.
-- A year is whole where every feed has records from its start through its end; days of an outage in it are stated.
with known as (
    select
        max(complete_from_at) as complete_from_at,
        min(coalesce(complete_through_at, 'epoch'::timestamptz)) as complete_through_at
    from marts.feed_status
),
unknown as (
    select year(local_date) as year, count(distinct local_date)::integer as unknown_days from marts.outage_days group by all
)
select
    counted.area_id,
    counted.year::integer as year,
    counted.category,
    disclosable_count(counted.incidents) as incidents,
    coalesce(unknown.unknown_days, 0) as unknown_days
from marts.sensitive_yearly as counted
cross join known
left join unknown on unknown.year = counted.year
where timezone(getvariable('time_zone'), make_timestamp(counted.year, 1, 1, 0, 0, 0)) >= known.complete_from_at
    and timezone(getvariable('time_zone'), make_timestamp(counted.year + 1, 1, 1, 0, 0, 0)) <= known.complete_through_at
