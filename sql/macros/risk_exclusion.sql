-- The one rule of what may enter risk: the first reason that keeps a state of a record out, null for what may enter.
create or replace temporary macro risk_exclusion(
    agency, is_sensitive, is_category_allowed, is_discovered, location_source, location_quality, cell_id, is_on_pile
) as case
    when agency is distinct from 'police' then 'not of the police'
    when is_sensitive then 'sensitive matter'
    when not coalesce(is_category_allowed, false) then 'category not on the allow-list'
    when is_discovered is null then 'unknown whether discovered by patrol'
    when is_discovered then 'discovered by patrol'
    when coalesce(location_source, 'caller_lookup') = 'caller_lookup' then 'place from caller look-up'
    when not coalesce(location_quality in ('exact', 'snapped'), false) or cell_id is null then 'no usable place'
    when is_on_pile then 'place probably a geocoder''s default'
end
