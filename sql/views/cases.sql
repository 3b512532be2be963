-- Investigation cases per category, province and month, place withheld. Grain: area_id, month_start_date, category.
with received as (
    select
        case when areas.area_level = 'district' then areas.parent_area_id else areas.area_id end as area_id,
        date_trunc('month', incidents.report_date)::date as month_start_date,
        incidents.category
    from core.incidents as incidents
    left join reference.areas as areas on areas.area_id = incidents.admin_area_id
    -- By month a sensitive matter would be finer than province and year.
    where incidents.agency = 'investigation' and not incidents.is_sensitive
),
counted as (
    select area_id, month_start_date, category, count(*) as cases
    from received
    group by all
)
select counted.area_id, counted.month_start_date, counted.category, counted.cases, before.cases as cases_year_before
from counted
left join counted as before
    on before.area_id is not distinct from counted.area_id
    and before.category = counted.category
    and before.month_start_date = counted.month_start_date - interval 1 year
