-- Reported crime that may enter patterns and risk, one row per state that a record was in: how an incident was read
-- from known_at until superseded_at, so that any past moment can be seen as it was known then.
--
-- Only the category is told as it was; the place is today's, so a state with another place is left out and the record
-- counts as known only from when its place was right. superseded_at is null for what is known now.
-- Grain: incident_id, known_at.
with allowed_now as (
    select * from core.incidents
    where
        agency = 'police' and not is_sensitive and is_discovered = false and location_source <> 'caller_lookup'
        and location_quality in ('exact', 'snapped') and cell_id is not null
),
versions as (
    select
        versions.incident_id,
        versions.known_at,
        lead(versions.known_at) over each_incident as superseded_at,
        coalesce(category_map.category, 'other') as category,
        versions.lon,
        versions.lat,
        versions.is_withdrawn
    from staging.versions as versions
    left join reference.category_map
        on category_map.feed = versions.feed and category_map.source_category = versions.source_category
    window each_incident as (partition by versions.incident_id order by versions.known_at)
),
states as (
    select allowed_now.*, null::timestamptz as superseded_at
    from allowed_now
    where incident_id not in (select incident_id from versions)
    union all by name
    select allowed_now.* replace (versions.category as category, versions.known_at as known_at), versions.superseded_at
    from allowed_now
    join versions
        on versions.incident_id = allowed_now.incident_id and versions.lon = allowed_now.lon
        and versions.lat = allowed_now.lat and not versions.is_withdrawn
)
select
    states.incident_id,
    states.category,
    states.lon,
    states.lat,
    states.cell_id,
    states.admin_area_id,
    states.police_area_id,
    states.occurred_at,
    states.occurred_until,
    states.reported_at,
    timezone(getvariable('time_zone'), coalesce(occurred_at, reported_at))::date as local_date,
    states.known_at,
    states.superseded_at
from states
join reference.categories on categories.category = states.category
where categories.is_risk_allowed and not categories.is_sensitive
