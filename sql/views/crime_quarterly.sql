-- Reported crime per district and whole quarter. Grain: area_id, quarter_start_date, category.
-- Counts of 1 to 7 are hidden, the others rounded to 5. A quarter appears once the feeds of the category are complete through
-- the month in which its crime may still be reported: a running quarter published every day would give days away by
-- subtraction.
select
    counted.area_id,
    counted.quarter_start_date,
    counted.category,
    disclosable_count(counted.incidents) as incidents,
    counted.unknown_days
from marts.crime_quarterly as counted
anti join marts.crime_gaps
    on crime_gaps.category = counted.category
    and crime_gaps.area_id is null
    and crime_gaps.observation_state in ('filling', 'before_first_record')
    and crime_gaps.until_date > counted.quarter_start_date
    and coalesce(crime_gaps.from_date, '-infinity'::date) < counted.quarter_start_date + interval 4 months
where timezone(getvariable('time_zone'), counted.quarter_start_date + interval 4 months) <= getvariable('as_of')::timestamptz
