"""Joint sample paths: marginals as calibrated, dependence as simulated, the same draws in any company."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.forecast.demand import paths, quantiles, shocks, totals
from pipelines.forecast.demand.paths import PathsError
from pipelines.forecast.demand.quantiles import LEVELS
from pipelines.forecast.demand.shocks import Floats
from tests.forecast.demand.test_shocks import START, TRUTH, calendar, members, simulated, variances

NONE = variances({})


def marginals(
    ids: list[str], steps: int, mean: float | list[float], dispersion: float, cutoff: datetime = START
) -> pl.DataFrame:
    means = mean if isinstance(mean, list) else [mean] * len(ids)
    hours = pl.DataFrame({"ds": [cutoff + timedelta(hours=i) for i in range(steps)]})
    return (
        pl.DataFrame({"unique_id": ids, "mean": means})
        .join(hours, how="cross")
        .with_columns(pl.lit(cutoff, pl.Datetime("us")).alias("cutoff"), pl.lit(dispersion).alias("dispersion"))
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0, 300), min_size=1, max_size=4),
    st.sampled_from([0.0, 1e-4, 0.05, 0.7, 4.0]),
    st.floats(0, 0.5),
)
def test_the_marginals_are_the_calibrated_ones_to_one_path(mean: list[float], dispersion: float, shock: float) -> None:
    tree = members(areas=2, per_area=2).head(len(mean))
    parts = variances({("nation", "day"): shock, ("area", "step"): shock})
    drawn = paths.draw(marginals(tree["unique_id"].to_list(), 3, mean, dispersion), tree, parts, 100)
    assert (drawn.values >= 0).all()
    for series, expected in zip(drawn.values, mean, strict=True):
        for step in series:
            counts = np.unique(step)
            share = (step[None, :] <= counts[:, None]).mean(axis=1)
            true = quantiles.cumulative(counts, expected, dispersion)
            assert np.abs(share - true).max() <= 1 / 100 + 1e-6


def test_the_mean_of_the_paths_is_the_mean() -> None:
    tree = members()
    drawn = paths.draw(marginals(tree["unique_id"].to_list(), 24, 1.7, 0.4), tree, NONE, 200)
    assert drawn.values.mean() == pytest.approx(1.7, rel=0.003)


def test_adjusted_levels_give_the_adjusted_quantiles() -> None:
    tree = members(areas=1, per_area=1)
    wider = [0.01, 0.04, 0.1, 0.15, 0.2, 0.35, 0.5, 0.65, 0.8, 0.85, 0.9, 0.96, 0.99, 0.998]
    asked = marginals(tree["unique_id"].to_list(), 4, 40.0, 0.1).with_columns(pl.lit(wider).alias("adjusted"))
    found = totals.summary(paths.draw(asked, tree, NONE, 1000)).select(quantiles.COLUMNS).to_numpy()
    wanted = quantiles.quantiles([40.0], 0.1, wider)
    plain = quantiles.quantiles([40.0], 0.1)
    assert (np.abs(found - wanted) <= 1.0).all()
    assert np.abs(plain - wanted).max() > 5


def test_unadjusted_levels_change_nothing() -> None:
    tree = members(areas=2)
    plain = marginals(tree["unique_id"].to_list(), 4, 3.0, 0.1)
    same = plain.with_columns(pl.lit(list(LEVELS)).alias("adjusted"))
    assert (paths.draw(plain, tree, NONE, 100).values == paths.draw(same, tree, NONE, 100).values).all()


def daily_totals(origins: int, seed: int) -> Floats:
    return simulated(origins, 24, 1.5, seed).group_by("cutoff").agg(pl.col("y").sum())["y"].to_numpy()


def test_totals_cover_as_the_true_model_does_where_independent_draws_fail() -> None:
    """Of 1,500 simulated daily totals of 36 series, within 2 points as many lie in the 80 % interval; else too few."""
    tree = members()
    outcomes = daily_totals(1500, seed=11)
    dispersion = float(np.prod([1 + v for v in TRUTH.values()]) - 1)
    asked = marginals(tree["unique_id"].to_list(), 24, 1.5, dispersion)

    def inside(low: float, high: float) -> float:
        return float(((outcomes >= low) & (outcomes <= high)).mean())

    def coverage(parts: pl.DataFrame) -> float:
        drawn = paths.draw(asked, tree, parts, 4000)
        whole = totals.over_areas(drawn, tree.select("unique_id", pl.col("nation").alias("group")))
        day = totals.summary(totals.over_time(whole, drawn.starts.dt.truncate("1d")))
        return inside(day["q0.1"].item(), day["q0.9"].item())

    true = inside(*np.quantile(daily_totals(1500, seed=12), [0.1, 0.9], method="inverted_cdf"))
    assert coverage(variances(TRUTH)) == pytest.approx(true, abs=0.02)
    assert coverage(NONE) < 0.4


def test_learnt_shocks_cover_totals_too() -> None:
    tree = members()
    learnt = shocks.learn(simulated(60, 168, 1.5, seed=1), tree, datetime(2030, 1, 1))
    dispersion = float(np.prod([1 + v for v in TRUTH.values()]) - 1)
    drawn = paths.draw(marginals(tree["unique_id"].to_list(), 24, 1.5, dispersion), tree, learnt, 1000)
    day = totals.summary(
        totals.over_time(
            totals.over_areas(drawn, tree.select("unique_id", pl.col("nation").alias("group"))),
            drawn.starts.dt.truncate("1d"),
        )
    )
    outcomes = simulated(400, 24, 1.5, seed=11).group_by("cutoff").agg(pl.col("y").sum())["y"]
    assert outcomes.is_between(day["q0.1"].item(), day["q0.9"].item()).mean() == pytest.approx(0.8, abs=0.05)


def test_another_series_batch_or_horizon_changes_no_draw() -> None:
    tree = members()
    parts = variances(TRUTH)
    ids = tree["unique_id"].to_list()
    every = paths.draw(marginals(ids, 30, 2.0, 0.2), tree, parts, 100)
    again = paths.draw(marginals(ids, 30, 2.0, 0.2).reverse(), tree.reverse(), parts, 100)
    few = paths.draw(marginals(ids[5:9], 20, 2.0, 0.2), tree[5:9], parts, 100)
    assert (every.values == again.values).all()
    assert (every.values[5:9, :20] == few.values).all()


def test_another_cutoff_draws_anew() -> None:
    tree = members(areas=1)
    ids = tree["unique_id"].to_list()
    one = paths.draw(marginals(ids, 5, 20.0, 0.2), tree, NONE, 100)
    other = paths.draw(marginals(ids, 5, 20.0, 0.2, START + timedelta(days=1)), tree, NONE, 100)
    assert not (one.values == other.values).all()


def test_expected_counts_beyond_the_marginals_own_still_order() -> None:
    order = paths._order(paths._scores(np.float32([[900, 0.01, 40]]), np.float32([[0.5, 0.5, 0.5]])))
    assert order.tolist() == [[1, 2, 0]]


def broken(change: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    tree = members(areas=1, per_area=2)
    whole = marginals(tree["unique_id"].to_list(), 3, 1.0, 0.0)
    return {
        "hole": (whole[1:], tree),
        "null": (whole.with_columns(pl.when(pl.col("unique_id") == "s001").then("mean").alias("mean")), tree),
        "member": (whole, tree[:1]),
        "cutoffs": (pl.concat([whole, marginals(["s000"], 3, 1.0, 0.0, START + timedelta(days=9))]), tree),
    }[change]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("hole", "one row for every step"),
        ("null", "mean or dispersion is missing"),
        ("member", "not among the members"),
        ("cutoffs", "one cutoff"),
    ],
)
def test_marginals_that_make_no_grid_are_refused(change: str, words: str) -> None:
    asked, tree = broken(change)
    with pytest.raises(PathsError, match=words):
        paths.draw(asked, tree, NONE, 100)


def test_the_calendar_of_the_tests_is_hourly() -> None:
    assert calendar(25)["day"].n_unique() == 2
