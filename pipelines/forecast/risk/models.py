"""Models of place-based risk: the expected number of incidents per cell, from incidents by cell and day.

Both models give counts that add up to the recent volume, so that they can be read as expectations and not only ranked.
Decayed counts: half-life two years, four fifths of a cell's own count and one fifth of its neighbours' mean. Chosen on
24 monthly origins of Portland (250 ft) and weekly ones of Toronto (250 m, five categories): at 1 % of the area at least
as many hits as the best of all-history and 365-day counts in six of seven, and up to 9 % more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.patterns.neighbours import neighbour_count, neighbour_sum, queen

COUNT_DAYS: Final = 365
HALF_LIFE_DAYS: Final = 730.0
OWN_SHARE: Final = 0.8

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells by position: how many, and each one's neighbours."""

    size: int
    neighbours: NDArray[np.int64]

    @staticmethod
    def of(x: NDArray[np.generic], y: NDArray[np.generic], side: float) -> "Grid":
        """A grid from the lower-left corners of its cells."""
        return Grid(len(x), queen(x, y, side))


@dataclass(frozen=True, slots=True)
class Events:
    """Incidents of one category: cell position, day number, how many; ``first_day`` is where knowledge begins."""

    cell: NDArray[np.int64]
    day: NDArray[np.int64]
    incidents: Floats
    first_day: int

    def before(self, day: int) -> "Events":
        """What happened before a day: all that a model of that day may see."""
        seen = self.day < day
        return Events(self.cell[seen], self.day[seen], self.incidents[seen], self.first_day)


Model = Callable[[Events, Grid, int], Floats]
"""(events, grid, first day that is not known) → expected incidents per cell and day."""


def counts(events: Events, grid: Grid, known_until: int) -> Floats:
    """The plain count of the last 365 known days: the baseline."""
    seen = events.before(known_until)
    recent = seen.day >= known_until - COUNT_DAYS
    total = np.bincount(seen.cell[recent], seen.incidents[recent], grid.size)
    return np.asarray(total / max(min(COUNT_DAYS, known_until - events.first_day), 1))


def decayed_counts(events: Events, grid: Grid, known_until: int) -> Floats:
    """Counts that lose half their weight every two years, lightly shared with neighbours."""
    seen = events.before(known_until)
    decay = np.log(2) / HALF_LIFE_DAYS
    weight = np.exp(-decay * (known_until - seen.day))
    own = np.bincount(seen.cell, seen.incidents * weight, grid.size)
    days = np.exp(-decay * np.arange(1, max(known_until - events.first_day, 1) + 1)).sum()
    # A cell gives a fifth away in equal parts and gets parts of others' fifths, so the total stays what it was.
    around = neighbour_count(grid.neighbours)
    given = np.divide((1 - OWN_SHARE) * own, around, out=np.zeros(grid.size), where=around > 0)
    kept = np.where(around > 0, OWN_SHARE * own, own)
    return np.asarray((kept + neighbour_sum(given, grid.neighbours)) / days)


MODEL: Final = "decayed_counts"
BASELINE: Final = "counts"
MODELS: Final[dict[str, Model]] = {MODEL: decayed_counts, BASELINE: counts}
