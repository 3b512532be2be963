-- Why reported crime may not enter risk, as a share of all reported crime. Grain: reason.
with excluded as (
    select reason, sum(incidents)::bigint as incidents
    from marts.risk_exclusions
    group by reason
),
entered as (
    select count(*) as incidents
    from core.incidents
    where is_risk_allowed
),
looked_at as (
    select entered.incidents + (select coalesce(sum(incidents), 0)::bigint from excluded) as incidents
    from entered
)
select excluded.reason, round(excluded.incidents / nullif(looked_at.incidents, 0), 3) as incident_share
from excluded
cross join looked_at
