"""Anybody's series: the columns promised, no leaks, and a floor that is beaten on real calls."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import own_series, scoring
from pipelines.forecast.demand.quantiles import COLUMNS
from pipelines.forecast.demand.series import SeriesError

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
START = datetime(2025, 9, 1)


def series(n: int, every: timedelta, rate: float = 3.0, name: str = "a") -> pl.DataFrame:
    rng = np.random.default_rng(5)
    return pl.DataFrame({"unique_id": name, "ds": [START + every * i for i in range(n)], "y": rng.poisson(rate, n)})


def test_hours_ahead_follow_each_series_own_end() -> None:
    both = pl.concat([series(24 * 40, timedelta(hours=1)), series(24 * 30, timedelta(hours=1), name="b")])
    said = own_series.predict(both, "h", 48)
    assert said.columns == ["unique_id", "ds", "mean", "model", *COLUMNS]
    assert said.group_by("unique_id").agg(pl.col("ds").min()).sort("unique_id").rows() == [
        ("a", START + timedelta(days=40)),
        ("b", START + timedelta(days=30)),
    ]
    assert said.height == 96 and said.null_count().sum_horizontal().item() == 0


def test_days_ahead_are_prophets_mean_or_the_tables() -> None:
    both = pl.concat([series(90, timedelta(days=1)), series(90, timedelta(days=1), 0.1, "b")])
    said = own_series.predict(both, "D", 14)
    assert said.select("unique_id", "model").unique().sort("unique_id").rows() == [
        ("a", "prophet_mean"),
        ("b", "day_of_week"),
    ]


def test_a_backtest_repeats_what_a_forecast_would_have_said() -> None:
    full = series(24 * 60, timedelta(hours=1))
    cut = full.head(24 * 53)
    forecasts, scores = own_series.backtest(full, "h", 168, 2, 168)
    then = forecasts.filter(pl.col("cutoff") == START + timedelta(days=53), ~pl.col("is_baseline"))
    assert then["mean"].to_list() == own_series.predict(cut, "h", 168)["mean"].to_list()
    assert scores.columns == ["model", "is_baseline", *scoring.SCORES]
    assert scores["targets"].to_list() == [2 * 168] * 2


def test_altering_the_future_changes_no_backtest_forecast() -> None:
    full = series(24 * 60, timedelta(hours=1))
    end = START + timedelta(days=53)
    altered = full.with_columns(pl.when(pl.col("ds") >= end).then(77).otherwise("y").alias("y"))
    one, two = (own_series.backtest(frame, "h", 168, 2, 168)[0].drop("y") for frame in (full, altered))
    assert one.equals(two)


def test_series_that_are_too_short_say_so() -> None:
    with pytest.raises(SeriesError, match="fewer steps ahead"):
        own_series.backtest(series(24, timedelta(hours=1)), "h", 168, 1, 24)
    with pytest.raises(SeriesError, match="1 or more"):
        own_series.backtest(series(24, timedelta(hours=1)), "h", 168, 0, 24)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared data are not at {SHARED} (BONGSU_SHARED_DATA)")
def test_real_911_calls_are_forecast_better_than_last_week_and_as_widely_as_expected() -> None:
    calls = pl.read_parquet(SHARED / "montgomery" / "calls_911.parquet").select(
        pl.col("timeStamp").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.truncate("1h").alias("ds"),
        pl.col("title").str.split(":").list.first().alias("unique_id"),
    )
    first, last = datetime(2015, 12, 11), datetime(2016, 6, 30)
    hours = pl.DataFrame({"ds": pl.datetime_range(first, last, "1h", closed="left", eager=True)})
    grid = calls.select("unique_id").unique().join(hours, how="cross")
    full = grid.join(calls.group_by("unique_id", "ds").len("y"), on=["unique_id", "ds"], how="left").fill_null(0)
    _, scores = own_series.backtest(full, "h", 168, 8, 168)
    table, naive = (scores.filter(pl.col("model") == m).row(0, named=True) for m in ("hour_of_week", "seasonal_naive"))
    assert table["pinball"] < 0.75 * naive["pinball"]
    assert abs(table["coverage_80"] - table["expected_coverage_80"]) < 0.03
