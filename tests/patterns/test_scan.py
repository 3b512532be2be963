"""The space-time scan against a plain search of all cylinders, on nothing, and on planted outbreaks."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.config.seeds import generator
from pipelines.patterns import scan
from pipelines.patterns.statistics import scan_windows

END = date(2026, 3, 3)
SIDE = 100


def grid(side: int = 20) -> pl.DataFrame:
    y, x = np.divmod(np.arange(side * side), side)
    names = [f"c{number:03d}" for number in range(side * side)]
    return pl.DataFrame({"cell_id": names, "cell_metres": SIDE, "x_m": x * SIDE, "y_m": y * SIDE})


def points(
    cell: NDArray[np.int64] | list[int], age: NDArray[np.int64] | list[int], name: str = "theft"
) -> pl.DataFrame:
    """Incidents by cell and by days before the last day."""
    return pl.DataFrame(
        {
            "category": name,
            "cell_id": [f"c{number:03d}" for number in cell],
            "occurrence_date": [END - timedelta(days=int(days) + 1) for days in age],
        },
        schema={"category": pl.String, "cell_id": pl.String, "occurrence_date": pl.Date},
    )


def year(count: int, *seed: object, cells: int = 400) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Incidents whose place and time are independent; some cells have far more, some weeks too."""
    rng = generator(*seed)
    weight = rng.lognormal(0, 1, cells)
    season = 1 + np.sin(np.arange(365) / 58) / 2
    return rng.choice(cells, count, p=weight / weight.sum()), rng.choice(365, count, p=season / season.sum())


def plainly(cell: list[int], age: list[int], max_radius: float, side: int) -> dict[tuple[int, float, int], float]:
    """The log likelihood ratio of each (centre, radius, days), one by one, as the paper writes it."""
    total, result = len(cell), {}
    place = {c: divmod(c, side) for c in cell}
    for centre in {c for c, a in zip(cell, age, strict=True) if a < scan_windows.MAX_DAYS}:
        away = {c: SIDE * math.dist(place[c], place[centre]) for c in place}
        for radius in {r for r in away.values() if r <= max_radius}:
            inside = [a for c, a in zip(cell, age, strict=True) if away[c] <= radius + 1e-6]
            for days in range(1, scan_windows.MAX_DAYS + 1):
                count = sum(a < days for a in inside)
                expected = len(inside) * sum(a < days for a in age) / total
                if count >= scan_windows.MIN_INCIDENTS and count > expected:
                    rest = (total - count) * math.log((total - count) / (total - expected)) if count < total else 0
                    result[centre, round(radius, 3), days] = count * math.log(count / expected) + rest
    return result


incidents = st.lists(st.tuples(st.integers(0, 35), st.integers(0, 60)), max_size=40)


@given(incidents)
def test_the_best_cylinder_equals_a_brute_force_search(seen: list[tuple[int, int]]) -> None:
    cell, age = ([pair[part] for pair in seen] for part in range(2))
    expected = plainly(cell, age, scan.MAX_RADIUS_M, 6)
    result = scan.space_time_clusters(points(cell, age), grid_of_six(), SIDE, END, permutations=1)
    assert result.schema == scan.COLUMNS
    if not expected:
        assert result.is_empty()
        return
    best = result.row(0, named=True)
    key = (int(best["cell_id"][1:]), round(best["radius_m"], 3), (END - best["cluster_start_date"]).days)
    assert best["log_likelihood_ratio"] == pytest.approx(max(expected.values()))
    assert expected[key] == pytest.approx(best["log_likelihood_ratio"])


def grid_of_six() -> pl.DataFrame:
    return grid(6)


@given(incidents.filter(lambda seen: len(seen) > 3), st.sampled_from([100.0, 150.0, 300.0]))
def test_every_candidate_cylinder_has_the_brute_force_ratio(seen: list[tuple[int, int]], reach: float) -> None:
    cell, age = (np.array([pair[part] for pair in seen]) for part in range(2))
    used, row = np.unique(cell, return_inverse=True)
    y, x = np.divmod(used, 6) * np.array(SIDE)
    built = scan_windows.circles(x.astype(float), y.astype(float), np.bincount(row), reach)
    recent = age < scan_windows.MAX_DAYS
    result = scan_windows.cylinders(built, row[recent], age[recent], scan_windows.windows(age), cell.size)
    plain = plainly(cell.tolist(), age.tolist(), reach, 6)
    ours = {
        (int(used[built.centre[ring]]), round(float(built.radius[ring]), 3), int(days)): ratio
        for ring, days, ratio in zip(result.ring, result.days, result.ratio, strict=True)
    }
    # Circles that grew without gaining a recent incident are left out; they cannot be better.
    assert ours == pytest.approx({key: plain[key] for key in ours})
    assert max(ours.values(), default=0) == pytest.approx(max(plain.values(), default=0))


def test_a_planted_outbreak_is_found_with_place_and_start() -> None:
    cell, age = year(3000, "planted")
    outbreak = np.repeat([210, 211, 230, 231], 4)
    lasting = generator("outbreak").integers(0, 9, outbreak.size)
    seen = points(np.append(cell, outbreak), np.append(age, lasting))
    result = scan.space_time_clusters(seen, grid(), SIDE, END)
    first = result.row(0, named=True)
    assert first["is_signal"] and first["permutation_p_value"] == 0.001 and first["recurrence_days"] == 1000
    assert np.hypot(first["centre_x_m"] - 1100, first["centre_y_m"] - 1100) <= 150 and first["radius_m"] <= 250
    assert (
        END - timedelta(days=11) <= first["cluster_start_date"] <= END - timedelta(days=7)
        and first["window_end_date"] == END
    )
    assert first["incidents"] >= 14 and first["excess_ratio"] == first["incidents"] / first["expected_incidents"]


def test_two_outbreaks_are_two_clusters_that_share_no_cell() -> None:
    cell, age = year(3000, "two")
    both = np.append(np.repeat([42, 43], 7), np.repeat([350, 351], 6))
    rng = generator("both")
    seen = points(np.append(cell, both), np.append(age, rng.integers(0, 7, both.size)))
    result = scan.space_time_clusters(seen, grid(), SIDE, END)
    signals = result.filter("is_signal")
    assert signals["cluster_rank"].to_list() == [1, 2]
    (ax, bx), (ay, by) = signals["centre_x_m"], signals["centre_y_m"]
    assert np.hypot(ax - bx, ay - by) > signals["radius_m"].sum()
    assert sorted(round(y / SIDE) for y in (ay, by)) in ([2, 18], [3, 18], [2, 17], [3, 17])
    assert result["log_likelihood_ratio"].is_sorted(descending=True)


def test_a_place_with_constantly_many_incidents_is_not_a_cluster() -> None:
    cell, age = year(2000, "always")
    rng = generator("always there")
    seen = points(np.append(cell, np.full(700, 150)), np.append(age, rng.integers(0, 365, 700)))
    result = scan.space_time_clusters(seen, grid(), SIDE, END)
    assert result["permutation_p_value"][0] > 0.01 and not result["is_signal"].any()


def test_a_week_with_many_incidents_everywhere_is_not_a_cluster() -> None:
    cell, age = year(2000, "week")
    extra, _ = year(700, "week, everywhere")
    weight = np.bincount(cell, minlength=400) / cell.size
    extra = generator("everywhere").choice(400, 700, p=weight)
    seen = points(np.append(cell, extra), np.append(age, generator("that week").integers(0, 7, 700)))
    result = scan.space_time_clusters(seen, grid(), SIDE, END)
    assert result["permutation_p_value"][0] > 0.01 and not result["is_signal"].any()


@pytest.mark.slow
def test_without_clusters_p_values_are_uniform() -> None:
    """Two hundred years without any cluster."""
    p = np.array(
        [
            scan.space_time_clusters(points(*year(400, "null", night, cells=100)), grid(10), SIDE, END, 99)[
                "permutation_p_value"
            ][0]
            for night in range(200)
        ]
    )
    for level in (0.05, 0.1, 0.2, 0.5):
        wide = 3.3 * np.sqrt(level * (1 - level) / p.size)
        # where permuting stopped early, p is a little too large: at levels above a fifth only.
        assert level - wide <= (p <= level).mean() <= level + wide, level


def test_permuting_stops_when_the_most_likely_cluster_is_clearly_not_significant() -> None:
    result = scan.space_time_clusters(points(*year(400, "stop")), grid(), SIDE, END)
    assert result["permutations"][0] < 500
    assert result["permutation_p_value"][0] == pytest.approx((1 + scan.ENOUGH_BEATEN) / (1 + result["permutations"][0]))


def test_only_the_year_and_listed_cells_count_and_categories_are_separate() -> None:
    cell, age = year(300, "alone")
    subset = points(cell, age)
    other = points([5, 5, 5, 5], [0, 1, 1, 2], "burglary")
    ignored = pl.concat([points([7] * 9, [-1] * 9), points([7] * 9, [365] * 9), points([7000] * 9, [2] * 9)])
    alone = scan.space_time_clusters(subset, grid(), SIDE, END)
    result = scan.space_time_clusters(pl.concat([other, subset, ignored]), grid(), SIDE, END)
    assert result.filter(category="theft").equals(alone)
    assert result.filter(category="burglary").is_empty(), (
        "with nothing but the last days, nothing is more than expected"
    )
    assert result.equals(scan.space_time_clusters(pl.concat([subset, other]).reverse(), grid(), SIDE, END))


def test_no_incidents_and_no_recent_ones_give_an_empty_table() -> None:
    for seen in (points([], []), points([3, 4, 3], [200, 201, 202]), points([3], [0])):
        result = scan.space_time_clusters(seen, grid(), SIDE, END)
        assert result.is_empty() and result.schema == scan.COLUMNS
