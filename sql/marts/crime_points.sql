-- Reported crime that may enter patterns and risk, one row per state that a record was in: how an incident was read
-- from known_at until superseded_at, so that any past moment can be seen as it was known then.
--
-- Each state is judged by its own content: category, place, whether a patrol found it, how it was located. A record
-- that was withdrawn or vanished since existed until then. A restricted incident never enters, whatever a state says: any
-- row or version of it is a sensitive matter or has an unmapped source category. What never
-- changed is known since it was first received. superseded_at is null for what is known now. The district that the source
-- names is today's. Grain: incident_id, known_at.
with
versions as (
    select
        versions.*,
        coalesce(lead(versions.known_at) over each_incident, missing.missing_at) as superseded_at
    from staging.versions
    left join staging.missing on missing.incident_id = versions.incident_id
    where versions.agency = 'police'
    window each_incident as (partition by versions.incident_id order by versions.known_at)
),
vanished as (
    select
        missing.* exclude (known_at, missing_at),
        coalesce(firsts.first_known_at, missing.known_at) as known_at,
        missing.missing_at as superseded_at
    from staging.missing
    left join staging.firsts on firsts.incident_id = missing.incident_id
    where missing.agency = 'police' and missing.incident_id not in (select incident_id from versions)
),
changed as (
    select * from versions where not is_withdrawn
    union all by name
    select *, false as is_withdrawn from vanished
),
judged as (
    select
        changed.incident_id,
        categories.category,
        changed.lon,
        changed.lat,
        places.cell_id,
        if(now.lon = changed.lon and now.lat = changed.lat, now.admin_area_id, places.admin_area_id) as admin_area_id,
        places.police_area_id,
        changed.occurred_at,
        changed.occurred_until,
        changed.reported_at,
        changed.known_at,
        changed.superseded_at
    from changed
    join reference.category_map
        on category_map.feed = changed.feed and category_map.source_category = changed.source_category
    join reference.categories on categories.category = category_map.category
    left join reference.places on places.lon = changed.lon and places.lat = changed.lat
    left join core.place_piles as piles
        on piles.feed = changed.feed and piles.lon = changed.lon and piles.lat = changed.lat
    left join core.incidents as now on now.incident_id = changed.incident_id
    anti join core.restricted_incidents as restricted on restricted.incident_id = changed.incident_id
    where
        risk_exclusion(
            changed.agency, categories.is_sensitive, categories.is_risk_allowed,
            changed.is_discovered, changed.location_source, changed.location_quality, places.cell_id,
            piles.feed is not null
        ) is null
),
unchanged as (
    select
        incidents.* exclude (known_at),
        coalesce(firsts.first_known_at, incidents.known_at) as known_at,
        null::timestamptz as superseded_at
    from core.incidents
    left join staging.firsts on firsts.incident_id = incidents.incident_id
    where incidents.is_risk_allowed and incidents.incident_id not in (select incident_id from versions)
),
states as (
    select * from judged
    union all by name
    select
        incident_id, category, lon, lat, cell_id, admin_area_id, police_area_id, occurred_at, occurred_until, reported_at,
        known_at, superseded_at
    from unchanged
)
select
    incident_id,
    category,
    lon,
    lat,
    cell_id,
    admin_area_id,
    police_area_id,
    occurred_at,
    occurred_until,
    reported_at,
    timezone(getvariable('time_zone'), coalesce(occurred_at, reported_at))::date as occurrence_date,
    known_at,
    superseded_at
from states
