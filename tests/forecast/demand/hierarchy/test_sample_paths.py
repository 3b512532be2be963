"""Joint sample paths: marginals as calibrated, dependence as simulated, the same draws in any company."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.forecast.demand.evaluation import negative_binomial
from pipelines.forecast.demand.evaluation.negative_binomial import LEVELS
from pipelines.forecast.demand.hierarchy import common_shocks, path_sums, sample_paths
from pipelines.forecast.demand.hierarchy.common_shocks import Floats, Shocks
from pipelines.forecast.demand.hierarchy.sample_paths import PathsError
from tests.forecast.demand.hierarchy.test_common_shocks import START, TRUTH, calendar, members, simulated, variances
from tests.path_summary import summary

NONE = common_shocks.INDEPENDENT
SHARED = Shocks(variances(TRUTH))


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
    parts = Shocks(variances({("nation", "day"): shock, ("area", "step"): shock}), substitution=shock)
    drawn = sample_paths.draw(marginals(tree["unique_id"].to_list(), 3, mean, dispersion), tree, parts, 100)
    assert (drawn.values >= 0).all()
    for series, expected in zip(drawn.values, mean, strict=True):
        for step in series:
            counts = np.unique(step)
            share = (step[None, :] <= counts[:, None]).mean(axis=1)
            true = negative_binomial.cumulative(counts, expected, dispersion)
            assert np.abs(share - true).max() <= 1 / 100 + 1e-6


def test_the_mean_of_the_paths_is_the_mean() -> None:
    tree = members()
    drawn = sample_paths.draw(marginals(tree["unique_id"].to_list(), 24, 1.7, 0.4), tree, NONE, 200)
    assert drawn.values.mean() == pytest.approx(1.7, rel=0.003)


def test_recalibrated_levels_give_recalibrated_quantiles() -> None:
    """The first map says that the negative binomial's 10 % level covers 20 %: wider ranges; row 0 is the identity."""
    curves = np.array([[0.0, 0.1, 0.5, 0.9, 1.0], [0.0, 0.2, 0.5, 0.8, 1.0]])
    tree = members(areas=1, per_area=1)
    targets_of = marginals(tree["unique_id"].to_list(), 4, 40.0, 0.1)
    targets_of = targets_of.with_columns(pl.Series("curve", [0, 1, 1, 0]))
    result = (
        summary(sample_paths.draw(targets_of, tree, NONE, 1000, curves)).select(negative_binomial.COLUMNS).to_numpy()
    )
    plain = negative_binomial.quantiles([40.0], 0.1)
    moved = negative_binomial.quantiles([40.0], 0.1, np.interp(LEVELS, curves[1], curves[0]).tolist())
    assert (np.abs(result[[0, 3]] - plain) <= 1).all()
    assert (np.abs(result[[1, 2]] - moved) <= 1).all()
    assert np.abs(plain - moved).max() > 5


def test_wide_distributions_give_the_same_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = np.array([[0.0, 0.1, 0.9, 1.0], [0.0, 0.2, 0.8, 1.0]])
    tree = members(areas=2)
    targets_of = marginals(tree["unique_id"].to_list(), 4, 25.0, 0.3).with_columns(pl.Series("curve", [0, 1, 1, 0] * 6))
    table = sample_paths.draw(targets_of, tree, SHARED, 200, curves).values
    monkeypatch.setattr(sample_paths, "WIDE", 0)
    assert (sample_paths.draw(targets_of, tree, SHARED, 200, curves).values == table).mean() > 0.999


def daily_totals(origins: int, seed: int) -> Floats:
    return simulated(origins, 24, 1.5, seed).group_by("cutoff").agg(pl.col("y").sum())["y"].to_numpy()


def test_totals_cover_as_the_true_model_does_where_independent_draws_fail() -> None:
    """Of 1,500 simulated daily totals of 36 series, within 2 points as many lie in the 80 % interval; else too few."""
    tree = members()
    outcomes = daily_totals(1500, seed=11)
    dispersion = float(np.prod([1 + v for v in TRUTH.values()]) - 1)
    targets_of = marginals(tree["unique_id"].to_list(), 24, 1.5, dispersion)

    def inside(low: float, high: float) -> float:
        return float(((outcomes >= low) & (outcomes <= high)).mean())

    def coverage(parts: Shocks) -> float:
        drawn = sample_paths.draw(targets_of, tree, parts, 4000)
        whole = path_sums.over_areas(drawn, tree.select("unique_id", pl.col("nation").alias("group")))
        day = summary(path_sums.over_time(whole, drawn.starts.dt.truncate("1d")))
        return inside(day["q0.1"].item(), day["q0.9"].item())

    true = inside(*np.quantile(daily_totals(1500, seed=12), [0.1, 0.9], method="inverted_cdf"))
    assert coverage(SHARED) == pytest.approx(true, abs=0.02)
    assert coverage(NONE) < 0.4


def test_learnt_shocks_cover_totals_too() -> None:
    tree = members()
    learnt = common_shocks.learn(simulated(60, 168, 1.5, seed=1), tree, datetime(2030, 1, 1))
    dispersion = float(np.prod([1 + v for v in TRUTH.values()]) - 1)
    drawn = sample_paths.draw(marginals(tree["unique_id"].to_list(), 24, 1.5, dispersion), tree, learnt, 1000)
    day = summary(
        path_sums.over_time(
            path_sums.over_areas(drawn, tree.select("unique_id", pl.col("nation").alias("group"))),
            drawn.starts.dt.truncate("1d"),
        )
    )
    outcomes = simulated(400, 24, 1.5, seed=11).group_by("cutoff").agg(pl.col("y").sum())["y"]
    assert outcomes.is_between(day["q0.1"].item(), day["q0.9"].item()).mean() == pytest.approx(0.8, abs=0.05)


def test_another_series_batch_or_horizon_changes_no_draw() -> None:
    tree = members()
    ids = tree["unique_id"].to_list()
    every = sample_paths.draw(marginals(ids, 30, 2.0, 0.2), tree, SHARED, 100)
    again = sample_paths.draw(marginals(ids, 30, 2.0, 0.2).reverse(), tree.reverse(), SHARED, 100)
    few = sample_paths.draw(marginals(ids[5:9], 20, 2.0, 0.2), tree[5:9], SHARED, 100)
    assert (every.values == again.values).all()
    assert (every.values[5:9, :20] == few.values).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_substitution_takes_its_part_off_the_areas_variance(share: float) -> None:
    """Twelve series of mean 20: Poisson noise 240 and own shocks 4,800 × 0.0645 × (1 - share)², within 12 %."""
    tree = members(areas=1, per_area=12)
    targets_of = marginals(tree["unique_id"].to_list(), 20, 20.0, 0.0645)
    total = sample_paths.draw(targets_of, tree, Shocks(variances({}), share), 2000).values.sum(axis=0)
    assert total.var(axis=1).mean() == pytest.approx(240 + 4800 * 0.0645 * (1 - share) ** 2, rel=0.12)


def test_whole_groups_draw_the_same_whatever_other_groups_with_substitution() -> None:
    tree = members()
    both = Shocks(variances(TRUTH), 0.6)
    every = sample_paths.draw(marginals(tree["unique_id"].to_list(), 6, 2.0, 0.4), tree, both, 100)
    few = sample_paths.draw(marginals(tree["unique_id"].to_list()[6:9], 6, 2.0, 0.4), tree[6:9], both, 100)
    assert (every.values[6:9] == few.values).all()


def test_another_cutoff_gives_other_draws() -> None:
    tree = members(areas=1)
    ids = tree["unique_id"].to_list()
    single = sample_paths.draw(marginals(ids, 5, 20.0, 0.2), tree, NONE, 100)
    other = sample_paths.draw(marginals(ids, 5, 20.0, 0.2, START + timedelta(days=1)), tree, NONE, 100)
    assert not (single.values == other.values).all()


def test_expected_counts_beyond_the_marginals_own_still_order() -> None:
    order = sample_paths._order(sample_paths._scores(np.float32([[900, 0.01, 40]]), np.float32([[0.5, 0.5, 0.5]])))
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
        ("member", "missing from the members"),
        ("cutoffs", "one cutoff"),
    ],
)
def test_marginals_without_a_complete_grid_are_rejected(change: str, words: str) -> None:
    targets_of, tree = broken(change)
    with pytest.raises(PathsError, match=words):
        sample_paths.draw(targets_of, tree, NONE, 100)


def test_the_calendar_of_the_tests_is_hourly() -> None:
    assert calendar(25)["day"].n_unique() == 2
