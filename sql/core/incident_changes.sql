-- What of an incident was changed after it was first received, and when. Grain: incident_id, changed_at, changed.
--
-- Category and source_category in their words, priority, status (standing or withdrawn) and place. Of a moved place only
-- how far it moved, and nothing where one of both is the position of a caller's telephone. is_releasable: the incident is not
-- restricted, so its own agency may read of it. Without a report, days_after_report is null.
with
received as (
    select
        incident_id, agency, feed, service, source_category, priority, occurred_at, reported_at, lon, lat, location_quality,
        location_source, is_withdrawn, known_at, false as is_missing
    from staging.versions
    union all by name
    select incident_id, agency, feed, service, source_category, reported_at, missing_at as known_at, true as is_withdrawn,
        true as is_missing
    from staging.missing
),
versions as (
    select
        received.*,
        coalesce(category_map.category, 'other') as category,
        received.incident_id not in (select incident_id from core.restricted_incidents) as is_releasable,
        -- One instant for all versions, else an incident whose time was corrected would lie in two months.
        min(received.reported_at) over each_record as first_reported_at,
        timezone(
            getvariable('time_zone'),
            coalesce(first_reported_at, min(received.occurred_at) over each_record, min(received.known_at) over each_record)
        )::date as report_date
    from received
    left join reference.category_map
        on category_map.feed = received.feed and category_map.source_category = received.source_category
    window each_record as (partition by received.incident_id)
),
steps as (
    select
        *,
        lag(category) over each_incident as category_before,
        lag(source_category) over each_incident as source_category_before,
        lag(priority) over each_incident as priority_before,
        coalesce(lag(is_withdrawn) over each_incident, false) as was_withdrawn,
        lag(location_quality) over each_incident as quality_before,
        lag(lon) over each_incident as lon_before,
        lag(lat) over each_incident as lat_before,
        'caller_lookup' in (location_source, lag(location_source) over each_incident) as is_telephone,
        row_number() over each_incident as turn
    from versions
    window each_incident as (partition by incident_id order by known_at, is_missing)
),
measured as (
    select
        *,
        -- Haversine on a sphere: within half a per cent, which is plenty for how far a report moved.
        2 * 6371008.8 * asin(
            sqrt(
                power(sin(radians(lat - lat_before) / 2), 2)
                + cos(radians(lat)) * cos(radians(lat_before)) * power(sin(radians(lon - lon_before) / 2), 2)
            )
        ) as moved_m
    from steps
    -- A call with one version that vanished has none to compare with.
    where turn > 1 or is_missing
),
listed as (
    select
        *,
        unnest(
            [
                {
                    'changed': 'category', 'old': category_before, 'new': category,
                    'is_change': not is_missing and category is distinct from category_before
                },
                {
                    'changed': 'source_category', 'old': source_category_before, 'new': source_category,
                    'is_change': not is_missing and source_category is distinct from source_category_before
                },
                {
                    'changed': 'priority', 'old': priority_before::varchar, 'new': priority::varchar,
                    'is_change': not is_missing and priority is distinct from priority_before
                },
                {
                    'changed': 'place', 'old': quality_before, 'new': location_quality,
                    'is_change': not is_missing and (lon is distinct from lon_before or lat is distinct from lat_before)
                },
                {
                    'changed': 'status', 'old': if(was_withdrawn, 'withdrawn', 'standing'),
                    'new': if(is_withdrawn, 'withdrawn', 'standing'), 'is_change': is_withdrawn <> was_withdrawn
                }
            ]
        ) as change
    from measured
)
select
    incident_id,
    agency,
    feed,
    known_at as changed_at,
    (epoch(known_at) - epoch(first_reported_at)) / 86400.0 as days_after_report,
    change.changed as changed,
    change.old as "before",
    change.new as "after",
    case when change.changed = 'place' and not is_telephone then moved_m end as distance_m,
    is_releasable,
    report_date
from listed
where change.is_change
