-- Response times with their parts kept apart. Grain: area_id, service, month_start_date.
select
    area_id, service, month_start_date, incidents, call_processing_p50_seconds, turnout_p50_seconds, travel_p50_seconds,
    response_p50_seconds, response_p90_seconds
from marts.response_times
