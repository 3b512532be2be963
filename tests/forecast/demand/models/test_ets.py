"""Exponential smoothing of dense days, and hours by the weekly table's shares."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.models import ets
from tests.forecast.demand.conftest import MONDAY, asked, line


def busy(n: int, seed: int = 1) -> np.ndarray:
    week = np.array([10, 10, 10, 10, 12, 20, 16])
    return np.random.default_rng(seed).poisson(week[np.arange(n) % 7] * np.where(np.arange(n) < n - 60, 1, 2))


def test_days_follow_the_weekday_and_the_newest_level_without_bias() -> None:
    said = ets.predict(line(busy(300)), asked(MONDAY + timedelta(days=300), 28), "D")
    expected = 2 * np.array([10, 10, 10, 10, 12, 20, 16])[np.arange(300, 328) % 7]
    assert said["mean"].to_numpy() == pytest.approx(expected, rel=0.3)
    assert said["mean"].sum() == pytest.approx(expected.sum(), rel=0.1)


def test_a_sparse_a_short_and_an_unknown_series_yield_without_a_failure() -> None:
    sparse, short = line(np.ones(200), 1), line(busy(200)[-40:], 2).with_columns(pl.col("ds") + pl.duration(days=160))
    cutoff = MONDAY + timedelta(days=200)
    said = ets.predict(pl.concat([sparse, short]), pl.concat(asked(cutoff, 2, i) for i in (1, 2, 3)), "D")
    assert said["mean"].to_list() == [None] * 6
    assert said.columns == ["unique_id", "cutoff", "ds", "mean"]


def test_a_shuffled_future_changes_no_prediction() -> None:
    cutoff = MONDAY + timedelta(days=100)
    altered = busy(120)
    altered[100:] = altered[100:][::-1] + 70
    one, two = (ets.predict(line(c), asked(cutoff, 14), "D") for c in (busy(120), altered))
    assert one["mean"].null_count() == 0
    assert one.equals(two)


def test_hours_add_up_to_their_day_and_keep_the_tables_shape() -> None:
    rng = np.random.default_rng(2)
    shape = 1 + np.sin(np.arange(24) / 24 * 2 * np.pi) ** 2 * 3
    history = line(rng.poisson(np.tile(shape, 140)), hours=1)
    cutoff = MONDAY + timedelta(days=140, hours=-19)
    said = ets.predict(history, asked(cutoff, 19 + 24, hours=1), "h")
    days = ets.predict(
        history.group_by("unique_id", pl.col("ds").dt.truncate("1d")).agg(pl.col("y").sum()),
        asked(MONDAY + timedelta(days=139), 2),
        "D",
    )["mean"]
    whole = said.filter(pl.col("ds") >= MONDAY + timedelta(days=140))["mean"]
    assert whole.sum() == pytest.approx(days[1], rel=1e-6)
    assert whole.to_numpy() / whole.mean() == pytest.approx(shape / shape.mean(), rel=0.2)


def test_a_day_that_is_unknown_is_not_read_as_zero() -> None:
    history = line(busy(300)).filter(~pl.col("ds").is_between(datetime(2025, 10, 1), datetime(2025, 10, 12)))
    said = ets.predict(history, asked(MONDAY + timedelta(days=300), 7), "D")
    full = ets.predict(line(busy(300)), asked(MONDAY + timedelta(days=300), 7), "D")
    assert said["mean"].sum() == pytest.approx(full["mean"].sum(), rel=0.2)
