"""Local Moran and the permutation p-value of Gi*, against enumeration, against a plain loop, and against esda."""

from itertools import combinations

import numpy as np
import pytest

from pipelines.patterns.hot_spots import discoveries, moran_columns
from pipelines.patterns.local_moran import _drawn, _tails, gathering_p_value, local_moran
from pipelines.patterns.statistics.neighbours import NONE, neighbour_count, neighbour_sum, queen


def grid(side: int) -> np.ndarray:
    y, x = np.divmod(np.arange(side * side), side)
    return queen(x, y, 1)


def ring(size: int) -> np.ndarray:
    place = np.arange(size)
    return np.column_stack([(place - 1) % size, (place + 1) % size])


def test_p_values_are_the_tails_over_all_arrangements_of_the_other_places() -> None:
    values = np.array([1.0, 5.0, 2.0, 8.0, 2.0, 9.0, 4.0, 4.0])
    result = local_moran(values, ring(8), "enumeration")
    for place, p in enumerate(result.p_value):
        others = np.delete(values, place)
        sums = np.array([sum(pair) for pair in combinations(others, 2)])
        seen = values[(place - 1) % 8] + values[(place + 1) % 8]
        exact = min(2 * min((sums >= seen).mean(), (sums <= seen).mean()), 1)
        assert p == pytest.approx(exact, abs=0.01)


def test_the_p_value_of_gi_star_is_the_tail_over_all_arrangements() -> None:
    values = np.array([1.0, 5.0, 2.0, 8.0, 2.0, 9.0, 4.0, 4.0])
    p = gathering_p_value(values, ring(8), "enumeration")
    sums = np.array([sum(three) for three in combinations(values, 3)])
    for place in range(8):
        assert p[place] == pytest.approx((sums >= values[[place - 1, place, (place + 1) % 8]].sum()).mean(), abs=0.01)


def test_shared_permutations_give_the_same_result_as_separate_ones() -> None:
    rng = np.random.default_rng(4)
    values, neighbours = rng.poisson(2, 36).astype(float), grid(6)
    total, count = neighbour_sum(values, neighbours), neighbour_count(neighbours)
    drawn = _drawn(36, 8, 300, "shared")
    upper, lower = _tails(values, total, count, drawn)
    for place in range(36):
        k = count[place]
        sums = []
        for row in drawn:
            taken = list(row[:k])
            if place in taken:
                taken[taken.index(place)] = row[k]
            sums.append(values[taken].sum())
        assert upper[place] == pytest.approx((np.sum(np.array(sums) >= total[place]) + 1) / 301)
        assert lower[place] == pytest.approx((np.sum(np.array(sums) <= total[place]) + 1) / 301)


def test_a_permutation_draws_distinct_places_uniformly() -> None:
    drawn = _drawn(5, 3, 20_000, "fair")
    assert drawn.shape == (20_000, 4) and all(len(set(row)) == 4 for row in drawn[:500])
    share = np.array([np.bincount(column, minlength=5) for column in drawn.T]) / 20_000
    assert share == pytest.approx(np.full((4, 5), 0.2), abs=0.015)


def test_the_four_quadrants_name_the_place_first() -> None:
    values = np.zeros(400)
    values[[20 * r + c for r in (2, 3, 4) for c in (2, 3, 4)]] = 9
    values[[20 * r + c for r in (12, 13, 14) for c in (12, 13, 14)]] = 9
    values[20 * 13 + 13] = 0
    values[20 * 17 + 3] = 9
    result = local_moran(values, grid(20), "planted")
    named = [result.quadrant[20 * r + c] for r, c in ((3, 3), (13, 13), (17, 3), (8, 8))]
    assert named == ["high-high", "low-high", "high-low", "low-low"]
    significant = moran_columns(result)[3].to_numpy()
    assert significant[20 * 3 + 3] and significant[20 * 13 + 13]
    assert not significant[20 * 17 + 3], "its empty neighbours are what most places have"


def test_chance_alone_and_sparse_incidents_are_rarely_significant() -> None:
    rng = np.random.default_rng(5)
    neighbours, false = grid(15), 0
    for number in range(60):
        rate = 5.0 if number % 2 else 0.02
        p = local_moran(rng.poisson(rate, 225).astype(float), neighbours, number, permutations=9_999).p_value
        false += discoveries(p[np.isfinite(p)], 0.05).any()
    assert false <= 8


def test_the_seed_words_determine_the_permutations() -> None:
    values, neighbours = np.random.default_rng(6).gamma(1, 1, 49), grid(7)
    single, same, other = (local_moran(values, neighbours, *words).p_value for words in (("a", 1), ("a", 1), ("b", 1)))
    assert (single == same).all() and (single != other).any()


def test_places_without_neighbours_or_variation_are_not_tested() -> None:
    alone = local_moran(np.array([1.0, 2, 3, 9]), np.array([[1], [0], [NONE], [0]]), "x")
    assert alone.quadrant[2] is None and np.isnan(alone.p_value[2]) and np.isfinite(alone.p_value[0])
    flat = local_moran(np.full(9, 0.1), grid(3), "x")
    assert np.isnan(flat.local_moran).all() and not moran_columns(flat)[3].any()
    assert local_moran(np.array([]), np.empty((0, 8), dtype=np.int64), "x").p_value.size == 0
    assert gathering_p_value(np.array([3.0]), np.empty((1, 0), dtype=np.int64)).tolist() == [1.0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_local_moran_equals_esda() -> None:
    from esda import Moran_Local
    from libpysal.weights import W

    rng = np.random.default_rng(7)
    keep = rng.random(400) < 0.8
    y, x = np.divmod(np.arange(400)[keep], 20)
    values, neighbours = rng.gamma(2, 1, keep.sum()), queen(x, y, 1)
    weights = W({i: row[row != NONE].tolist() for i, row in enumerate(neighbours)}, silence_warnings=True)
    theirs = Moran_Local(values, weights, permutations=9_999, seed=1)
    ours = local_moran(values, neighbours, "esda")
    assert ours.local_moran == pytest.approx(theirs.Is)
    # Both are estimates; places with as many neighbours share their deals, and with them their error.
    apart = np.abs(ours.p_value - np.minimum(2 * theirs.p_sim, 1))
    assert apart.max() < 0.05 and apart.mean() < 0.01
    names = {1: "high-high", 2: "low-high", 3: "low-low", 4: "high-low"}
    assert ours.quadrant.tolist() == [names[q] for q in theirs.q]
