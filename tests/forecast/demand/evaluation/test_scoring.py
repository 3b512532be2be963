"""Scores against an independent implementation and against arithmetic."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.evaluation import negative_binomial, scoring
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS, with_quantiles


def forecasts(n: int = 400, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.2, 40, n)
    y = rng.negative_binomial(5, 5 / (5 + mean)).astype(float)
    frame = pl.DataFrame({"mean": mean, "centre": mean, "dispersion": 0.2, "y": y, "scale": 2.0, "model": "m"})
    return with_quantiles(frame)


def test_pinball_and_wis_equal_scoringrules() -> None:
    import scoringrules

    frame = forecasts()
    y = frame["y"].to_numpy()
    each = [scoringrules.quantile_score(y, frame[c].to_numpy(), q) for c, q in zip(COLUMNS, LEVELS, strict=True)]
    assert frame.select(scoring.mean_pinball()).to_series().to_numpy() == pytest.approx(np.mean(each, axis=0))
    # Not scoringrules.weighted_interval_score: without numba it weighs the median itself, not its error.
    central = [("q0.05", "q0.95", 0.1), ("q0.1", "q0.9", 0.2), ("q0.2", "q0.8", 0.4), ("q0.25", "q0.75", 0.5)]
    central += [("q0.3", "q0.7", 0.6), ("q0.4", "q0.6", 0.8)]
    weighted = [
        alpha / 2 * scoringrules.interval_score(y, frame[low].to_numpy(), frame[high].to_numpy(), alpha)
        for low, high, alpha in central
    ]
    wis = (0.5 * np.abs(y - frame["q0.5"].to_numpy()) + np.sum(weighted, axis=0)) / 6.5
    assert frame.select(scoring.weighted_interval_score()).to_series().to_numpy() == pytest.approx(wis)


def test_coverage_of_the_true_model_is_what_it_expects_and_more_than_80_percent() -> None:
    row = scoring.score(forecasts(40_000), ["model"]).row(0, named=True)
    assert row["coverage_80"] == pytest.approx(row["expected_coverage_80"], abs=0.01)
    assert row["expected_coverage_80"] > 0.82


def test_mase_is_the_pooled_ratio_and_skips_series_without_a_scale() -> None:
    frame = forecasts(3).with_columns(y=pl.col("mean") + 3, scale=pl.Series([2.0, 4.0, None]))
    row = scoring.score(frame, ["model"]).row(0, named=True)
    assert row["mae"] == pytest.approx(3)
    assert row["mase"] == pytest.approx(1.0)


def test_mase_is_null_where_no_series_has_a_scale() -> None:
    frame = forecasts(3).with_columns(scale=pl.lit(None, pl.Float64))
    assert scoring.score(frame, ["model"])["mase"].to_list() == [None]


def test_the_scale_is_the_change_from_week_to_week() -> None:
    start = datetime(2026, 1, 5)
    frame = pl.DataFrame(
        {
            "unique_id": ["a"] * 14 + ["b"] * 7,
            "ds": [start + timedelta(days=i) for i in [*range(14), *range(7)]],
            "y": [float(i) for i in [*range(14), *range(7)]],
        }
    )
    scales = scoring.season_errors(frame, "D")
    assert scales.rows() == [("a", 7.0, 49.0), ("b", None, None)]


def test_crps_of_sparse_and_of_large_counts_equals_scoringrules() -> None:
    import scoringrules

    frame = forecasts(2_000)
    large = frame.with_columns(pl.col("mean", "centre", "y") * 20)
    for rows, tolerance in ((frame.filter(pl.col("centre") < 30), 1e-6), (large.filter(pl.col("centre") > 100), 5e-3)):
        mean = rows["centre"].to_numpy()
        truth = scoringrules.crps_negbinom(rows["y"].to_numpy(), 5.0, mu=mean)
        assert scoring.crps(rows).to_numpy() == pytest.approx(truth, rel=tolerance, abs=tolerance * mean.max())


def test_crps_of_a_mean_of_zero_is_the_count() -> None:
    frame = pl.DataFrame({"y": [0.0, 3.0], "centre": [0.0, 0.0], "dispersion": [0.1, 0.1]})
    assert scoring.crps(frame).to_list() == [0.0, 3.0]


def test_brier_scores_the_probability_of_exceeding_capacity_and_is_null_without_one() -> None:
    frame = with_quantiles(
        pl.DataFrame({"mean": [2.0, 2.0, 2.0], "centre": [2.0, 2.0, 2.0], "dispersion": 0.0, "y": [3.0, 1.0, 1.0]})
    ).with_columns(capacity=pl.Series([2, 2, None], dtype=pl.Int64), scale=pl.lit(1.0), model=pl.lit("m"))
    over = 1 - 5 * np.exp(-2)
    assert scoring.brier(frame).to_list() == [pytest.approx((1 - over) ** 2), pytest.approx(over**2), None]
    assert scoring.score(frame, ["model"])["brier_capacity"].item() == pytest.approx(((1 - over) ** 2 + over**2) / 2)
    assert scoring.score(frame.drop("capacity"), ["model"])["brier_capacity"].to_list() == [None]


def test_bias_and_scaled_errors_are_arithmetic() -> None:
    frame = forecasts(3).with_columns(y=pl.col("mean") * 2, scale_squared=pl.Series([1.0, 3.0, None]))
    row = scoring.score(frame, ["model"]).row(0, named=True)
    first = frame["mean"].head(2).to_numpy()
    assert row["bias"] == pytest.approx(-0.5)
    assert row["rmsse"] == pytest.approx(np.sqrt((first**2).sum() / 4))
    assert row["scaled_pinball"] == pytest.approx(row["pinball"] / 2)


def compared(factor: float, weeks: int = 10, series: int = 5) -> pl.DataFrame:
    """A model whose mean is ``factor`` times the table's, which is the truth, on the same targets."""
    start = datetime(2026, 1, 5)
    days = pl.DataFrame({"ds": [start + timedelta(days=i) for i in range(7 * weeks)]})
    frame = pl.DataFrame({"unique_id": range(series)}).join(days, how="cross").with_columns(cutoff=pl.lit(start))
    y = np.random.default_rng(2).poisson(20, frame.height).astype(float)
    frame = frame.with_columns(pl.Series("y", y), dispersion=pl.lit(0.0), scale=pl.lit(5.0))
    means = [("table", 20.0), ("other", 20.0 * factor)]
    return with_quantiles(
        pl.concat(frame.with_columns(model=pl.lit(name), mean=pl.lit(m), centre=pl.lit(m)) for name, m in means)
    )


def skills(frame: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    scores = scoring.score(frame, ["model"])
    built = scoring.with_skill(scores, frame, [], "table", ["unique_id", "cutoff"])
    assert built.columns == ["model", *scoring.SCORES]
    return {row["model"]: row for row in built.to_dicts()}


def test_a_worse_model_has_a_skill_below_zero_with_its_whole_interval_and_every_series_worse() -> None:
    result = skills(compared(1.4))
    assert result["table"]["skill"] == 0 and result["table"]["worse_share"] == 0
    worse = result["other"]
    assert worse["skill_low"] < worse["skill"] < worse["skill_high"] < 0  # type: ignore[operator]
    assert worse["worse_share"] == 1
    assert worse == skills(compared(1.4).reverse())["other"]


def test_skill_over_few_weeks_has_no_interval() -> None:
    result = skills(compared(1.4, weeks=5))["other"]
    assert result["skill"] is not None and result["skill_low"] is None


def test_skills_of_series_scored_apart_share_the_weeks_of_all() -> None:
    frame = compared(1.4).filter((pl.col("unique_id") != 1) | (pl.col("ds") >= datetime(2026, 1, 9)))
    by = ["unique_id"]

    def skilled(rows: pl.DataFrame, since: datetime | None = None) -> pl.DataFrame:
        scores = scoring.score(rows, [*by, "model"])
        return scoring.with_skill(scores, rows, by, "table", ["unique_id", "cutoff"], since)

    first = datetime(2026, 1, 5)
    apart = pl.concat(skilled(part, first) for part in frame.sort(by).partition_by(by, maintain_order=True))
    assert apart.equals(skilled(frame))
    assert not skilled(frame.filter(unique_id=1)).equals(apart.filter(unique_id=1)), "else its weeks begin on a Friday"


def test_the_pit_histogram_of_the_truth_is_even_and_that_of_narrow_ranges_is_a_bowl() -> None:
    frame = forecasts(20_000).with_columns(
        unique_id=pl.int_range(20_000), cutoff=pl.lit(datetime(2026, 1, 5)), ds=pl.lit(datetime(2026, 1, 6))
    )
    true = scoring.pit_histogram(frame, ["model"])
    assert true["targets"].sum() == 20_000 and true["pit_low"].to_list() == pytest.approx([i / 10 for i in range(10)])
    assert (true["targets"] / true["expected_targets"] - 1).abs().max() < 0.08  # type: ignore[operator]
    narrow = scoring.pit_histogram(frame.with_columns(dispersion=pl.lit(0.02)), ["model"])["targets"]
    assert narrow[0] > 1.4 * narrow[4] and narrow[9] > 1.4 * narrow[5]


def test_older_scores_get_the_newer_columns_empty() -> None:
    old = pl.DataFrame({"model": ["m"], "targets": [3], "mae": [1.0]})
    built = scoring.complete(old)
    assert set(scoring.SCORES) <= set(built.columns) and built["crps"].to_list() == [None]


@pytest.mark.parametrize("dispersion", [0.0, 9e-7, 1.1e-6, 0.3, 40.0])
def test_crps_ends_for_any_dispersion_and_is_that_of_the_cumulative_probabilities(dispersion: float) -> None:
    mean = np.array([0.02, 1.0, 29.0])
    frame = pl.DataFrame({"y": [0.0, 3.0, 25.0], "centre": mean, "dispersion": [dispersion] * 3})
    counts = np.arange(20_000)[:, None]
    reached = negative_binomial.cumulative(counts, mean, dispersion)
    expected = ((reached - (counts >= frame["y"].to_numpy())) ** 2).sum(axis=0)
    np.testing.assert_allclose(scoring.crps(frame), expected, rtol=1e-6)


@pytest.mark.parametrize(("days", "is_given"), [(35, False), (36, True)])
def test_a_skill_has_an_interval_from_the_sixth_week_of_seven_days_on(days: int, is_given: bool) -> None:
    frame = compared(1.4).filter(pl.col("ds") < datetime(2026, 1, 5) + timedelta(days=days))
    row = skills(frame)["other"]
    assert (row["skill_low"] is not None) == (row["skill_high"] is not None) == is_given


def test_the_skill_is_one_less_the_ratio_of_losses_and_nothing_without_a_loss_to_compare_with() -> None:
    frame = compared(1.1, weeks=3)
    loss = dict(frame.group_by("model").agg(scoring.mean_pinball().mean()).iter_rows())
    assert skills(frame)["other"]["skill"] == pytest.approx(1 - loss["other"] / loss["table"], abs=1e-8)
    perfect = frame.with_columns(y=pl.col("mean").round()).with_columns(pl.col("y").alias(name) for name in COLUMNS)
    assert skills(perfect)["other"]["skill"] is None


def test_the_share_of_series_that_lose_more_counts_series_and_small_differences() -> None:
    """Of four series one is forecast a little worse than by the table, and all the others alike."""
    frame = compared(1.0, series=4)
    worse = (pl.col("model") == "other") & (pl.col("unique_id") == 2)
    quantiles = [pl.when(worse).then(pl.col(name) + 3).otherwise(pl.col(name)).alias(name) for name in COLUMNS]
    twice = pl.concat([frame, frame.with_columns(cutoff=pl.col("cutoff") - timedelta(days=7))])
    row = skills(twice.with_columns(quantiles))["other"]
    assert row["worse_share"] == 0.25
    assert -0.2 < row["skill"] < 0  # type: ignore[operator]


def test_the_bins_of_a_pit_histogram_are_tenths_and_the_outermost_values_are_in_the_outermost_bins() -> None:
    frame = pl.DataFrame(
        {
            "unique_id": [1, 2], "cutoff": datetime(2026, 1, 5), "ds": datetime(2026, 1, 6), "model": "m",
            "y": [0.0, 500.0], "centre": [50.0, 50.0], "dispersion": [0.1, 0.1],
        }
    )  # fmt: skip
    row = scoring.pit_histogram(frame, ["model"])
    assert row["pit_low"].to_list() == pytest.approx([i / 10 for i in range(10)])
    assert row["pit_high"].to_list() == pytest.approx([i / 10 for i in range(1, 11)])
    assert row["targets"].to_list() == [1, *[0] * 8, 1]
    assert row["expected_targets"].to_list() == [0.2] * 10


def test_forecasts_without_a_known_scale_enter_no_scaled_score() -> None:
    frame = forecasts(4).with_columns(scale=pl.Series([2.0, None, 4.0, None]))
    row = scoring.score(frame, ["model"]).row(0, named=True)
    lost = frame.select(scoring.mean_pinball()).to_series().to_list()
    assert row["scaled_pinball"] == pytest.approx((lost[0] + lost[2]) / 6)
    assert row["rmsse"] is None, "without squared changes"
