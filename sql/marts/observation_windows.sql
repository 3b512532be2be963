-- When the records of each feed are known, and when not and why; the windows of a feed as a whole (service, category and area_id
-- empty) follow each other without a gap up to as_of. A service, category or area of it has rows only where its records
-- begin later, or stop while those of the others go on.
-- A span between two windows that accepted batches cover is an outage until a batch covers it: when it was fetched plays no
-- part. A snapshot holds all there is, whatever its window. Of a feed that is dated by month, a month without any record between
-- two with some was not read, and is an outage. Grain: feed, service, category, area_id, from_at, evidence.
with loaded as (
    select
        batches.feed,
        batches.window_start,
        max(batches.window_end) over (
            partition by batches.feed order by batches.window_start rows between unbounded preceding and 1 preceding
        ) as covered_until
    from ops.batches
    join reference.feeds on feeds.feed = batches.feed and feeds.load_type = 'keyed' and not feeds.is_reference
    where batches.verdict = 'accepted'
),
months as (
    select distinct incidents.feed, date_trunc('month', timezone(getvariable('time_zone'), incidents.occurred_at)) as month_start
    from staging.incidents
    join marts.untimed_records as untimed
        on untimed.feed = incidents.feed and untimed.month_only_incidents = untimed.incidents
),
month_gaps as (
    select
        feed,
        month_start + interval 1 month as local_from,
        lead(month_start) over (partition by feed order by month_start) as local_until
    from months
),
unknown as (
    select feed, service, category, area_id, observation_state, from_at, until_at, known_at, evidence
    from core.unobserved
    where observation_state = 'outage' or coalesce(service, category, area_id) is not null
    union all by name
    -- A feed without a record has none yet, whatever was fetched of it.
    select
        feed,
        'before_first_record' as observation_state,
        coalesce(complete_from_at, getvariable('as_of')::timestamptz) as until_at,
        coalesce(complete_from_at, getvariable('as_of')::timestamptz) as known_at,
        'records' as evidence
    from marts.feed_status
    union all by name
    select
        feed, 'outage' as observation_state, covered_until as from_at, window_start as until_at, covered_until as known_at,
        'batches' as evidence
    from loaded
    where window_start > covered_until
    union all by name
    select
        feed,
        'outage' as observation_state,
        timezone(getvariable('time_zone'), local_from) as from_at,
        timezone(getvariable('time_zone'), local_until) as until_at,
        timezone(getvariable('time_zone'), local_until) as known_at,
        'records' as evidence
    from month_gaps
    where local_from < local_until
    union all by name
    select
        feed, 'filling' as observation_state, complete_through_at as from_at, getvariable('as_of')::timestamptz as until_at,
        complete_through_at as known_at, 'batches' as evidence
    from marts.feed_status
    where complete_through_at < getvariable('as_of')::timestamptz
),
-- Outages of a feed may overlap: the records tell one, the profile states its days.
edges as (
    select
        feed,
        from_at,
        until_at,
        max(until_at) over (
            partition by feed order by from_at nulls first, until_at rows between unbounded preceding and 1 preceding
        ) as unknown_until
    from unknown
    where service is null and category is null and area_id is null
),
known as (
    select feed, unknown_until as from_at, from_at as until_at from edges where from_at > unknown_until
    union all
    select feed, max(until_at) as from_at, getvariable('as_of')::timestamptz as until_at
    from edges
    group by feed
    having max(until_at) < getvariable('as_of')::timestamptz
)
from unknown
union all by name
select feed, 'observed' as observation_state, from_at, until_at, until_at as known_at, 'batches' as evidence from known
