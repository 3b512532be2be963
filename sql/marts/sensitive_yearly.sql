-- Sensitive matters, by province and year and never finer. Grain: area_id, year, category.
select
    region.area_id,
    year(incidents.local_date)::integer as year,
    incidents.category,
    count(*) as incidents
from core.incidents
cross join (select area_id from reference.areas where tree = 'admin' and level = 'province') region
where incidents.is_sensitive
group by all
