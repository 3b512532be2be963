"""Scores of risk at a fixed area: by hand, null where nothing can be divided, and intervals that depend on no order."""

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.evaluation.scoring import DRAWS, FEWEST_WINDOWS, GAINS, SCORES

BY = ["category", "model"]


def windows(hits: list[int], model: str = "stack", **overrides: object) -> pl.DataFrame:
    """Monthly windows of 10 incidents each, in 2 of 100 cells."""
    months = {"origin_day": range(0, 28 * len(hits), 28), "hits": hits}
    fixed = {
        "category": "theft", "model": model, "cells": 2, "days": 28, "incidents": 10, "most_hits": 8, "hit_cells": 1,
        "prior_incidents": 10, "prior_hits": 4, "log_score": -0.5, "area_share": 0.02,
    }  # fmt: skip
    return pl.DataFrame(months | fixed | overrides)


def scored(frame: pl.DataFrame, *baselines: str) -> dict[str, dict[str, object]]:
    return {row["model"]: row for row in scoring.score(frame, BY, baselines).to_dicts()}


def test_the_scores_of_pooled_windows_are_ratios_of_their_sums() -> None:
    row = scored(windows([2, 6], incidents=[10, 30], hit_cells=[1, 2], log_score=[-1.0, -2.0]))["stack"]
    assert list(row) == [*BY, *SCORES]
    assert (row["origins"], row["incidents"], row["hits"], row["hit_rate"]) == (2, 40, 8, 0.2)
    assert (row["pai"], row["pei_star"]) == (pytest.approx(10), pytest.approx(8 / 16))
    # Hits over those of the same cells before, against incidents over those of before.
    assert row["rri"] == pytest.approx((8 / 8) / (40 / 20))
    assert row["false_alarms_per_hit"] == pytest.approx((4 - 3) / 3)
    assert row["hits_per_patrol_hour"] == pytest.approx(8 / (2 * 2 * 28 * 24))
    assert row["log_score"] == -1.5


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        ({"prior_hits": 0}, {"rri"}),
        ({"prior_incidents": 0, "prior_hits": 0}, {"rri"}),
        ({"most_hits": 0}, {"pei_star"}),
        ({"hit_cells": 0}, {"false_alarms_per_hit"}),
        ({"cells": 0, "hit_cells": 0}, {"false_alarms_per_hit", "hits_per_patrol_hour"}),
        ({"area_share": 0.0}, {"pai"}),
    ],
)
def test_a_score_that_would_divide_by_nothing_is_null_and_the_others_are_not(
    overrides: dict[str, object], missing: set[str]
) -> None:
    row = scored(windows([3, 5], **overrides))["stack"]
    assert {name for name in SCORES if row[name] is None} == missing | {"pai_low", "pai_high"}


def test_no_window_gives_no_row_and_all_the_columns() -> None:
    empty = scoring.score(windows([1]).clear(), BY, ("best_count", "prospective"))
    assert empty.is_empty()
    assert set(empty.columns) >= {*BY, *SCORES, *GAINS}
    assert empty.schema["pai_low"] == pl.Float64


@pytest.mark.parametrize(("count", "is_given"), [(FEWEST_WINDOWS - 1, False), (FEWEST_WINDOWS, True)])
def test_an_interval_needs_six_windows(count: int, is_given: bool) -> None:
    row = scored(windows([(3 * n) % 7 for n in range(count)]))["stack"]
    assert (row["pai_low"] is not None, row["pai_high"] is not None) == (is_given, is_given)
    if is_given:
        assert row["pai_low"] < row["pai"] < row["pai_high"]  # type: ignore[operator]


def test_windows_that_are_alike_have_an_interval_of_no_width() -> None:
    row = scored(windows([4] * 8))["stack"]
    assert row["pai"] == row["pai_low"] == row["pai_high"] == pytest.approx(20)


def test_the_interval_of_independent_windows_is_as_wide_as_theory_says() -> None:
    hits = np.random.default_rng(3).binomial(10, 0.4, 200)
    row = scored(windows(hits.tolist()))["stack"]
    half = 1.96 * hits.std() / np.sqrt(hits.size) / 10 / 0.02
    assert (row["pai_high"] - row["pai_low"]) / 2 == pytest.approx(half, rel=0.15)  # type: ignore[operator]


def test_blocks_make_the_interval_of_windows_that_alternate_narrow_and_of_windows_in_runs_wide() -> None:
    width = {}
    for name, hits in {"alternating": [2, 8, 5] * 20, "runs": [2] * 20 + [8] * 20 + [5] * 20}.items():
        row = scored(windows(hits))["stack"]
        width[name] = row["pai_high"] - row["pai_low"]  # type: ignore[operator]
    # A block of three holds one of each of the alternating windows.
    assert width["alternating"] == pytest.approx(0)
    assert width["runs"] > 5


def test_the_order_of_rows_changes_no_score() -> None:
    frame = pl.concat([windows([1, 5, 3, 7, 2, 6, 4, 4], name) for name in ("stack", "best_count", "prospective")])
    shuffled = frame.sample(fraction=1, shuffle=True, seed=4)
    baselines = ("best_count", "prospective")
    assert scoring.score(frame, BY, baselines).equals(scoring.score(shuffled, BY, baselines))


def test_a_gain_is_the_difference_to_each_baseline_on_the_same_draws() -> None:
    frame = pl.concat(
        [
            windows([5, 6, 4, 5, 6, 4, 5, 5]),
            windows([4, 5, 3, 4, 5, 3, 4, 4], "best_count"),
            windows([3, 4, 2, 3, 4, 2, 3, 3], "prospective"),
        ]
    )
    scores = scored(frame, "best_count", "prospective")
    row = scores["stack"]
    assert list(row) == [*BY, *SCORES, *GAINS]
    # One hit more of ten in a fiftieth of the area, in every window.
    assert [row[name] for name in GAINS] == pytest.approx([5, 5, 5, 10, 10, 10])
    assert [scores["best_count"][name] for name in GAINS[:3]] == [0, 0, 0]


def test_a_gain_needs_the_baseline_in_the_same_windows_of_the_same_category() -> None:
    frame = pl.concat(
        [
            windows([5] * 6),
            windows([4] * 6, "best_count", origin_day=range(1, 7)),
            windows([3] * 6, "prospective", category="burglary"),
        ]
    )
    gains = scoring.score(frame, BY, ("best_count", "prospective")).filter(model="stack").select(GAINS)
    assert gains.rows() == [(None,) * 6]
    alone = scoring.score(windows([5] * 6), BY, ("best_count", "prospective")).select(GAINS)
    assert set(alone.dtypes) == {pl.Float64}, "also where no row has a gain"


def test_months_without_an_incident_leave_the_interval_to_the_others() -> None:
    row = scored(windows([0, 0, 0, 4, 4, 4, 0, 0], incidents=[0, 0, 0, 10, 10, 10, 0, 0]))["stack"]
    assert row["pai"] == row["pai_low"] == row["pai_high"] == pytest.approx(20)
    none = scored(windows([0] * 6, incidents=0))["stack"]
    assert (none["pai"], none["pai_low"], none["pai_high"]) == (None, None, None)


def test_the_interval_of_a_ratio_holds_the_ratio_of_the_sums_and_depends_on_its_seed_alone() -> None:
    rng = np.random.default_rng(5)
    top, bottom = pl.Series(rng.poisson(20, 12)), pl.Series(np.full(12, 18.0))
    low, high = scoring.ratio_interval(top, bottom, "theft")
    assert low is not None and high is not None
    assert low < top.sum() / bottom.sum() < high
    assert scoring.ratio_interval(top, bottom, "theft") == (low, high)
    assert scoring.ratio_interval(top, bottom, "burglary") != (low, high)
    assert scoring.ratio_interval(top, pl.Series(np.zeros(12)), "theft") == (None, None)


def test_every_draw_holds_as_many_windows_in_blocks_of_three_that_wrap_around() -> None:
    drawn = scoring._draws(8, "theft")
    assert drawn.shape == (DRAWS + 1, 8)
    assert drawn[0].tolist() == list(range(8))
    assert set(np.unique(drawn)) == set(range(8))
    steps = (np.diff(drawn[1:], axis=1)) % 8
    assert (steps[:, [0, 1, 3, 4, 6]] == 1).all()
    assert (steps[:, [2, 5]] != 1).any()


def test_the_log_likelihood_is_that_of_poisson_with_a_least_rate_of_one_in_a_million() -> None:
    from scipy.stats import poisson

    outcome, rate = np.array([0, 1, 4]), np.array([0.2, 0.5, 3.0])
    assert scoring.log_likelihood(outcome, rate) == pytest.approx(poisson.logpmf(outcome, rate))
    assert scoring.log_likelihood(np.array([2]), np.array([0.0])) == pytest.approx(poisson.logpmf(2, 1e-6))
