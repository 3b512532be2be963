-- Hierarchies in which some call or unit sent of a service is in no record that its agency may read. There a forecast of all
-- calls, next to records, would disclose how much was withheld where. Grain: service, hierarchy.
select distinct service, hierarchy
from marts.demand_hourly
where calls <> releasable_calls or dispatches is distinct from releasable_dispatches
