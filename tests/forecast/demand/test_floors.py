"""The two baselines: hour-of-week averages and last week's values."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.models import hour_of_week, seasonal_naive

MONDAY = datetime(2026, 1, 5)


def history(counts: np.ndarray, name: str = "a", start: datetime = MONDAY) -> pl.DataFrame:
    ds = [start + timedelta(hours=i) for i in range(len(counts))]
    return pl.DataFrame(
        {"unique_id": name, "ds": ds, "y": counts.astype(float)}, schema_overrides={"ds": pl.Datetime("us")}
    )


def targets(cutoff: datetime, hours: int, name: str = "a") -> pl.DataFrame:
    ds = [cutoff + timedelta(hours=i) for i in range(hours)]
    stamp = pl.Datetime("us")
    return pl.DataFrame(
        {"unique_id": name, "cutoff": cutoff, "ds": ds}, schema_overrides={"cutoff": stamp, "ds": stamp}
    )


def week_shape(rng: np.random.Generator) -> np.ndarray:
    return 4 + 3 * np.sin(np.arange(168) / 24 * 2 * np.pi) + (np.arange(168) >= 120) * 2 + rng.uniform(0, 0.5, 168)


def test_the_table_finds_the_rate_of_each_hour_of_the_week() -> None:
    rng = np.random.default_rng(1)
    shape = week_shape(rng)
    past = history(rng.poisson(np.tile(shape, 60)))
    cutoff = MONDAY + timedelta(weeks=60)
    forecasts = hour_of_week.predict(past, targets(cutoff, 168), "h")["mean"].to_numpy()
    assert np.abs(forecasts / shape - 1).mean() < 0.08


def test_shrinkage_brings_a_sparse_series_nearer_the_truth_than_its_plain_means() -> None:
    rng = np.random.default_rng(2)
    shape = week_shape(rng) / 40
    counts = rng.poisson(np.tile(shape, 52))
    cutoff = MONDAY + timedelta(weeks=52)
    forecasts = hour_of_week.predict(history(counts), targets(cutoff, 168), "h")["mean"].to_numpy()
    plain = counts.reshape(52, 168).mean(axis=0)
    assert ((forecasts - shape) ** 2).mean() < 0.5 * ((plain - shape) ** 2).mean()


def test_the_level_follows_a_change_within_weeks() -> None:
    counts = np.concatenate([np.full(168 * 40, 2), np.full(168 * 10, 4)])
    cutoff = MONDAY + timedelta(weeks=50)
    forecasts = hour_of_week.predict(history(counts), targets(cutoff, 24), "h")["mean"]
    assert forecasts.min() > 3


def test_nothing_from_the_cutoff_on_changes_a_forecast() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(1.0, 168 * 10)
    cutoff = MONDAY + timedelta(weeks=8)
    altered = counts.copy()
    altered[168 * 8 :] = 99
    for model in (hour_of_week, seasonal_naive):
        single, two = (model.predict(history(c), targets(cutoff, 168), "h") for c in (counts, altered))
        assert single.equals(two)


def test_a_series_without_a_call_is_still_possible() -> None:
    forecasts = hour_of_week.predict(history(np.zeros(168 * 4)), targets(MONDAY + timedelta(weeks=4), 168), "h")["mean"]
    assert forecasts.min() > 0 and forecasts.max() < 0.01


def test_hours_never_seen_use_the_rest_of_the_series() -> None:
    past = history(np.full(100, 3))
    forecasts = hour_of_week.predict(past, targets(MONDAY + timedelta(hours=100), 168), "h")["mean"]
    assert forecasts.null_count() == 0
    assert forecasts.is_between(2, 4).all()


def test_an_unknown_series_has_no_mean() -> None:
    past = history(np.full(168, 3))
    assert hour_of_week.predict(past, targets(MONDAY + timedelta(weeks=1), 2, "b"), "h")["mean"].to_list() == [None] * 2


def test_the_order_of_rows_does_not_change_the_last_digit() -> None:
    rng = np.random.default_rng(4)
    past = history(rng.poisson(1.5, 168 * 20))
    targets_of = targets(MONDAY + timedelta(weeks=20), 168)
    single = hour_of_week.predict(past, targets_of, "h")
    assert single.equals(hour_of_week.predict(past.sample(fraction=1, shuffle=True, seed=5), targets_of, "h"))


def test_days_have_seven_slots() -> None:
    days = pl.DataFrame(
        {
            "unique_id": "a",
            "ds": [MONDAY + timedelta(days=i) for i in range(70)],
            "y": [float(1 + i % 7) for i in range(70)],
        },
        schema_overrides={"ds": pl.Datetime("us")},
    )
    targets_of = targets(MONDAY + timedelta(days=70), 1)
    assert hour_of_week.predict(days, targets_of, "D")["mean"].item() == pytest.approx(1, rel=0.5)
    assert seasonal_naive.predict(days, targets_of, "D")["mean"].item() == 1


def test_seasonal_naive_repeats_last_week() -> None:
    counts = np.arange(168 * 3)
    forecasts = seasonal_naive.predict(history(counts), targets(MONDAY + timedelta(weeks=3), 200), "h")
    assert forecasts["mean"].to_list()[:168] == list(range(336, 504))
    assert forecasts["mean"].to_list()[168:] == list(range(336, 368))
    assert forecasts["spread_mean"].unique().to_list() == [np.arange(336, 504).mean()]


def test_each_target_sees_only_what_its_own_cutoff_allows() -> None:
    counts = np.repeat([1.0, 2.0, 3.0], 168)
    both = pl.concat([targets(MONDAY + timedelta(weeks=1), 1), targets(MONDAY + timedelta(weeks=2), 1)])
    assert seasonal_naive.predict(history(counts), both, "h")["mean"].to_list() == [1.0, 2.0]
