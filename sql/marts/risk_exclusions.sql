-- Reported crime that may not enter risk, by year and by the first rule that keeps it out. Grain: year, category, reason.
select
    year(incidents.report_date)::integer as year,
    incidents.category,
    risk_exclusion(
        incidents.agency, incidents.is_sensitive, categories.is_risk_allowed, incidents.is_discovered,
        incidents.location_source, incidents.location_quality, incidents.cell_id, piles.feed is not null
    ) as reason,
    count(*) as incidents
from core.incidents
left join reference.categories on categories.category = incidents.category
left join core.place_piles as piles
    on piles.feed = incidents.feed and piles.lon = incidents.lon and piles.lat = incidents.lat
where incidents.agency = 'police' and incidents.is_crime and not incidents.is_risk_allowed
group by all
