-- Reported crime by district and quarter, sensitive matters left out. Grain: area_id, quarter_start_date, category.
select
    incidents.admin_area_id as area_id,
    date_trunc('quarter', incidents.local_date)::date as quarter_start_date,
    incidents.category,
    count(*) as incidents
from core.incidents
join reference.areas on areas.area_id = incidents.admin_area_id and areas.tree = 'admin' and areas.level = 'district'
where incidents.agency = 'police' and incidents.is_crime and not incidents.is_sensitive
group by all
