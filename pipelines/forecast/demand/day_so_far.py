"""The day so far: how many times the usual today has, from the hours that are known at an origin within the day.

A busy morning is followed by a busy afternoon (Shen and Huang 2008): storms, events and festivals last for hours. So
today is a named day of its own (`calendar_effects`). Its effect is the calls so far over those expected, shrunk to 1 as
far as, on past days, the hours before and after this time of day moved together: first for the sum of a pool of series,
then for each series, shrunk to its pool. Where they did not move together, nothing changes.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from pipelines.forecast.demand import series
from pipelines.forecast.demand.calendar_effects import Doubles, Places, summed
from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.series import SEASON, History

PAST_DAYS: Final = 182
"""Days before today from which the common movement of the hours of a day is estimated."""
LEAST_DAYS: Final = 28
"""Days that this needs, after as many whose calls give the level of the first."""
QUARTERS: Final = 4


@dataclass(frozen=True, slots=True)
class _Days:
    """Calls and expected calls, before and after a time of day: series or pools × days, the last of them today."""

    calls: Doubles
    expected: Doubles
    later_calls: Doubles
    later_expected: Doubles

    def of_pools(self, pools: Places) -> "_Days":
        """Return the sums over the series of each pool."""
        return _Days(*(summed(values, pools) for values in self.parts))

    @property
    def parts(self) -> tuple[Doubles, Doubles, Doubles, Doubles]:
        """Return all four."""
        return self.calls, self.expected, self.later_calls, self.later_expected


def updated(history: History, pools: pl.DataFrame, cutoffs: pl.Series) -> History:
    """Return the history with an effect of the day of each origin that is not at midnight.

    Args:
        history: Hourly counts, as from ``calendar_effects.judged``.
        pools: ``unique_id, pool``.
        cutoffs: Origins, local time.
    """
    none = pl.DataFrame(schema={"unique_id": pl.Int64, "cutoff": pl.Datetime("us"), "effect": pl.Float64})
    within = [cutoff for cutoff in cutoffs.unique().sort() if cutoff != _midnight(cutoff)]
    parts = [
        effects(history.at(cutoff), pools, cutoff).with_columns(pl.lit(cutoff, pl.Datetime("us")).alias("cutoff"))
        for cutoff in within
    ]
    today = pl.concat([none, *(part.select(none.columns) for part in parts)])
    return history if today.is_empty() else replace(history, named_days=_with_today(history.named_days, today))


def effects(counts: pl.DataFrame, pools: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """Estimate how many times the usual today has, from the hours of today before an origin.

    Args:
        counts: ``unique_id, ds, y`` of hours, as known at the origin; rows from it on are ignored.
        pools: ``unique_id, pool``.
        cutoff: The origin, local time.

    Returns:
        ``unique_id, effect``; empty without twice `LEAST_DAYS` of past days.
    """
    midnight = _midnight(cutoff)
    recent = counts.filter(pl.col("ds").is_between(midnight - timedelta(days=PAST_DAYS), cutoff, closed="left"))
    ids = recent.select("unique_id").unique().join(pools, on="unique_id").sort("unique_id")
    days = _days(recent.join(ids, on="unique_id", how="semi"), hour_of_week.fit(counts, midnight, "h"), ids, cutoff)
    if days is None:
        return pl.DataFrame(schema={"unique_id": pl.Int64, "effect": pl.Float64})
    pool_of = ids["pool"].rank("dense").cast(pl.Int64).to_numpy() - 1
    pooled = days.of_pools(pool_of)
    common = _common(*pooled.parts)
    shared = _posterior(pooled, np.ones(len(common)), common)
    # Series move with their pool, and beyond it.
    beyond = np.maximum(_common(*days.parts, pools=pool_of) - common, 0.0)
    effect = _posterior(days, shared[pool_of], beyond[pool_of])
    return ids.select("unique_id", pl.Series("effect", effect))


def _days(recent: pl.DataFrame, table: pl.DataFrame, ids: pl.DataFrame, cutoff: datetime) -> _Days | None:
    """Return the days of the series in ``ids``, expected calls at the level of the weeks before; None if too few."""
    midnight = _midnight(cutoff)
    ago = (midnight.date() - recent["ds"].dt.date()).dt.total_days()
    count = int(ago.to_numpy().max(initial=0)) + 1
    if count <= 2 * LEAST_DAYS:
        return None
    place = ids["unique_id"].search_sorted(recent["unique_id"])
    is_later = (recent["ds"].dt.time() >= cutoff.time()).cast(pl.Int64)
    shape = (2, ids.height, count)
    cells = np.ravel_multi_index((is_later, place, count - 1 - ago), shape)
    expected = _by_slot(table, ids)[place, recent.select(series.slot("h"))["slot"]]
    values = [np.bincount(cells, weights, math.prod(shape)).reshape(shape) for weights in (recent["y"], expected)]
    total, usual = (_before(part.sum(axis=0)) for part in values)
    level = (total + 1) / (usual + 1)
    (calls, later), (expected, later_expected) = (part[:, :, LEAST_DAYS:] for part in values)
    return _Days(calls, expected * level, later, later_expected * level)


def _by_slot(table: pl.DataFrame, ids: pl.DataFrame) -> Doubles:
    """Return hour-of-week averages as series × slot, 0 without any."""
    means = np.zeros((ids.height, SEASON["h"]))
    known = table.join(ids.with_row_index("place"), on="unique_id")
    means[known["place"], known["slot"]] = known["mean"]
    return means


def _before(values: Doubles) -> Doubles:
    """Return the sums of the `LEAST_DAYS` days before each day that has so many."""
    sums = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    return sums[:, LEAST_DAYS:-1] - sums[:, : -LEAST_DAYS - 1]


def _common(
    calls: Doubles, expected: Doubles, later_calls: Doubles, later_expected: Doubles, pools: Places | None = None
) -> Doubles:
    """Return the covariance of the ratios of calls to expected ones before and after, on the days before today, less
    its standard error: of each row, or of all rows of each pool together; 0 where it is not clear.
    """
    product = ((calls - expected) * (later_calls - later_expected))[:, :-1]
    weight = (expected * later_expected)[:, :-1]
    if pools is not None:
        product, weight = summed(product, pools), summed(weight, pools)
    total = np.maximum(weight.sum(axis=1), 1e-12)
    mean = product.sum(axis=1) / total
    error = np.sqrt(((product - mean[:, None] * weight) ** 2).sum(axis=1)) / total
    return np.asarray(np.maximum(mean - error, 0.0))


def _posterior(days: _Days, prior: Doubles, variance: Doubles) -> Doubles:
    """Return today's effect, shrunk to ``prior`` with a variance; counts that vary more than Poisson weigh less."""
    calls, expected = days.calls, days.expected
    past, usual = (values[:, :-1] for values in (calls, expected))
    squares = ((past - usual) ** 2).sum(axis=1) - variance * (usual**2).sum(axis=1)
    noise = np.maximum(squares / np.maximum(usual.sum(axis=1), 1.0), 1.0)
    weight = variance / noise
    return np.asarray((prior + weight * calls[:, -1]) / (1.0 + weight * expected[:, -1]))


def _with_today(named: pl.DataFrame | None, today: pl.DataFrame) -> pl.DataFrame:
    """Return the named days with those of the origins, on a holiday its effect times today's."""
    keys = ["unique_id", "cutoff", "day", "quarter"]
    quarters = pl.DataFrame({"quarter": range(QUARTERS)}, schema={"quarter": pl.Int8})
    rows = today.with_columns(pl.col("cutoff").dt.date().alias("day")).join(quarters, how="cross")
    if named is None:
        return rows.select(*keys, "effect")
    both = pl.concat([named.select(*keys, "effect"), rows.select(*keys, "effect")])
    return both.group_by(keys, maintain_order=True).agg(pl.col("effect").product())


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
