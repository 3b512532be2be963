"""Scores against an independent implementation and against arithmetic."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import scoring
from pipelines.forecast.demand.quantiles import COLUMNS, LEVELS, with_quantiles


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
    scales = dict(scoring.season_errors(frame, "D").iter_rows())
    assert scales == {"a": 7.0, "b": None}
