"""Effects of holidays and other named days: how many times the usual a day has, by name.

The usual is the mean of the same weekday within three weeks, other named days left out. An effect is the mean ratio to
it, shrunk (empirical Bayes; Casella 1985 gives the idea): that of the sum of a pool of series to 1, and that of each
series to its pool's. Hours have an effect by quarter of the day, shrunk to the day's. Counts that vary more than
Poisson weigh less, and so do effects that differ from year to year.

Models of the mean read the counts of named days divided by their effect, as ordinary ones, and what they forecast for a
named day is multiplied by it: so every model knows every day, however few of its kind a history has.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.forecast.demand import extremes
from pipelines.forecast.demand.series import Frequency, History

WEEKS: Final = 3
"""Weeks before and after a named day whose same weekday is the usual."""
LEAST_USUAL: Final = 3
"""Ordinary days that a usual needs."""
HOLIDAY_SD: Final = 0.1
AROUND_SD: Final = 0.02
"""Prior standard deviations of a pool's effect from 1: of a holiday, and of the day before or after one."""
QUARTER_SD: Final = 0.1
SERIES_SD: Final = 0.07
"""Prior standard deviations of a quarter's effect from its day's, and of a series' from its pool's."""
YEARLY_SD: Final = 0.08
"""Least standard deviation of an effect from year to year."""
CHI_SQUARE_MEDIAN: Final = 0.4549
"""Median of a squared standard normal."""
Z_80: Final = 1.2816
"""Standard deviations on both sides that contain 80 % (normal)."""
QUARTERS: Final[Mapping[Frequency, int]] = {"h": 4, "D": 1}
"""Parts of a day with an effect of their own."""

POOL: Final = pl.concat_str("service", "measure", "level", separator=" ").alias("pool")
"""The pool of a series of the panel: services have holidays of their own."""
SCHEMA: Final = {
    "unique_id": pl.Int64, "name": pl.String, "quarter": pl.Int8, "effect": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "days": pl.Int64,
}  # fmt: skip

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts of series or pools × day × quarter, with the usual ones; both 0 where one is unknown."""

    calls: Doubles
    usual: Doubles

    def of_pools(self, pools: Places) -> "_Counts":
        """Return the sums over the series of each pool."""
        return _Counts(summed(self.calls, pools), summed(self.usual, pools))

    def of_days(self) -> "_Counts":
        """Return the sums over the quarters of each day."""
        return _Counts(self.calls.sum(axis=2, keepdims=True), self.usual.sum(axis=2, keepdims=True))

    def dispersion(self, is_ordinary: Flags) -> Doubles:
        """Return the variance of ordinary counts over their mean, 1 at least: series × 1 × quarter.

        From the median of their squared differences, so that a storm does not hide every holiday.
        """
        calls, usual = self.calls[:, is_ordinary], self.usual[:, is_ordinary]
        squares = np.where(usual > 0, (calls - usual) ** 2 / np.maximum(usual, 1e-9), np.nan)
        with warnings.catch_warnings():
            # A series without any usual day has no median.
            warnings.simplefilter("ignore", RuntimeWarning)
            median = np.nanmedian(squares, axis=1, keepdims=True)
        return np.asarray(np.maximum(np.nan_to_num(median) / CHI_SQUARE_MEDIAN, 1.0))


def judged(
    history: History,
    pools: pl.DataFrame,
    calendar: pl.DataFrame,
    cutoffs: pl.Series,
    freq: Frequency,
    events: pl.Series | None = None,
) -> History:
    """Return the history with the extreme counts that each origin at ``cutoffs`` finds, and the effects of named days
    that it estimates.

    Args:
        history: Counts, and what past origins knew.
        pools: ``unique_id, pool``.
        calendar: As from ``named_days``, past and ahead; empty: nothing to learn.
        cutoffs: Origins, local time.
        freq: ``h`` or ``D``.
        events: Dates that covariates explain, on which no count is extreme either; none: none.
    """
    holidays = calendar.filter("is_holiday")["day"]
    explained = holidays if events is None else pl.concat([holidays, events])
    history = extremes.judged(history, freq, cutoffs, explained)
    if calendar.is_empty():
        return history
    parts = [
        effects(history.at(cutoff), pools, calendar, cutoff, freq).with_columns(
            pl.lit(cutoff, pl.Datetime("us")).alias("cutoff")
        )
        for cutoff in cutoffs.unique().sort()
    ]
    factors = pl.concat(parts).join(calendar.select("name", "day"), on="name")
    return replace(history, named_days=factors.select("unique_id", "cutoff", "day", "quarter", "effect"))


def effects(
    counts: pl.DataFrame, pools: pl.DataFrame, calendar: pl.DataFrame, cutoff: datetime, freq: Frequency
) -> pl.DataFrame:
    """Estimate the effect of every named day from the data before an origin.

    Args:
        counts: ``unique_id, ds, y``, as known at the origin.
        pools: ``unique_id, pool``.
        calendar: As from ``named_days``.
        cutoff: The origin, local time; rows from it on are ignored.
        freq: ``h`` or ``D``.

    Returns:
        ``unique_id, name, quarter, effect, low, high, days``: ``quarter`` of the day, 0 to 3 (of days: 0); the range
        contains the next such day's effect with 80 %, the noise of its count left out; ``days``: those of the pool that
        were used. Names without any are left out.
    """
    past = counts.filter(pl.col("ds") < cutoff)
    if past.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    names = calendar.select("name", "is_holiday").unique().sort("name")
    ids = past.select("unique_id").unique().join(pools, on="unique_id", how="left").sort("unique_id")
    days = past.select(pl.date_range(pl.col("ds").dt.date().min(), pl.col("ds").dt.date().max()).alias("day"))
    named = _indicators(days, calendar, names)
    known = _known(_by_day(past, ids["unique_id"], days["day"][0], days.height, freq), _ordinary(named))
    pool_of = ids["pool"].fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
    pooled = known.of_pools(pool_of)
    by_day = pooled.of_days()
    yearly = _yearly(by_day, named)
    prior_sd = np.where(names["is_holiday"].to_numpy(), HOLIDAY_SD, AROUND_SD)[None, :, None]
    shared, _ = _posterior(by_day, named, np.ones((1, 1, 1)), prior_sd**2, yearly)
    if QUARTERS[freq] > 1:
        shared, _ = _posterior(pooled, named, shared, QUARTER_SD**2, yearly)
    effect, sd = _posterior(known, named, shared[pool_of], SERIES_SD**2, yearly[pool_of])
    used = np.einsum("pd,dn->pn", (by_day.usual[:, :, 0] > 0).astype(float), named)[pool_of]
    return _frame(ids, names, effect, sd, used)


def summed(values: Doubles, groups: Places) -> Doubles:
    """Return the sums of the rows of each group, numbered from 0."""
    total = np.zeros((int(groups.max()) + 1, *values.shape[1:]))
    np.add.at(total, groups, values)
    return total


def _indicators(days: pl.DataFrame, calendar: pl.DataFrame, names: pl.DataFrame) -> Doubles:
    """Return 1 where a day has a name: days × names."""
    places = days.join(calendar.select("day", "name"), on="day", how="left", maintain_order="left").join(
        names.with_row_index("place").select("name", "place"), on="name", how="left", maintain_order="left"
    )["place"]
    return np.asarray(np.eye(names.height + 1)[places.fill_null(names.height).to_numpy()][:, :-1])


def _ordinary(named: Doubles) -> Flags:
    """Return whether a day has no name."""
    return np.asarray(named.sum(axis=1) == 0)


def _by_day(past: pl.DataFrame, ids: pl.Series, first: date, days: int, freq: Frequency) -> Doubles:
    """Return counts of series × day × quarter; NaN where not every hour of the quarter is known."""
    hours = 24 // QUARTERS[freq]
    shape = (ids.len(), days, QUARTERS[freq])
    day = (past["ds"].dt.date() - first).dt.total_days()
    quarter = past["ds"].dt.hour().cast(pl.Int64) // hours
    cells = np.ravel_multi_index((ids.search_sorted(past["unique_id"]), day, quarter), shape)
    steps, calls = (np.bincount(cells, weights, math.prod(shape)).reshape(shape) for weights in (None, past["y"]))
    # Where clocks go forward, an hour is missing.
    return np.where(steps >= (hours - 1 if freq == "h" else 1), calls, np.nan)


def _known(values: Doubles, is_ordinary: Flags) -> _Counts:
    """Return the counts that have a usual one, with it."""
    ordinary = np.where(is_ordinary[None, :, None], values, np.nan)
    calls, seen = np.zeros_like(values), np.zeros_like(values)
    for week in range(1, WEEKS + 1):
        for near, far in (
            (slice(None, -7 * week), slice(7 * week, None)),
            (slice(7 * week, None), slice(None, -7 * week)),
        ):
            other = ordinary[:, far]
            calls[:, near] += np.nan_to_num(other)
            seen[:, near] += np.isfinite(other)
    is_known = np.isfinite(values) & (seen >= LEAST_USUAL)
    usual = calls / np.maximum(seen, 1.0)
    return _Counts(np.where(is_known, values, 0.0), np.where(is_known, usual, 0.0))


def _yearly(days: _Counts, named: Doubles) -> Doubles:
    """Return the variance of an effect from year to year, of each pool over all names: pools × 1 × 1."""
    noise = days.dispersion(_ordinary(named))[:, :, 0]
    calls, usual = days.calls[:, :, 0], days.usual[:, :, 0]
    used = (usual > 0) @ named
    expected = usual * ((calls @ named / np.maximum(usual @ named, 1e-9)) @ named.T)
    # A mean of few days is nearer to each of them than the true effect.
    grown = np.where(used > 1, used / np.maximum(used - 1, 1), 0.0) @ named.T
    excess = (grown * (calls - expected) ** 2 - (grown > 0) * noise * expected).sum(axis=1)
    squares = ((grown > 0) * usual**2).sum(axis=1)
    return np.asarray(np.maximum(excess / np.maximum(squares, 1e-9), YEARLY_SD**2)[:, None, None])


def _posterior(
    counts: _Counts, named: Doubles, prior: Doubles, variance: Doubles | float, yearly: Doubles
) -> tuple[Doubles, Doubles]:
    """Return effects shrunk to ``prior``, and standard deviations of the next day's: series × name × quarter."""
    noise = counts.dispersion(_ordinary(named)) + yearly * counts.usual
    calls, usual = (np.einsum("sdq,dn->snq", values / noise, named) for values in (counts.calls, counts.usual))
    information = 1 / variance + usual
    return (prior / variance + calls) / information, np.sqrt(1 / information + yearly)


def _frame(ids: pl.DataFrame, names: pl.DataFrame, effect: Doubles, sd: Doubles, used: Doubles) -> pl.DataFrame:
    """Return the columns of `SCHEMA`."""
    series, named, quarters = effect.shape
    rows = pl.DataFrame(
        {
            "unique_id": np.repeat(ids["unique_id"].to_numpy(), named * quarters),
            "name": pl.Series(names["name"].to_list() * series).gather(np.repeat(np.arange(series * named), quarters)),
            "quarter": np.tile(np.arange(quarters), series * named),
            "effect": effect.ravel(),
            "low": np.maximum(effect - Z_80 * sd, 0.0).ravel(),
            "high": (effect + Z_80 * sd).ravel(),
            "days": np.repeat(used.ravel(), quarters),
        }
    )
    return rows.filter(pl.col("days") > 0).cast(SCHEMA)  # type: ignore[arg-type]
