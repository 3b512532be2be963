-- Sensitive matters per province and whole year. Grain: area_id, year, category.
select area_id, year::integer as year, category, incidents
from marts.sensitive_yearly
where year < year(getvariable('as_of_date'))
