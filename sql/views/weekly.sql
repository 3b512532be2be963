-- Reported crime of the last days beside earlier years. Grain: area_id, category, span.
select
    weekly.area_id, areas.name as area_name, weekly.area_level, weekly.category, weekly.span, weekly.window_start_date,
    weekly.window_end_date, weekly.incidents, weekly.incidents_year_before, weekly.difference, weekly.change_share,
    weekly.e_test_p, weekly.mean_before, weekly.years_before, weekly.expected_low, weekly.expected_high, weekly.signal,
    weekly.harm
from patterns.weekly as weekly
join reference.areas as areas using (area_id)
