-- How many records of a whole year an agency does not find in its table of incidents, and why. Grain: agency, year, reason.
-- A year is whole where each of the agency's feeds has records from its start through its end; days of an outage are stated.
-- A total that runs on from day to day would date every withheld record by subtraction.
with known as (
    select
        agency,
        max(complete_from_at) as complete_from_at,
        min(coalesce(complete_through_at, 'epoch'::timestamptz)) as complete_through_at
    from marts.feed_status
    group by agency
),
unknown as (
    select feeds.agency, year(outage_days.local_date) as year, count(distinct outage_days.local_date)::integer as unknown_days
    from marts.outage_days
    join reference.feeds on feeds.feed = outage_days.feed
    group by all
),
withheld as (
    select
        agency,
        year(report_date) as year,
        case when is_sensitive then 'sensitive matter' else 'category unknown' end as reason
    from core.incidents
    where not is_releasable
),
counted as (
    select agency, year, reason, count(*) as incidents
    from withheld
    group by agency, year, reason
)
select
    counted.agency,
    counted.year::integer as year,
    counted.reason,
    disclosable_count(counted.incidents) as incidents,
    coalesce(unknown.unknown_days, 0) as unknown_days
from counted
left join unknown on unknown.agency = counted.agency and unknown.year = counted.year
join known on known.agency = counted.agency
where timezone(getvariable('time_zone'), make_timestamp(counted.year, 1, 1, 0, 0, 0)) >= known.complete_from_at
    and timezone(getvariable('time_zone'), make_timestamp(counted.year + 1, 1, 1, 0, 0, 0)) <= known.complete_through_at
