-- Reported crime by district and quarter of the occurrence (else of the report), sensitive matters left out.
-- Only what was reported within a month after the quarter counts: a quarter that went on growing by single late
-- reports would give them away by subtraction. A quarter that began
-- before a feed's first record is short and left out.
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
history as (
    select max(complete_from_at) as complete_from_at from marts.feed_status where agency = 'police'
)
select dated.area_id, dated.quarter_start_date, dated.category, count(*) as incidents
from dated
cross join history
where dated.report_date < dated.quarter_start_date + interval 4 months
    and timezone(getvariable('time_zone'), dated.quarter_start_date::timestamp) >= history.complete_from_at
group by all
