-- How concentrated reported crime is. Grain: category, place_kind.
select
    category, place_kind, window_start_date, window_end_date, places, incidents, places_25_share, places_50_share,
    places_80_share, gini, gini_generalised
from patterns.concentration
