-- Trees in which some call or unit sent of a service is in no record that its agency may read. There a forecast of all
-- calls, next to records, would disclose how much was withheld where. Grain: service, tree.
select distinct service, tree
from marts.demand_hourly
where calls <> listed_calls or dispatches is distinct from listed_dispatches
