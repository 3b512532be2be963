-- Weekly counts of reported crime with what is usual. Grain: area_id, category, week_start_date.
select
    chart.area_id, areas.name as area_name, chart.category, chart.week_start_date, chart.incidents, chart.centre,
    chart.expected_low, chart.expected_high, chart.signal
from patterns.control_chart as chart
join reference.areas as areas using (area_id)
