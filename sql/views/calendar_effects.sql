-- What the holidays of the coming year change. Grain: area_id, service, holiday.
-- disclosure_basis is as in demand_forecast: what readers of records get of a hierarchy where some are withheld is not listed.
select
    effects.reference_at, effects.hierarchy, effects.area_level, effects.area_id, areas.name as area_name, effects.service,
    if(apart.service is null, 'both', 'all') as disclosure_basis, effects.holiday, effects.local_holiday, effects.next_date,
    effects.effect, effects.low, effects.high, effects.days
from forecast.calendar_effects as effects
left join marts.demand_apart as apart on apart.service = effects.service and apart.hierarchy = effects.hierarchy
left join reference.areas as areas on areas.area_id = effects.area_id
