-- How many records of a month were changed within 7, 30 and 90 days of their report. Grain: feed, month_start_date, changed, within_days.
--
-- Records are those that their own agency may read, so that no count here discloses a withheld one. A month appears once
-- the feed is complete through the last of its days and as many more: what is young has not had the time to change.
-- Records that tell of no report (a source that dates the occurrence alone) are left out: nothing can be so many days
-- after it. Each record is in one month, and the changed ones are a part of it: no share exceeds one. Of a month before
-- the feed was first read only those records are known that have changed, so it never appears.
with
hidden as (
    select distinct incident_id from core.incident_changes where not is_releasable
),
reported as (
    select feed, date_trunc('month', report_date)::date as month_start_date, incident_id
    from core.incidents
    anti join hidden using (incident_id)
    where is_releasable and reported_at is not null
    union all
    -- A withdrawn record is in core.incidents no more.
    select distinct feed, date_trunc('month', report_date)::date as month_start_date, incident_id
    from core.incident_changes
    anti join core.incidents using (incident_id)
    where is_releasable and days_after_report is not null
),
months as (
    select feed, month_start_date, count(*) as incidents
    from reported
    group by all
),
begun as (
    select feed, min(window_start) as first_at from ops.batches where verdict = 'accepted' group by feed
),
requested as (
    select months.*, feeds.agency, kinds.changed, spans.within_days
    from months
    join reference.feeds on feeds.feed = months.feed and feeds.load_type = 'keyed'
    join marts.feed_status as status on status.feed = months.feed
    join begun on begun.feed = months.feed and timezone(getvariable('time_zone'), month_start_date::timestamp) >= first_at
    cross join (values ('category'), ('priority'), ('place'), ('status')) as kinds (changed)
    cross join (values (7), (30), (90)) as spans (within_days)
    where timezone(getvariable('time_zone'), month_start_date + interval 1 month + to_days(within_days))
        <= status.complete_through_at
),
changes as (
    select reported.feed, reported.month_start_date, changed, incident_id, min(days_after_report) as first_after
    from core.incident_changes
    join reported using (incident_id)
    where is_releasable and "after" is distinct from 'standing'
    group by all
)
select
    requested.feed,
    requested.agency,
    requested.month_start_date,
    requested.changed,
    requested.within_days,
    requested.incidents,
    count(changes.incident_id) as changed_incidents
from requested
left join changes
    on changes.feed = requested.feed
    and changes.month_start_date = requested.month_start_date
    and changes.changed = requested.changed
    and changes.first_after <= requested.within_days
group by all
