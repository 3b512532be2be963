"""Exponential smoothing of dense days, and hours by their share of the weekday."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.models import ets
from tests.forecast.demand.conftest import MONDAY, line, targets_of


def busy(n: int, seed: int = 1) -> np.ndarray:
    week = np.array([10, 10, 10, 10, 12, 20, 16])
    return np.random.default_rng(seed).poisson(week[np.arange(n) % 7] * np.where(np.arange(n) < n - 60, 1, 2))


def test_days_follow_the_weekday_and_the_newest_level_without_bias() -> None:
    forecasts = ets.predict(line(busy(300)), targets_of(MONDAY + timedelta(days=300), 28), "D")
    expected = 2 * np.array([10, 10, 10, 10, 12, 20, 16])[np.arange(300, 328) % 7]
    assert forecasts["mean"].to_numpy() == pytest.approx(expected, rel=0.3)
    assert forecasts["mean"].sum() == pytest.approx(expected.sum(), rel=0.1)


def test_a_sparse_short_or_unknown_series_has_no_mean_and_no_failure() -> None:
    sparse, short = line(np.ones(200), 1), line(busy(200)[-40:], 2).with_columns(pl.col("ds") + pl.duration(days=160))
    cutoff = MONDAY + timedelta(days=200)
    forecasts = ets.predict(pl.concat([sparse, short]), pl.concat(targets_of(cutoff, 2, i) for i in (1, 2, 3)), "D")
    assert forecasts["mean"].to_list() == [None] * 6
    assert forecasts.columns == ["unique_id", "cutoff", "ds", "mean"]


@pytest.mark.parametrize("weekdays", [[1], [1, 2, 3, 4, 5]], ids=["weekly", "working days"])
def test_a_series_that_never_has_some_weekday_has_no_mean_and_no_failure(weekdays: list[int]) -> None:
    rows = line(busy(700)).filter(pl.col("ds").dt.weekday().is_in(weekdays))
    forecasts = ets.predict(rows, targets_of(MONDAY + timedelta(days=700), 7), "D")
    assert forecasts["mean"].to_list() == [None] * 7


def test_a_shuffled_future_changes_no_prediction() -> None:
    cutoff = MONDAY + timedelta(days=100)
    altered = busy(120)
    altered[100:] = altered[100:][::-1] + 70
    single, two = (ets.predict(line(c), targets_of(cutoff, 14), "D") for c in (busy(120), altered))
    assert single["mean"].null_count() == 0
    assert single.equals(two)


def test_hours_add_up_to_their_day_and_keep_the_tables_shape() -> None:
    rng = np.random.default_rng(2)
    shape = 1 + np.sin(np.arange(24) / 24 * 2 * np.pi) ** 2 * 3
    history = line(rng.poisson(np.tile(shape, 140)), hours=1)
    cutoff = MONDAY + timedelta(days=140, hours=-19)
    forecasts = ets.predict(history, targets_of(cutoff, 19 + 24, hours=1), "h")
    days = ets.predict(
        history.group_by("unique_id", pl.col("ds").dt.truncate("1d")).agg(pl.col("y").sum()),
        targets_of(MONDAY + timedelta(days=139), 2),
        "D",
    )["mean"]
    whole = forecasts.filter(pl.col("ds") >= MONDAY + timedelta(days=140))["mean"]
    assert whole.sum() == pytest.approx(days[1], rel=1e-6)
    assert whole.to_numpy() / whole.mean() == pytest.approx(shape / shape.mean(), rel=0.2)


def test_a_day_that_is_unknown_is_not_read_as_zero() -> None:
    history = line(busy(300)).filter(~pl.col("ds").is_between(datetime(2025, 10, 1), datetime(2025, 10, 12)))
    forecasts = ets.predict(history, targets_of(MONDAY + timedelta(days=300), 7), "D")
    full = ets.predict(line(busy(300)), targets_of(MONDAY + timedelta(days=300), 7), "D")
    assert forecasts["mean"].sum() == pytest.approx(full["mean"].sum(), rel=0.2)
