-- Reported crime per district and whole quarter. Grain: area_id, quarter_start_date, category.
-- A running quarter published every day would give days away by subtraction.
select area_id, quarter_start_date, category, incidents
from marts.crime_quarterly
where quarter_start_date + interval 3 months <= getvariable('as_of_date')
