"""Poisson regression on hour-of-week averages: the season, its pool, the level, covariates."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import PoissonRegressor

from pipelines.forecast.demand.models import hour_of_week, regression
from tests.forecast.demand.conftest import MONDAY, line, targets_of


def summer(n: int) -> np.ndarray:
    """Twice as many in midsummer as on average, a quarter in midwinter."""
    return np.exp(0.69 * np.sin(2 * np.pi * (np.arange(n) - 105) / 365.25))


def test_a_known_season_is_ahead_of_the_table_that_lags_it() -> None:
    rng = np.random.default_rng(1)
    history = line(rng.poisson(40 * summer(820)))
    targets = targets_of(MONDAY + timedelta(days=820), 84)
    truth = 40 * summer(904)[820:]
    ours = regression.predict(history, targets, "D")["mean"].to_numpy()
    table = hour_of_week.predict(history, targets, "D")["mean"].to_numpy()
    assert np.abs(ours - truth).mean() < 0.4 * np.abs(table - truth).mean()


def test_a_sparse_series_takes_the_season_of_its_own_pool() -> None:
    rng = np.random.default_rng(2)
    frames = [line(rng.poisson(60 * summer(820)), 1), line(rng.poisson(0.1, 820), 2)]
    frames += [line(rng.poisson(60 / summer(820)), 3), line(rng.poisson(0.1, 820), 4)]
    targets = pl.concat(targets_of(MONDAY + timedelta(days=820), 84, i) for i in (1, 2, 3, 4))
    pool = pl.when(pl.col("unique_id") <= 2).then(pl.lit("hot")).otherwise(pl.lit("cold")).alias("pool")
    forecasts = regression.predict(pl.concat(frames), targets.with_columns(pool), "D")
    first, last = (
        forecasts.group_by("unique_id", maintain_order=True).agg(getattr(pl.col("mean"), end)(21).mean())["mean"]
        for end in ("head", "tail")
    )
    moved = (last / first).to_list()
    assert moved[0] > 1.1 and moved[1] == pytest.approx(moved[0], rel=0.15)
    assert moved[2] < 0.9 and moved[3] == pytest.approx(moved[2], rel=0.15)


def test_under_two_years_there_is_no_season_and_growth_is_not_prolonged() -> None:
    rng = np.random.default_rng(3)
    history = line(rng.poisson(np.linspace(10, 40, 400)))
    forecasts = regression.predict(history, targets_of(MONDAY + timedelta(days=400), 56), "D")["mean"]
    assert forecasts.max() < 42
    assert forecasts.tail(7).mean() == pytest.approx(forecasts.head(7).mean(), rel=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0.3, 30.0])
def test_effects_equal_those_of_scikit_learn(rate: float) -> None:
    rng = np.random.default_rng(7)
    design = rng.normal(size=(400, 3)) * (1, 5, 0.1)
    expected = rate * np.exp(rng.normal(0, 0.2, 400))
    calls = rng.poisson(expected * np.exp(design @ (0.3, -0.1, 1.0))).astype(float)
    alpha = max(((calls - expected) ** 2 - expected).sum() / (expected**2).sum(), 0.0)
    weight = expected / (1 + alpha * expected)
    ridge = 1 / regression.PRIOR_SD**2 / weight.sum()
    theirs = PoissonRegressor(alpha=ridge, solver="newton-cholesky", tol=1e-9).fit(design, calls / expected, weight)
    assert regression._effects(design, calls, expected) == pytest.approx(theirs.coef_, abs=1e-5)


@pytest.mark.parametrize("freq", ["h", "D"])
def test_a_shuffled_future_changes_no_prediction(freq: str) -> None:
    hours = 1 if freq == "h" else 24
    known = 24 * 100 if freq == "h" else 700
    rng = np.random.default_rng(4)
    counts = rng.poisson(2.0, known + 50)
    altered = counts.copy()
    altered[known:] = altered[known:][::-1] + 70
    targets = targets_of(MONDAY + timedelta(hours=hours * known), 50, hours=hours)
    single, two = (regression.predict(line(c, hours=hours), targets, freq) for c in (counts, altered))  # type: ignore[arg-type]
    assert single["mean"].null_count() == 0
    assert single.equals(two)


def test_an_event_known_ahead_raises_its_days_and_an_unknown_one_is_not_used() -> None:
    rng = np.random.default_rng(5)
    event = (np.arange(314) % 9 == 0).astype(float)
    history = line(rng.poisson(50 * (1 + event[:300])))
    known = line(event).select("ds", pl.col("y").alias("match"))
    targets = targets_of(MONDAY + timedelta(days=300), 14)
    forecasts = regression.predict(history, targets, "D", known)
    rate = forecasts.join(known, on="ds").group_by("match").agg(pl.col("mean").mean()).sort("match")["mean"]
    assert rate[1] / rate[0] > 1.7
    short = known.filter(pl.col("ds") < MONDAY + timedelta(days=305))
    assert "without match" in regression.predict(history, targets, "D", short)["failure"][0]


def test_order_of_rows_changes_no_digit() -> None:
    rng = np.random.default_rng(6)
    history = pl.concat(line(rng.poisson(3.0 + i, 200), i) for i in range(3))
    targets = pl.concat(targets_of(MONDAY + timedelta(days=200), 7, i) for i in range(3))
    single = regression.predict(history, targets, "D")
    assert single.equals(regression.predict(history.sample(fraction=1, shuffle=True, seed=1), targets, "D"))


def test_a_short_or_unknown_series_has_no_mean_and_a_reason() -> None:
    history = pl.concat([line(np.full(200, 3)), line(np.full(200, 3), 2).tail(30)])
    targets = pl.concat(targets_of(MONDAY + timedelta(days=200), 2, i) for i in (1, 2, 3))
    forecasts = regression.predict(history, targets, "D")
    assert forecasts["mean"].is_null().to_list() == [False] * 2 + [True] * 4
    assert forecasts["failure"].drop_nulls().str.contains("fewer than 70 days").to_list() == [True] * 4
