-- Reported crime per district and whole quarter. Grain: area_id, quarter_start_date, category.
-- Counts of 1 to 7 are hidden, the others rounded to 5. A quarter appears once the police feeds are complete through the month in which its crime may still be reported: a
-- running quarter published every day would give days away by subtraction.
with police as (
    select min(coalesce(complete_through_at, 'epoch'::timestamptz)) as complete_through_at
    from marts.feed_status
    where agency = 'police'
)
select counted.area_id, counted.quarter_start_date, counted.category, disclosable_count(counted.incidents) as incidents
from marts.crime_quarterly as counted
cross join police
where timezone(getvariable('time_zone'), counted.quarter_start_date + interval 4 months) <= police.complete_through_at
