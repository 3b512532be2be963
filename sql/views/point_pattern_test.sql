-- Whether crime is where it was before, over all places. Grain: category, place_kind.
select
    category, place_kind, window_start_date, window_end_date, window_days, places, places_with_crime, incidents,
    incidents_before, similarity, similarity_robust, similarity_fdr
from patterns.point_pattern_test
