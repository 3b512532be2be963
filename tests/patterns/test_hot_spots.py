"""Hot spots against esda, against arithmetic, and on a planted cluster."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.patterns import hot_spots
from pipelines.patterns.statistics.neighbours import NONE, neighbour_count, neighbour_sum, queen

END = date(2026, 3, 3)


def cells(side: int = 12) -> pl.DataFrame:
    y, x = np.divmod(np.arange(side * side), side)
    names = [f"m{i:03d}" for i in range(side * side)]
    return pl.DataFrame({"cell_id": names, "cell_metres": 1000, "map_cell_id": names, "x_m": x * 1000, "y_m": y * 1000})


def crime(counts: dict[str, int], category: str = "theft", day: date = END - timedelta(days=1)) -> pl.DataFrame:
    return pl.DataFrame(
        {"cell_id": list(counts), "category": category, "occurrence_date": day, "incidents": list(counts.values())},
        schema_overrides={"incidents": pl.Int64},
    )


def test_queen_neighbours_cross_gaps_and_never_wrap_around_the_edge() -> None:
    x, y = np.array([0, 100, 200, 0, 500]), np.array([0, 0, 0, 100, 0])
    result = queen(x, y, 100)
    assert [sorted(row[row != NONE]) for row in result] == [[1, 3], [0, 2, 3], [1], [0, 1], []]
    assert neighbour_count(result).tolist() == [2, 3, 1, 2, 0]
    assert neighbour_sum(np.array([1.0, 2, 4, 8, 16]), result).tolist() == [10, 13, 2, 3, 0]
    assert queen([], [], 100).shape == (0, 8)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_gi_star_equals_esda() -> None:
    from esda import G_Local
    from libpysal.weights import W

    rng = np.random.default_rng(1)
    keep = rng.random(400) < 0.8
    y, x = np.divmod(np.arange(400)[keep], 20)
    counts = rng.poisson(2, keep.sum()).astype(float)
    result = queen(x, y, 1)
    weights = W({i: row[row != NONE].tolist() for i, row in enumerate(result)}, silence_warnings=True)
    reference = G_Local(counts, weights, transform="B", star=True, permutations=0).Zs
    assert hot_spots.gi_star(counts, result) == pytest.approx(reference)


def test_a_planted_cluster_is_hot_and_the_rest_is_not() -> None:
    rng = np.random.default_rng(2)
    background = {f"m{i:03d}": int(rng.poisson(3)) for i in range(144)}
    planted = {name: background[name] + 12 for name in ("m064", "m065", "m076", "m077")}
    frame = hot_spots.hot_spots(crime(background | planted), cells(), 1000, END)
    hot = set(frame.filter("is_hot")["cell_id"])
    assert set(planted) <= hot and len(hot) <= 16
    assert frame.height == 144 and frame.columns == list(hot_spots.COLUMNS)


def test_a_handful_of_incidents_makes_no_hot_spot() -> None:
    names = cells(26)["cell_id"]
    far_apart = crime({names[i]: 1 for i in (60, 120, 333, 500, 640)}, "robbery")
    frame = hot_spots.hot_spots(far_apart, cells(26), 1000, END)
    assert hot_spots.discoveries(hot_spots.norm.sf(frame["gi_star_z"].to_numpy()), 0.05).sum() == 45
    assert not frame["is_hot"].any()


def test_the_exact_p_is_a_binomial_tail() -> None:
    result = queen(cells()["x_m"].to_numpy(), cells()["y_m"].to_numpy(), 1000)
    counts = np.zeros(144)
    counts[[65, 66, 0]] = [2, 1, 7]
    p = hot_spots.chance(counts, result)
    assert p[65] == pytest.approx(hot_spots.binom.sf(2, 10, 9 / 144))
    assert p[143] == 1


def test_chance_alone_is_rarely_called_hot() -> None:
    rng = np.random.default_rng(3)
    result = queen(cells()["x_m"].to_numpy(), cells()["y_m"].to_numpy(), 1000)
    false = 0
    for _ in range(100):
        z = hot_spots.gi_star(rng.poisson(8, 144).astype(float), result)
        false += hot_spots.discoveries(hot_spots.norm.sf(z), 0.05).any()
    assert false <= 15


def test_benjamini_and_hochbergs_own_example_gives_four_discoveries() -> None:
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    assert hot_spots.discoveries(np.array(p), 0.05).sum() == 4
    assert hot_spots.discoveries(np.array([0.5, 0.9]), 0.05).sum() == 0


def test_risk_cells_are_summed_per_map_cell_within_the_year() -> None:
    fine = pl.DataFrame(
        {"cell_id": ["a", "b", "z"], "cell_metres": 100, "map_cell_id": ["m005", "m005", "gone"], "x_m": 0, "y_m": 0}
    )
    both = pl.concat([cells(), fine], how="vertical_relaxed")
    seen = pl.concat(
        [
            crime({"a": 2, "b": 3, "z": 7}),
            crime({"a": 40}, day=END),
            crime({"a": 50}, day=END - timedelta(days=366)),
            crime({"a": 1}, day=END - timedelta(days=365)),
        ]
    )
    frame = hot_spots.hot_spots(seen, both, 1000, END)
    assert frame.filter(pl.col("incidents") > 0).select("cell_id", "incidents").rows() == [("m005", 6)]
    assert frame["window_start_date"].unique().to_list() == [END - timedelta(days=365)]


def test_categories_are_tested_separately() -> None:
    frame = hot_spots.hot_spots(pl.concat([crime({"m000": 9}), crime({"m100": 4}, "burglary")]), cells(), 1000, END)
    assert frame.group_by("category").len().sort("category").rows() == [("burglary", 144), ("theft", 144)]


def test_equal_counts_give_no_hot_spot() -> None:
    assert hot_spots.gi_star(np.full(9, 4.0), queen(*np.divmod(np.arange(9), 3), 1)).tolist() == [0.0] * 9
    assert hot_spots.gi_star(np.array([]), queen([], [], 1)).size == 0
    assert hot_spots.hot_spots(crime({"m000": 1}).clear(), cells(), 1000, END).columns == list(hot_spots.COLUMNS)
