-- Calls and dispatches per area of every tree, service and hour, zeros included. Grain: area_id, service, hour_start_at.
-- Counted over all records and over listed ones; no audience gets both.
select
    tree, level, area_id, service, hour_start_at, local_date, local_hour, calls, dispatches, listed_calls, listed_dispatches
from marts.demand_hourly
