"""Shifts of the police: which incidents happened in a shift's hours, and the share of a cell's incidents in them.

A shift is a span of hours of the day, every day alike; shifts may overlap and need not fill the day. Few cells have
enough incidents to estimate their own share, so it is a beta-binomial posterior mean, level by level like the shares of
two-hour slots (`cell_hours.hours`): the region's share, the neighbourhood's (a Gaussian window) shrunk to it, the
cell's shrunk to its neighbourhood's. Incidents of unknown time are assumed to have the hours of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import time
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.config.profile import Demand, Shift
from pipelines.forecast.risk.cell_hours import hours
from pipelines.forecast.risk.history import ALWAYS, Floats, Grid, Ints

DEFAULT: Final[Mapping[str, Shift]] = {
    "day": Shift(services=(), begins=time(7), hours=12),
    "night": Shift(services=(), begins=time(19), hours=12),
}
"""Shifts where the profile has none of the police: assumed, not taken from an order."""

_LEVEL: Final = hours.UNLEARNT[1]
"""Window of the neighbourhood, in cells, and weight of the level above, as a number of incidents."""
_STATE: Final = ("cell", "day", "known_from", "known_until")


@dataclass(frozen=True, slots=True, eq=False)
class ShiftTimes:
    """States of incidents of one category whose time is known: columns as in `history.Events`.

    ``inside``: one row per state, one column per shift, whether it happened in the shift's hours.
    """

    cell: Ints
    day: Ints
    known_from: Ints
    known_until: Ints
    inside: NDArray[np.bool_]

    def where(self, kept: NDArray[np.bool_]) -> "ShiftTimes":
        """Return the selected incidents."""
        return ShiftTimes(*(getattr(self, field.name)[kept] for field in fields(self)))

    def seen(self, day: int, first_day: int = 0) -> "ShiftTimes":
        """Return incidents from ``first_day`` and before a day, as known at that day's run."""
        return self.where(
            (self.day >= first_day) & (self.day < day) & (self.known_from <= day) & (day < self.known_until)
        )

    def final(self) -> "ShiftTimes":
        """Return the newest state of every incident."""
        return self.where(self.known_until == ALWAYS)

    def counts(self, size: int, first: int, end: int) -> Floats:
        """Count incidents in each of ``size`` cells (rows) and each shift (columns) on days before ``end``."""
        within = self.where((self.day >= first) & (self.day < end))
        return _by_cell(within, size, np.ones(within.day.size))


def of_police(demand: Demand) -> Mapping[str, Shift]:
    """Return the profile's shifts of police services by name; `DEFAULT` if it has none."""
    police = {name for name, service in demand.services.items() if service.service == "police"}
    shifts = {name: shift for name, shift in demand.shifts.items() if police & set(shift.services)}
    return shifts or DEFAULT


def times(placed: pl.DataFrame, shifts: Mapping[str, Shift], time_zone: str) -> dict[str, ShiftTimes]:
    """Return the incidents whose time is known to two hours, by category.

    Args:
        placed: One row per state of an incident: ``category, cell`` (position); ``day, known_from, known_until``
            (days); ``occurred_at, occurred_until`` (UTC).
        shifts: Shifts by name, in the order of the columns.
        time_zone: Zone of the shifts' hours.
    """
    hour = hours.middle("occurred_at", "occurred_until").dt.convert_time_zone(time_zone).dt.hour().cast(pl.Int64)
    timed = placed.with_columns(hour.alias("hour")).filter(pl.col("hour").is_not_null())
    ordered = timed.sort("category", "day", "cell", "hour", "known_from")
    result = {}
    for (category,), frame in ordered.partition_by("category", as_dict=True, maintain_order=True).items():
        since = [(frame["hour"].to_numpy() - shift.begins.hour) % 24 < shift.hours for shift in shifts.values()]
        cell, day, known_from, known_until = (frame[name].to_numpy().astype(np.int64) for name in _STATE)
        result[str(category)] = ShiftTimes(cell, day, known_from, known_until, np.column_stack(since))
    return result


def shares(grid: Grid, seen: ShiftTimes, until: int, uniform: Floats) -> Floats:
    """Return the share of each cell's incidents (rows) in each shift's hours (columns), by what was known at ``until``.

    Old incidents have less weight (`hours.HALF_LIFE_DAYS`). ``uniform``: each shift's share of the day, to which the
    region's share is shrunk.
    """
    weight = np.exp2((seen.day - until) / hours.HALF_LIFE_DAYS)
    inside, total = _by_cell(seen, grid.size, weight), np.bincount(seen.cell, weight, grid.size)
    region = (inside.sum(axis=0) + _LEVEL.strength * uniform) / (total.sum() + _LEVEL.strength)
    window = 2 * np.pi * _LEVEL.reach**2
    near = [window * grid.smooth(column, _LEVEL.reach)[:, None] for column in (total, *inside.T)]
    around = (np.hstack(near[1:]) + _LEVEL.strength * region) / (near[0] + _LEVEL.strength)
    return np.asarray((inside + _LEVEL.strength * around) / (total[:, None] + _LEVEL.strength))


def _by_cell(times: ShiftTimes, size: int, weight: Floats) -> Floats:
    return np.column_stack([np.bincount(times.cell, weight * column, size) for column in times.inside.T])
