-- Reported crime that may not enter risk, by the first rule that keeps it out. Grain: category, reason.
select
    incidents.category,
    case
        when incidents.is_sensitive then 'sensitive matter'
        when not coalesce(categories.is_risk_allowed, false) then 'category not on the allow-list'
        when is_discovered is null then 'unknown whether discovered by patrol'
        when is_discovered then 'discovered by patrol'
        when location_source = 'caller_lookup' then 'place from caller look-up'
        else 'no usable place'
    end as reason,
    count(*) as incidents
from core.incidents
left join reference.categories on categories.category = incidents.category
where incidents.agency = 'police' and incidents.is_crime and not incidents.is_risk_allowed
group by all
