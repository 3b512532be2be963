"""Poisson regression on hour-of-week averages: time of year, holidays and covariates known ahead, with a flat level.

The table gives the week, the regression the factor on it (the hourly winner of Rostami-Tabar, Browell & Svetunkov 2023
was a Poisson regression). Effects are estimated twice: for the sum of each pool of series, and for each series'
difference from its pool, shrunk to zero by a ridge: so a sparse series takes its pool's summer and a dense one has its
own. A trend is fitted, so that growth is not read as a season, but not extended: the level is that of the last weeks.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipelines.forecast.demand import series
from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.series import Frequency, History, by_cutoff, of

LEAST_DAYS: Final = 70
YEARS_DAYS: Final = 770
"""A history under two years and six weeks has no time of year: one summer may be exceptional."""
HARMONICS: Final = 2
PRIOR_SD: Final = 0.1
"""Prior standard deviations, as logarithms: of a pool's effects, and of a series' differences from its pool."""
LEAST_CALLS: Final = 100.0
"""A series with fewer calls in total takes its pool's effects unchanged."""
LEVEL_HALF_LIFE_DAYS: Final = 56.0
PSEUDO_CALLS: Final = 2.0
MOST_STEPS: Final = 50
SMALL_STEP: Final = 1e-7

Doubles = NDArray[np.float64]
Standards = Mapping[str, tuple[float, float]]
"""Mean and standard deviation by covariate."""


def predict(
    history: History | pl.DataFrame, targets: pl.DataFrame, freq: Frequency, covariates: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Forecast means from data known before each target's own cutoff.

    Args:
        history: ``unique_id, ds, y``.
        targets: ``unique_id, cutoff, ds``, more columns kept; series with the same ``pool``, if present, share effects.
        freq: ``h`` or ``D``.
        covariates: As described in ``covariates``; effects are of whole days, the mean of a day's hours.

    Returns:
        ``targets`` with ``mean`` and ``failure``: why there is no mean, or which covariates were not used.
    """
    pooled = targets if "pool" in targets.columns else targets.with_columns(pool=pl.lit("all"))
    parts = []
    for cutoff, ids in by_cutoff(targets):
        by_day = known_ahead.at(covariates, cutoff, "D")
        parts.append(_at_cutoff(of(history, ids, cutoff), pooled.filter(cutoff=cutoff), cutoff, freq, by_day))
    keys = ["unique_id", "cutoff", "ds"]
    return targets.join(
        pl.concat(parts).unique(keys, keep="first"), on=keys, how="left", maintain_order="left"
    ).with_columns(
        pl.when(pl.col("mean").is_null())
        .then(pl.lit(f"fewer than {LEAST_DAYS} days of history"))
        .otherwise("failure")
        .alias("failure")
    )


def _at_cutoff(
    history: pl.DataFrame, wanted: pl.DataFrame, cutoff: datetime, freq: Frequency, by_day: pl.DataFrame | None
) -> pl.DataFrame:
    table = hour_of_week.fit(history, cutoff, freq)
    requested = wanted.with_columns(series.slot(freq)).join(table, on=["unique_id", "slot"], maintain_order="left")
    days = _days(history.filter(pl.col("ds") < cutoff), table, freq)
    has_year = days.height > 0 and days.select(pl.col("ds").min()).item() <= cutoff - timedelta(days=YEARS_DAYS)
    ahead = known_ahead.joined(requested.select("unique_id", pl.col("ds").dt.truncate("1d")).unique(), by_day)
    names, note = known_ahead.usable(ahead, by_day)
    pools = wanted.select("unique_id", "pool").unique()
    days = known_ahead.joined(days, by_day).join(pools, on="unique_id").sort("unique_id", "ds")
    ahead = ahead.join(pools, on="unique_id").sort("unique_id", "ds")
    # Small products on many threads wait thirty times longer than they compute, and differ in a digit.
    with threadpool_limits(1):
        factors = _factors(days, ahead, _standards(days, names), cutoff, has_year)
    return (
        requested.with_columns(pl.col("ds").dt.truncate("1d").alias("_day"))
        .join(factors, left_on=["unique_id", "_day"], right_on=["unique_id", "ds"], maintain_order="left")
        .select(
            "unique_id", "cutoff", "ds", pl.col("mean") * pl.col("factor"), pl.lit(note, pl.String).alias("failure")
        )
    )


def _days(past: pl.DataFrame, table: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return ``unique_id, ds, y, expected``: a day's calls and the table's expectation of its known steps."""
    long = pl.len().over("unique_id") >= LEAST_DAYS
    return (
        past.with_columns(series.slot(freq))
        .join(table, on=["unique_id", "slot"])
        .group_by("unique_id", pl.col("ds").dt.truncate("1d"))
        .agg(pl.col("y").sum(), pl.col("mean").sum().alias("expected"))
        .filter(long)
    )


def _standards(days: pl.DataFrame, names: list[str]) -> Standards:
    """Return mean and standard deviation of each covariate on past days; one that never varied has no effect."""
    moments = {name: (days[name].mean(), days[name].std(ddof=0)) for name in names}
    return {name: (float(mean or 0.0), float(sd or np.inf)) for name, (mean, sd) in moments.items()}  # type: ignore[arg-type]


def _factors(
    days: pl.DataFrame, ahead: pl.DataFrame, standards: Standards, cutoff: datetime, has_year: bool
) -> pl.DataFrame:
    """Return ``unique_id, ds, factor`` of the days ahead: the factor on the table; null without a history."""
    past, steps = (_design(rows, standards, cutoff, has_year) for rows in (days, ahead))
    shared = _shared_effects(days, standards, cutoff, has_year)
    calls, expected = days["y"].to_numpy(), days["expected"].to_numpy()
    weight = 0.5 ** ((cutoff - days["ds"]).dt.total_days().to_numpy() / LEVEL_HALF_LIFE_DAYS)
    wanted, factors = dict(_rows_of(ahead, "unique_id")), np.full(ahead.height, np.nan)
    for name, rows in _rows_of(days, "unique_id"):
        effects = shared[days["pool"][rows.start]]
        if calls[rows].sum() >= LEAST_CALLS:
            effects = effects + _effects(past[rows], calls[rows], expected[rows] * np.exp(past[rows] @ effects))
        # The trend is not extended, nor is it in the level.
        effects = np.where(np.arange(effects.size) == 0, 0.0, effects)
        usual = (weight[rows] * expected[rows] * np.exp(past[rows] @ effects)).sum()
        level = ((weight[rows] * calls[rows]).sum() + PSEUDO_CALLS) / (usual + PSEUDO_CALLS)
        factors[wanted[name]] = level * np.exp(steps[wanted[name]] @ effects)
    return ahead.select("unique_id", "ds", pl.Series("factor", factors).fill_nan(None))


def _shared_effects(days: pl.DataFrame, standards: Standards, cutoff: datetime, has_year: bool) -> dict[str, Doubles]:
    """Return the effects of each pool's sum."""
    totals = (
        days.group_by("pool", "ds")
        .agg(pl.col("y", "expected").sum(), pl.col(list(standards)).mean())
        .sort("pool", "ds")
    )
    design = _design(totals, standards, cutoff, has_year)
    calls, expected = totals["y"].to_numpy(), totals["expected"].to_numpy()
    return {pool: _effects(design[rows], calls[rows], expected[rows]) for pool, rows in _rows_of(totals, "pool")}


def _rows_of(frame: pl.DataFrame, key: str) -> Iterator[tuple[Any, slice]]:
    """Yield each value of a sorted column with its rows."""
    begin = 0
    for value, count in frame.group_by(key, maintain_order=True).len().iter_rows():
        yield value, slice(begin, begin + count)
        begin += count


def _design(days: pl.DataFrame, standards: Standards, cutoff: datetime, has_year: bool) -> Doubles:
    """Return years before the cutoff, time of year, standardised covariates; an unknown past value is the mean."""
    years = (days["ds"] - cutoff).dt.total_days().to_numpy() / 365.25
    angle = 2 * np.pi * days["ds"].dt.ordinal_day().to_numpy() / 365.25
    waves = [wave(k * angle) for k in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)] if has_year else []
    values = [
        np.nan_to_num((days[name].to_numpy().astype(float) - mean) / sd) for name, (mean, sd) in standards.items()
    ]
    return np.stack([years, *waves, *values], axis=1)


def _effects(design: Doubles, calls: Doubles, expected: Doubles) -> Doubles:
    """Estimate effects by ridge Poisson regression with ``expected`` as offset; counts that vary more have less weight.

    Newton steps, the intercept free. A library takes longer to check its input than this takes.
    """
    alpha = max(float(((calls - expected) ** 2 - expected).sum() / (expected**2).sum()), 0.0)
    weight = 1 / (1 + alpha * expected)
    columns = np.hstack([np.ones((len(design), 1)), design])
    ridge = np.array([0.0, *[1 / PRIOR_SD**2] * design.shape[1]])
    effects = np.zeros(ridge.size)
    for _ in range(MOST_STEPS):
        fitted = weight * expected * np.exp(columns @ effects)
        slope = columns.T @ (weight * calls - fitted) - ridge * effects
        step = np.linalg.solve((columns.T * fitted) @ columns + np.diag(ridge), slope)
        # A long step overshoots: an exponential is far from its tangent.
        step *= min(1.0, 2.0 / max(float(np.abs(columns @ step).max()), 1e-12))
        effects += step
        if np.abs(step).max() < SMALL_STEP:
            break
    return np.asarray(effects[1:], dtype=float)
