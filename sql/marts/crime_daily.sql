-- Reported crime by risk cell, category and day of the occurrence (else of the report), only what may enter risk, zeros
-- left out. Grain: cell_id, category, local_date.
with dated as (
    select
        cell_id,
        category,
        timezone(getvariable('time_zone'), coalesce(occurred_at, reported_at))::date as local_date
    from core.incidents
    where is_risk_allowed
)
select cell_id, category, local_date, count(*) as incidents
from dated
group by cell_id, category, local_date
