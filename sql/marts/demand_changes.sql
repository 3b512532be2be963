-- What of demand_hourly became known only after its hour had ended, and when: for each of its rows, what was known at an
-- instant is what it counts less the changes known after that instant.
--
-- Calls received late, withdrawn, restored or vanished, and those received again with another service, CODE, time, place or
-- number of units. Each state of a record counts where and as what it says until the next one; what is valid now counts as
-- core.incidents has it. Areas, and the stations that serve a district, are today's, as are the units of feeds whose
-- versions do not have them. A state of which only the day is known is in no hour. Grain: area_id, service, hour_start_at, known_at.
with
spans as (
    select
        versions.*, coalesce(lead(versions.known_at) over each_incident, missing.missing_at) as superseded_at
    from staging.versions
    left join staging.missing on missing.incident_id = versions.incident_id
    window each_incident as (partition by versions.incident_id order by versions.known_at)
),
vanished as (
    select
        missing.* exclude (known_at, missing_at),
        coalesce(firsts.first_known_at, missing.known_at) as known_at,
        missing.missing_at as superseded_at
    from staging.missing
    left join staging.firsts on firsts.incident_id = missing.incident_id
    where missing.incident_id not in (select incident_id from staging.versions)
),
past as (
    select * exclude (is_withdrawn) from spans where not is_withdrawn and superseded_at is not null
    union all by name
    select * from vanished
),
sent as (
    select incident_id, count(*) as units from core.dispatches group by incident_id
),
states as (
    select
        past.service,
        past.priority,
        coalesce(past.reported_at, past.occurred_at) as called_at,
        -- As in core.incidents.
        if(
            past.location_quality = 'snapped',
            coalesce(past.named_area_id, places.admin_area_id),
            coalesce(places.admin_area_id, past.named_area_id)
        ) as admin_area_id,
        if(past.location_source is distinct from 'caller_lookup', places.police_area_id, null) as police_area_id,
        if(past.location_source is distinct from 'caller_lookup', places.fire_area_id, null) as fire_area_id,
        coalesce(past.units, sent.units, 0) as units,
        past.known_at,
        past.superseded_at
    from past
    left join reference.places on places.lon = past.lon and places.lat = past.lat
    left join sent on sent.incident_id = past.incident_id
    where not is_untimed(past.reported_at, past.occurred_at, past.occurred_until)
    union all
    select
        incidents.service,
        incidents.priority,
        coalesce(incidents.reported_at, incidents.occurred_at),
        incidents.admin_area_id,
        if(incidents.location_source is distinct from 'caller_lookup', incidents.police_area_id, null),
        if(incidents.location_source is distinct from 'caller_lookup', incidents.fire_area_id, null),
        coalesce(sent.units, 0),
        coalesce(newest.known_at, firsts.first_known_at, incidents.known_at),
        null
    from core.incidents
    left join (select incident_id, max(known_at) as known_at from staging.versions group by incident_id) as newest
        on newest.incident_id = incidents.incident_id
    left join staging.firsts on firsts.incident_id = incidents.incident_id
    left join sent on sent.incident_id = incidents.incident_id
    where not is_untimed(incidents.reported_at, incidents.occurred_at, incidents.occurred_until)
),
signed as (
    select * exclude (superseded_at), 1 as calls from states
    union all by name
    select * exclude (known_at, superseded_at), superseded_at as known_at, -1 as calls
    from states
    where superseded_at is not null
),
counted as (
    select
        signed.admin_area_id,
        signed.police_area_id,
        signed.fire_area_id,
        demand_services.demand_service as service,
        date_trunc('hour', signed.called_at) as hour_start_at,
        signed.known_at,
        sum(signed.calls) as calls,
        sum(signed.calls * signed.units) as dispatches
    from signed
    join reference.demand_services
        on demand_services.service = signed.service
        and signed.priority is not distinct from coalesce(demand_services.priority, signed.priority)
    join (select service, min(known_from_at) as known_from_at from marts.demand_windows group by service) as windows
        on windows.service = demand_services.demand_service
    where
        signed.called_at >= windows.known_from_at
        and signed.known_at > date_trunc('hour', signed.called_at) + interval 1 hour
    group by all
),
lying as (
    select counted.*, admin_area_id as area_id, 'admin' as hierarchy from counted
    union all
    select counted.*, coalesce(police_area_id, admin_area_id), 'police' from counted
    union all
    select counted.*, coalesce(fire_area_id, admin_area_id), 'fire' from counted
),
placed as (
    select demand_areas.in_area_id as area_id, lying.service, hour_start_at, known_at, calls, dispatches
    from lying
    join marts.demand_areas on demand_areas.hierarchy = lying.hierarchy and demand_areas.area_id = lying.area_id
    semi join marts.demand_hierarchies as hierarchies on hierarchies.service = lying.service and hierarchies.hierarchy = lying.hierarchy
    where demand_areas.in_area_id not in (select area_id from marts.region)
    union all
    select region.area_id, service, hour_start_at, known_at, calls, dispatches
    from counted
    cross join marts.region
)
select
    area_id,
    service,
    hour_start_at,
    known_at,
    sum(calls)::bigint as calls,
    sum(dispatches)::bigint as dispatches
from placed
group by all
having sum(calls) <> 0 or sum(dispatches) <> 0
