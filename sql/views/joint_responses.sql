-- Events that police and fire attended together; other agencies' part in them is left out. Grain: area_id, month_start_date, agencies.
with events as (
    -- A joint event counts in the district and on the day of its first record.
    select
        joint_incident_id,
        first(admin_area_id order by incident_id) as area_id,
        first(report_date order by incident_id) as report_date,
        string_agg(distinct agency, ' + ' order by agency) as agencies
    from core.incidents
    where joint_incident_id is not null and agency in ('police', 'fire')
    group by joint_incident_id
    having count(distinct agency) > 1
)
select area_id, date_trunc('month', report_date)::date as month_start_date, agencies, count(*) as joint_incidents
from events
group by all
