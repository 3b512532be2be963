-- How many records an agency does not find in its table of incidents, and why. Grain: agency, reason.
with withheld as (
    select
        incidents.agency,
        case when incidents.is_sensitive then 'sensitive matter' else 'category unknown' end as reason
    from core.incidents as incidents
    anti join views.incidents as shown on shown.incident_id = incidents.incident_id
)
select agency, reason, count(*) as incidents
from withheld
group by agency, reason
