-- Near repeats of reported crime against chance. Grain: category, distance_to_m, days_to, window_end_date.
select
    category, distance_from_m, distance_to_m, days_from, days_to, window_start_date, window_end_date, incidents,
    sampled_share, shared_place_share, observed_pairs, expected_pairs, pair_ratio, permutation_p_value, permutations
from patterns.near_repeats
