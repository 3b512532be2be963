-- Why reported crime of a year may not enter risk, in whole per cent of all its reported crime. Grain: year, reason.
-- Whole years only: a share that changes from day to day would date every record that is kept out. The share of 1 to 7
-- records is hidden.
with police as (
    select
        max(complete_from_at) as complete_from_at,
        min(coalesce(complete_through_at, 'epoch'::timestamptz)) as complete_through_at
    from marts.feed_status
    where agency = 'police'
),
excluded as (
    select year, reason, sum(incidents)::bigint as incidents from marts.risk_exclusions group by year, reason
),
entered as (
    select year(report_date)::integer as year, count(*) as incidents from core.incidents where is_risk_allowed group by all
),
counted as (
    select year, incidents from excluded
    union all
    select year, incidents from entered
),
reported as (
    select year, sum(incidents)::bigint as incidents from counted group by year
)
select
    excluded.year,
    excluded.reason,
    round(disclosable_count(excluded.incidents) / disclosable_count(reported.incidents), 2) as incident_share
from excluded
join reported on reported.year = excluded.year
cross join police
where timezone(getvariable('time_zone'), make_timestamp(excluded.year, 1, 1, 0, 0, 0)) >= police.complete_from_at
    and timezone(getvariable('time_zone'), make_timestamp(excluded.year + 1, 1, 1, 0, 0, 0)) <= police.complete_through_at
