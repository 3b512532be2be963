-- Calls answered, calls that ask for a unit, and units sent, per agency, area and hour. Grain: agency, area_id, hour_start_at.
-- Counted over all records and over listed ones; no audience gets both.
select
    agency, area_id, hour_start_at, local_date, local_hour, calls_answered, calls_for_units, dispatches,
    listed_calls_answered, listed_calls_for_units, listed_dispatches
from marts.calls_hourly
