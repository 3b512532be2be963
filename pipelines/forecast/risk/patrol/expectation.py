"""What is expected of every cell in every shift: the risk forecast times the share of the shift's hours."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.config.profile import Profile, Shift
from pipelines.forecast.risk.history import Floats, History, Ints
from pipelines.forecast.risk.patrol import compact_areas, shift_hours
from pipelines.forecast.risk.patrol.shift_hours import ShiftTimes


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What lists of places are made from: the history, its times of day, the cells of each station area, the shifts.

    ``side``: of the square that a place must fit into, in cells.
    """

    history: History
    times: Mapping[str, ShiftTimes]
    stations: Mapping[str, Ints]
    shifts: Mapping[str, Shift]
    side: int

    @staticmethod
    def of(history: History, placed: pl.DataFrame, stations: pl.Series, profile: Profile) -> "Known":
        """Return it for a night.

        Args:
            history: States of incidents by day.
            placed: The same with ``occurred_at, occurred_until``, as `shift_hours.times` reads them.
            stations: Police station area of every cell, in the order of the grid; null: of none.
            profile: Shifts, time zone, longest side of a place.
        """
        shifts = shift_hours.of_police(profile.demand)
        times = shift_hours.times(placed, shifts, profile.time_zone)
        side = compact_areas.width(profile.patrol.longest_metres, history.grid)
        return Known(history, times, compact_areas.of_stations(stations), shifts, side)

    def by_category(self, origin: int, daily: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the expected incidents a day of each category: one row per cell, one column per shift.

        Args:
            origin: The first unknown day: the shares of the shifts use what was known there.
            daily: Expected incidents a day per cell, by category, as forecast there.
        """
        seen = self.history.seen(origin)
        uniform = np.array([shift.hours / 24 for shift in self.shifts.values()])
        shares = {
            category: shift_hours.shares(seen.grid, self.times[category].seen(origin, seen.first_day), origin, uniform)
            if category in self.times
            else uniform[None]
            for category in daily
        }
        return {category: rate[:, None] * shares[category] for category, rate in daily.items()}

    def observed(self, category: str, first: int, end: int) -> Floats:
        """Return the incidents of known time on days from ``first`` and before ``end``, as known last.

        One row per cell, one column per shift.
        """
        if category not in self.times:
            return np.zeros((self.history.grid.size, len(self.shifts)))
        return self.times[category].final().counts(self.history.grid.size, first, end)
