"""Features known at an origin for every step ahead of it: the training and prediction rows of a global model.

A row is a pair of an origin and a step after it, so that training and prediction match: every feature of a row is
computed from data before the row's own origin, whatever its lead. Features are ratios and logarithms of rates, so that
one model serves series of any size, and a change of level is known at once.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.series import SEASON, STEP, Frequency

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Places = NDArray[np.int64]

WINDOWS: Final = (1, 7, 28, 91, 364)
"""Days before an origin whose calls are compared with the expectation of the hour-of-week averages."""
YEAR_DAYS: Final = 364
"""Whole weeks, so that a year ago falls on the same weekday."""
BASE_DAYS: Final = 56
SLOT_WEEKS: Final = (1, 4)
PSEUDO_CALLS: Final = 2.0

OWN: Final = (
    "lead", "hour", "weekday", "level", "shape", *[f"last_{days}" for days in WINDOWS],
    *[f"slot_{weeks}" for weeks in SLOT_WEEKS], "year_ago",
)  # fmt: skip
SHARED: Final = ("pool_7", "pool_28", "pool_year_ago", "day_of_year")
"""Common to all series at one time, so a short history has few values and a model would memorise them."""
NAMES: Final = (*OWN, *SHARED)


@dataclass(frozen=True, slots=True)
class Counts:
    """All series on one axis of steps, in whole weeks from ``start``; unknown steps are 0 with ``known`` 0."""

    ids: pl.DataFrame
    start: datetime
    freq: Frequency
    values: Floats
    known: Floats

    @staticmethod
    def of(history: pl.DataFrame, start_of_axis: datetime, cutoff: datetime, freq: Frequency) -> "Counts":
        """Build from ``unique_id, ds, y``.

        The axis ends before ``cutoff`` and begins a whole number of weeks before it.
        """
        season, step = SEASON[freq], STEP[freq]
        weeks = max(math.ceil((cutoff - start_of_axis) / (step * season)), 1)
        start = cutoff - step * season * weeks
        ids = history.select("unique_id").unique().sort("unique_id").with_row_index("_series")
        steps = ((pl.col("ds") - start).dt.total_seconds() // int(step.total_seconds())).alias("_step")
        rows = (
            history.filter(pl.col("ds") < cutoff)
            .join(ids, on="unique_id", maintain_order="left")
            .select("_series", steps, "y")
        )
        values = np.zeros((ids.height, weeks * season), dtype=np.float32)
        known = np.zeros_like(values)
        place = rows["_series"].to_numpy(), rows["_step"].to_numpy()
        # One value per local hour: of a repeated hour the last one is used.
        values[place], known[place] = rows["y"].to_numpy(), 1.0
        return Counts(ids, start, freq, values, known)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one origin, series by series: ``table``: hour-of-week averages, to improve on."""

    series: Places
    steps: Places
    table: Doubles
    values: Floats


def at(counts: Counts, origin: int, leads: int) -> Rows:
    """Return rows of every series for the ``leads`` steps from ``origin`` on.

    ``origin`` is a position on the axis; no later data is read.
    """
    day = SEASON[counts.freq] // 7
    table = _table(counts, origin)
    steps = origin + np.arange(leads)
    slots = _slots(counts, steps)
    mean = table[:, slots]
    level = table.mean(axis=1, keepdims=True)
    windows = {days: _window(counts, origin, table, days) for days in WINDOWS}
    own_year, pool_year = _year_ago(counts, origin, steps)
    columns = [
        (np.arange(leads) // day)[None, :],
        (slots % day)[None, :],
        (slots // day)[None, :],
        np.log(level),
        np.log(mean / level),
        *[_ratio(*window)[:, None] for window in windows.values()],
        *[_ratio(_same_slot(counts, origin, weeks)[:, slots], weeks * mean) for weeks in SLOT_WEEKS],
        own_year,
        *[_ratio(windows[days][0].sum(keepdims=True), windows[days][1].sum(keepdims=True)) for days in (7, 28)],
        pool_year,
        _day_of_year(counts, steps)[None, :],
    ]
    values = np.empty((*mean.shape, len(NAMES)), dtype=np.float32)
    for i, column in enumerate(columns):
        values[:, :, i] = column
    series = np.arange(mean.shape[0])
    return Rows(np.repeat(series, leads), np.tile(steps, series.size), mean.ravel(), values.reshape(-1, len(NAMES)))


def _slots(counts: Counts, steps: Places) -> Places:
    """Return hour of week or weekday of axis positions."""
    day = SEASON[counts.freq] // 7
    first = counts.start.weekday() * day + (counts.start.hour if counts.freq == "h" else 0)
    return (first + steps) % SEASON[counts.freq]


def _ratio(calls: Doubles, expected: Doubles) -> Doubles:
    """Return the logarithm of calls over expected calls; near 0 if few are expected."""
    return np.asarray(np.log((calls + PSEUDO_CALLS) / (expected + PSEUDO_CALLS)))


def _day_of_year(counts: Counts, steps: Places) -> Doubles:
    moments = np.datetime64(counts.start) + steps * np.timedelta64(STEP[counts.freq])
    return np.asarray((moments.astype("datetime64[D]") - moments.astype("datetime64[Y]")).astype(float))


def _table(counts: Counts, origin: int) -> Doubles:
    """Return the hour-of-week averages of every series as of ``origin``: series × slot of the week."""
    season = SEASON[counts.freq]
    used = origin // season * season + (season if origin % season else 0)
    age = (origin - np.arange(used)) / (season / 7)

    def weight(half_life: float) -> Floats:
        return np.where(age > 0, 0.5 ** (age / half_life), 0.0).astype(np.float32).reshape(-1, season)

    shape, level = weight(hour_of_week.SHAPE_HALF_LIFE_DAYS), weight(hour_of_week.LEVEL_HALF_LIFE_DAYS)
    values = counts.values[:, :used].reshape(len(counts.values), -1, season)
    known = counts.known[:, :used].reshape(values.shape)
    sums = {
        name: np.einsum("swk,wk->sk", data, by).astype(float)
        for name, data, by in (
            ("calls", values, shape),
            ("weight", known, shape),
            ("weight_squares", known, shape**2),
            ("level_calls", values, level),
            ("level_weight", known, level),
        )
    }
    # The axis may begin on any day of the week, and at any hour.
    monday = int(_slots(counts, np.arange(1))[0])
    turned = {name: np.roll(sum_of, monday, axis=1) for name, sum_of in sums.items()}
    return hour_of_week.means(**turned, freq=counts.freq)


def _window(counts: Counts, origin: int, table: Doubles, days: int) -> tuple[Doubles, Doubles]:
    """Return every series' calls in the days before ``origin``, and the table's expectation of their known steps."""
    day = SEASON[counts.freq] // 7
    begin = max(origin - days * day, 0)
    known = counts.known[:, begin:origin]
    # Whole weeks contain every slot equally often; an outage within one is treated as an average hour.
    expected = (
        (known * table[:, _slots(counts, np.arange(begin, origin))]).sum(axis=1)
        if days % 7
        else known.sum(axis=1) * table.mean(axis=1)
    )
    # A series that has not begun has no table and no expectation.
    return counts.values[:, begin:origin].sum(axis=1).astype(float), np.nan_to_num(expected.astype(float))


def _same_slot(counts: Counts, origin: int, weeks: int) -> Doubles:
    """Return calls of each slot of the week in the last ``weeks`` weeks before ``origin``: series × slot."""
    season = SEASON[counts.freq]
    steps = np.arange(origin - season, origin)
    total = sum(counts.values[:, steps - season * i] for i in range(weeks))
    by_slot = np.empty((len(counts.values), season))
    by_slot[:, _slots(counts, steps)] = total
    return by_slot


def _year_ago(counts: Counts, origin: int, steps: Places) -> tuple[Doubles, ...]:
    """Return last year's change of demand from the weeks before this origin's date to the week around the step's date.

    Returns:
        The logarithm for every series and for all together; NaN if a year ago is not known.
    """
    day = SEASON[counts.freq] // 7
    shift = YEAR_DAYS * day
    twin = origin - shift
    if twin - 28 * day < 0:
        nothing = np.full((1, steps.size), np.nan)
        return nothing, nothing
    begin = max(twin - BASE_DAYS * day, 0)
    base = counts.values[:, begin:twin].sum(axis=1), counts.known[:, begin:twin].sum(axis=1)
    # By whole days: the week around the step's day.
    days = (steps - origin) // day
    middle = twin + np.unique(days) * day
    week = np.stack([np.maximum(middle - 3 * day, 0), np.minimum(middle + 4 * day, origin)])
    sums = np.stack([counts.values[:, a:b].sum(axis=1) for a, b in week.T], axis=1)
    seen = np.stack([counts.known[:, a:b].sum(axis=1) for a, b in week.T], axis=1)
    rate = base[0] / np.maximum(base[1], 1)
    own_change = _ratio(sums.astype(float), seen * rate[:, None])
    pool = _ratio(sums.astype(float).sum(axis=0), (seen * rate[:, None]).sum(axis=0))[None, :]
    return own_change[:, days], pool[:, days]
