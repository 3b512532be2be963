-- Calls of which only the day is known, by district, service and day: they are in no hour of demand_hourly, and so only of days
-- of which it has hours. Grain: area_id, service, local_date.
with days as (
    select distinct area_id, service, local_date
    from marts.demand_hourly
    where hierarchy = 'admin' and area_level = 'district'
)
select
    days.area_id,
    days.service,
    days.local_date,
    count(*) as calls,
    count(*) filter (incidents.is_releasable) as releasable_calls
from core.incidents
join reference.demand_services
    on demand_services.service = incidents.service
    and incidents.priority is not distinct from coalesce(demand_services.priority, incidents.priority)
join days
    on days.area_id = incidents.admin_area_id
    and days.service = demand_services.demand_service
    and days.local_date = incidents.report_date
where is_untimed(incidents.reported_at, incidents.occurred_at, incidents.occurred_until)
group by days.area_id, days.service, days.local_date
