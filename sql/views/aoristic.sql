-- Reported crime by hour of the week. Grain: category, weekday, hour.
select
    category, weekday, hour, weight, share, window_start_date, window_end_date, incidents, start_only_incidents,
    too_long_incidents, untimed_incidents
from patterns.aoristic
