-- Sensitive matters, by province and year and never finer; what is in none of several provinces counts for the nation.
-- Grain: area_id, year, category.
with admin as (
    select area_id, area_level, parent_area_id from reference.areas where hierarchy = 'admin'
)
select
    coalesce(
        case admin.area_level when 'province' then admin.area_id when 'district' then admin.parent_area_id end,
        region.area_id
    ) as area_id,
    year(incidents.report_date)::integer as year,
    incidents.category,
    count(*) as incidents
from core.incidents
cross join marts.region
left join admin on admin.area_id = incidents.admin_area_id
where incidents.is_sensitive
group by all
