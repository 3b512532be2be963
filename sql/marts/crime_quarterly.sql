-- Reported crime by district and quarter of the occurrence (else of the report), sensitive matters left out.
-- Only what was reported within a month after the quarter counts: a quarter that went on growing by single late
-- reports would give them away by subtraction. A quarter that began before the records of the category did is short and left
-- out, as is one in which the records of the district alone are not all there; one with an outage states its days.
-- Grain: area_id, quarter_start_date, category.
with dated as (
    select
        incidents.admin_area_id as area_id,
        incidents.category,
        incidents.report_date as report_date,
        date_trunc(
            'quarter', timezone(getvariable('time_zone'), coalesce(incidents.occurred_at, incidents.reported_at))
        )::date as quarter_start_date
    from core.incidents
    join reference.areas on areas.area_id = incidents.admin_area_id and areas.hierarchy = 'admin' and areas.area_level = 'district'
    where incidents.agency = 'police' and incidents.is_crime and not incidents.is_sensitive
),
counted as (
    select area_id, quarter_start_date, category, count(*) as incidents
    from dated
    where report_date < quarter_start_date + interval 4 months
    group by all
),
unknown as (
    select
        crime_gaps.category,
        date_trunc('quarter', outage_days.local_date)::date as quarter_start_date,
        count(distinct outage_days.local_date)::integer as unknown_days
    from marts.crime_gaps
    join marts.outage_days
        on outage_days.feed = crime_gaps.feed
        and outage_days.local_date >= crime_gaps.from_date
        and outage_days.local_date < crime_gaps.until_date
    group by all
)
select
    counted.area_id,
    counted.quarter_start_date,
    counted.category,
    counted.incidents,
    coalesce(unknown.unknown_days, 0) as unknown_days
from counted
left join unknown
    on unknown.category = counted.category and unknown.quarter_start_date = counted.quarter_start_date
anti join marts.crime_gaps
    on crime_gaps.category = counted.category
    and crime_gaps.observation_state = 'before_first_record'
    and crime_gaps.area_id is null
    and crime_gaps.until_date > counted.quarter_start_date
anti join marts.crime_gaps as area_gaps
    on area_gaps.category = counted.category
    and area_gaps.area_id = counted.area_id
    and area_gaps.until_date > counted.quarter_start_date
    and coalesce(area_gaps.from_date, '-infinity'::date) < counted.quarter_start_date + interval 3 months
