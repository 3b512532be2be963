"""Emerging hot spots: the trend against enumeration, Gi* against esda, every class by its own history."""

from datetime import date, timedelta
from itertools import permutations

import numpy as np
import polars as pl
import pytest
from scipy.stats import kendalltau

from pipelines.patterns import emerging as module
from pipelines.patterns.emerging import (
    CLASSES,
    NO_PATTERN,
    STEP_DAYS,
    STEPS,
    classes,
    emerging_hot_spots,
    mann_kendall,
    space_time,
)
from pipelines.patterns.statistics.neighbours import NONE, queen

END = date(2026, 3, 3)
SIDE = 20


def cells(side: int = SIDE) -> pl.DataFrame:
    y, x = np.divmod(np.arange(side * side), side)
    names = [f"m{i:03d}" for i in range(side * side)]
    return pl.DataFrame({"cell_id": names, "cell_metres": 1000, "map_cell_id": names, "x_m": x * 1000, "y_m": y * 1000})


def crime(counts: np.ndarray, category: str = "theft") -> pl.DataFrame:
    """Incidents per step (row; the last ends at END) and cell, all on the step's last day."""
    step, place = np.nonzero(counts)
    return pl.DataFrame(
        {
            "cell_id": [f"m{i:03d}" for i in place],
            "category": category,
            "occurrence_date": [END - timedelta(days=1 + STEP_DAYS * (len(counts) - 1 - int(s))) for s in step],
            "incidents": counts[step, place].astype(np.int64),
        },
        schema_overrides={"category": pl.String, "cell_id": pl.String, "occurrence_date": pl.Date},
    )


def histories(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hot (h) and cold (c) flags, one column per text."""
    letters = np.array([list(text) for text in texts]).T
    return letters == "h", letters == "c"


MOST = "hhhhhhhhhhhh"


@pytest.mark.parametrize(
    ("history", "trend", "expected"),
    [
        ("...........h", 0, "new"),
        ("c.c........h", 0, "new"),
        (".........hhh", 0, "consecutive"),
        ("c.........hh", 0, "consecutive"),
        ("..hhhhhhhhhh", 0, "consecutive"),
        (MOST, 1, "intensifying"),
        (MOST, -1, "diminishing"),
        (MOST, 0, "persistent"),
        (".hhhhhhhhhhh", 1, "intensifying"),
        ("hhhhh.hhhhhh", -1, "diminishing"),
        ("hhhhhchhhhhh", 0, "persistent"),
        ("hhhh.h.hhhhh", 1, "sporadic"),
        ("h..........h", 0, "sporadic"),
        ("h.c........h", 0, "oscillating"),
        ("hhhhhhhhhhh.", 0, "historical"),
        ("hhhhhhhhhhh.", -1, "historical"),
        ("hhhhhhhhhh..", 0, None),
        ("hhhh........", 0, None),
        ("............", 0, None),
    ],
)
def test_each_history_has_its_class_for_hot_and_cold(history: str, trend: int, expected: str | None) -> None:
    turned = history.translate(str.maketrans("hc", "ch"))
    hot, cold = histories([history, turned])
    z, p = np.array([3.0, -3.0]) * trend, np.full(2, 0.003 if trend else 0.9)
    named = [NO_PATTERN] * 2 if expected is None else [f"{expected} hot", f"{expected} cold"]
    assert classes(hot, cold, z, p) == named


def test_every_history_has_exactly_one_class_that_agrees_with_its_last_step() -> None:
    rng = np.random.default_rng(1)
    state = rng.choice(3, (STEPS, 5_000), p=[0.3, 0.4, 0.3])
    state[:, :2_000] = np.where(rng.random((STEPS, 2_000)) < 0.93, state[0, :2_000], state[:, :2_000])
    named = np.array(classes(state == 0, state == 2, rng.normal(size=5_000), rng.random(5_000)))
    assert set(named) <= {f"{name} {kind}" for name in CLASSES for kind in ("hot", "cold")} | {NO_PATTERN}
    is_hot, is_cold = (np.char.endswith(named, kind) for kind in (" hot", " cold"))
    historical = np.char.startswith(named, "historical")
    assert (is_hot & ~historical == (state[-1] == 0)).all() and (is_cold & ~historical == (state[-1] == 2)).all()
    assert (state[-1][historical] == 1).all() and len(set(named)) >= 13


def test_the_trend_is_kendalls_score_over_its_spread_among_all_orders() -> None:
    for series in (
        [3.0, 1.0, 2.0, 2.0, 5.0, 2.0, 4.0],
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        [2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    ):

        def score(values: tuple[float, ...]) -> float:
            return sum(np.sign(b - a) for i, a in enumerate(values) for b in values[i + 1 :])

        observed = score(tuple(series))
        spread = np.std([score(order) for order in permutations(series)])
        z, p = mann_kendall(np.array(series)[:, None])
        assert z[0] == pytest.approx((observed - np.sign(observed)) / spread)
        assert 0 <= p[0] <= 1


def test_the_trend_has_the_sign_and_about_the_p_value_of_scipys_kendalltau() -> None:
    rng = np.random.default_rng(2)
    series = rng.poisson(3, (12, 300)) + np.linspace(0, 1, 12)[:, None] * rng.integers(-6, 7, 300)
    z, p = mann_kendall(series.round())
    theirs = [kendalltau(np.arange(12), column, method="asymptotic") for column in series.round().T]
    assert (
        np.sign(z) == np.sign([single.statistic if abs(zz) > 0 else 0 for single, zz in zip(theirs, z, strict=True)])
    ).all()
    # Theirs has no continuity correction, so ours is a little larger.
    assert (p >= np.array([single.pvalue for single in theirs]) - 1e-12).all()
    assert p == pytest.approx([single.pvalue for single in theirs], abs=0.09)


def test_a_series_that_does_not_vary_has_no_trend() -> None:
    z, p = mann_kendall(np.zeros((12, 2)))
    assert z.tolist() == [0, 0] and p.tolist() == [1, 1]
    assert mann_kendall(np.empty((12, 0)))[0].size == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_space_time_gi_star_equals_esda_on_neighbours_in_space_and_time() -> None:
    from esda import G_Local
    from libpysal.weights import W

    counts = np.random.default_rng(3).poisson(2, (5, 49)).astype(float)
    y, x = np.divmod(np.arange(49), 7)
    result = queen(x, y, 1)
    near = [[i, *row[row != NONE].tolist()] for i, row in enumerate(result)]
    links = {
        t * 49 + i: [s * 49 + j for s in (t, t - 1) if s >= 0 for j in near[i] if (s, j) != (t, i)]
        for t in range(5)
        for i in range(49)
    }
    theirs = G_Local(counts.ravel(), W(links, silence_warnings=True), transform="B", star=True, permutations=0).Zs
    assert space_time(counts, result).z == pytest.approx(theirs.reshape(5, 49)[1:])


def test_planted_histories_get_their_classes() -> None:
    counts = np.random.default_rng(4).poisson(0.5, (STEPS + 1, SIDE * SIDE))
    middle = {
        name: 20 * r + c for name, r, c in (("new", 3, 3), ("lasting", 3, 15), ("gone", 15, 3), ("rising", 15, 15))
    }
    counts[-1, middle["new"]] += 40
    counts[:, middle["lasting"]] += 25
    counts[:4, middle["gone"]] += 25
    counts[:, middle["rising"]] += np.arange(20, 20 + 4 * (STEPS + 1), 4)
    frame = emerging_hot_spots(crime(counts), cells(), 1000, END)
    named = dict(frame.select("cell_id", "emerging_class").iter_rows())
    assert named[f"m{middle['new']:03d}"] == "new hot"
    assert named[f"m{middle['lasting']:03d}"] == "persistent hot"
    assert named[f"m{middle['gone']:03d}"] == NO_PATTERN
    assert named[f"m{middle['rising']:03d}"] == "intensifying hot"
    row = frame.filter(pl.col("cell_id") == f"m{middle['rising']:03d}").to_dicts()[0]
    assert (
        row["hot_steps"] == 12 and row["gi_star_trend_z"] > 3 and row["incidents"] == counts[1:, middle["rising"]].sum()
    )
    assert frame.height < 60, "cells that were never hot or cold have no row"


def test_a_single_robbery_makes_no_hot_step() -> None:
    counts = np.zeros((STEPS + 1, SIDE * SIDE), dtype=int)
    counts[[2, 5, 9, 12], [50, 120, 222, 333]] = 1
    assert space_time(counts.astype(float), queen(*(cells()[c].to_numpy() for c in ("x_m", "y_m")), 1000)).z.max() > 5
    assert emerging_hot_spots(crime(counts, "robbery"), cells(), 1000, END).is_empty()


def test_empty_cells_are_cold_only_where_crime_is_frequent() -> None:
    void = [20 * r + c for r in range(6, 13) for c in range(6, 13)]
    for rate, expected in ((0.05, False), (6.0, True)):
        counts = np.random.default_rng(5).poisson(rate, (STEPS + 1, SIDE * SIDE))
        counts[:, void] = 0
        frame = emerging_hot_spots(crime(counts), cells(), 1000, END)
        assert (frame["cold_steps"].sum() > 0) == expected
    assert "persistent cold" in frame["emerging_class"].to_list()


def test_chance_alone_is_rarely_hot_or_cold() -> None:
    rng = np.random.default_rng(6)
    result = queen(*(cells()[c].to_numpy() for c in ("x_m", "y_m")), 1000)
    false = 0
    for number in range(40):
        steps = space_time(rng.poisson(0.1 if number % 2 else 4, (STEPS + 1, SIDE * SIDE)).astype(float), result)
        false += steps.is_hot.any() + steps.is_cold.any()
    assert false <= 8


def test_only_the_predecessor_step_is_used_before_the_first_step() -> None:
    counts = np.zeros((STEPS + 2, SIDE * SIDE), dtype=int)
    counts[0, 10] = 500
    assert emerging_hot_spots(crime(counts), cells(), 1000, END).is_empty()
    counts[1, 10] = 500
    frame = emerging_hot_spots(crime(counts), cells(), 1000, END)
    assert frame["hot_steps"].unique().to_list() == [1] and frame["incidents"].sum() == 0
    assert frame["window_start_date"].unique().to_list() == [END - timedelta(days=STEPS * STEP_DAYS)]


def test_no_incidents_give_no_row() -> None:
    empty = crime(np.zeros((1, 4), dtype=int))
    assert emerging_hot_spots(empty, cells(), 1000, END).schema == module.SCHEMA
    assert emerging_hot_spots(crime(np.ones((1, 4), dtype=int)), cells().clear(), 1000, END).schema == module.SCHEMA
    assert emerging_hot_spots(crime(np.ones((13, 1), dtype=int)), cells(1), 1000, END).schema == module.SCHEMA
