-- Calls and dispatches per area, service and hour, zeros included. Grain: area_id, service, hour_start_at.
select area_id, service, hour_start_at, local_date, local_hour, calls, dispatches
from marts.demand_hourly
