-- Events that two or more agencies attended. Grain: area_id, month_start_date, agencies.
with events as (
    -- A joint event bears the id of its first record, and that record's district and day.
    select
        joint_incident_id,
        max(admin_area_id) filter (incident_id = joint_incident_id) as area_id,
        max(local_date) filter (incident_id = joint_incident_id) as local_date,
        string_agg(distinct agency, ' + ' order by agency) as agencies
    from core.incidents
    where joint_incident_id is not null
    group by joint_incident_id
)
select area_id, date_trunc('month', local_date)::date as month_start_date, agencies, count(*) as joint_incidents
from events
group by all
