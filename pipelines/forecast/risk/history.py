"""The input of risk models: incidents by cell and day, and the raster of their cells.

Every state of an incident has the days from and until which it was known, so that the records can be restored for any
origin. Days before the records begin, or in an outage, are unknown and not without crime: they have no incidents in any
model, and no rate counts them. Days are counted from 1970-01-01, local; what was known at an origin is what was known
at the day's run time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EPOCH: Final = date(1970, 1, 1)
ALWAYS: Final = np.iinfo(np.int64).max
NO_DAYS: Final = np.zeros(0, np.int64)
FIRST_MONDAY: Final = 4


def day_number(day: date) -> int:
    """Return a local date as a number of days."""
    return (day - EPOCH).days


def last_due(day: int, every: int) -> int:
    """Return the last day up to ``day`` that is a multiple of ``every`` days after Monday, 5 January 1970.

    What is computed only on these days is the same for all forecasts in between, whichever of them runs.
    """
    return day - (day - FIRST_MONDAY) % every


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a region as positions in a raster: ``row`` and ``column`` of each, from 0; ``metres``, their side.

    Positions need not fill the raster: the gaps belong to no cell.
    """

    row: Ints
    column: Ints
    metres: float

    @staticmethod
    def of(x: ArrayLike, y: ArrayLike, side: float, metres: float | None = None) -> "Grid":
        """Return a grid from the lower-left corners of its cells, in the unit of ``side``; ``metres`` if it differs."""
        column, row = (np.rint(np.asarray(axis, float) / side).astype(np.int64) for axis in (x, y))
        if column.size:
            column, row = column - column.min(), row - row.min()
        return Grid(row, column, side if metres is None else metres)

    @property
    def size(self) -> int:
        """Return the number of cells."""
        return int(self.row.size)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns of the raster."""
        return (int(self.row.max()) + 1, int(self.column.max()) + 1) if self.size else (0, 0)

    def raster(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return values of cells placed on the raster, 0 in the gaps."""
        laid = np.zeros(self.shape, np.float32)
        laid[self.row, self.column] = values
        return laid

    def smooth(self, values: NDArray[np.generic], sigma: float) -> Floats:
        """Return the Gaussian mean around each cell, ``sigma`` in cells, over existing cells: no loss at the border."""
        return self._blurred(values, sigma) / self._share(sigma)

    def smooth_rows(self, cells: Ints, values: NDArray[np.float32], sigma: float, wanted: Ints) -> NDArray[np.float32]:
        """Run `smooth` for many columns at once: ``values`` has a row for each of ``cells``, 0 elsewhere.

        Only the ``wanted`` cells are returned, a row for each. The vertical pass comes first and reaches few places of
        the raster, so that neither cells nor raster need be in memory once for every column.
        """
        kernel, steps = _kernel(sigma)
        rows, columns = self.shape
        down = self.row[cells][:, None] + steps
        inside = (down >= 0) & (down < rows)
        places, at = np.unique((down * columns + self.column[cells][:, None])[inside], return_inverse=True)
        weights, source = np.broadcast_to(kernel, down.shape)[inside], np.nonzero(inside)[0]
        spread = sparse.csr_array((weights, (at, source)), shape=(places.size, cells.size)) @ values
        # Raster position of each column next to a wanted cell, and its index among the positions with values.
        index = np.full(rows * columns, -1)
        index[places] = np.arange(places.size)
        across = self.column[wanted][:, None] + steps
        adjacent = self.row[wanted][:, None] * columns + across.clip(0, columns - 1)
        taken = np.where((across >= 0) & (across < columns), index[adjacent], -1)
        weights, row = np.broadcast_to(kernel, taken.shape)[taken >= 0], np.nonzero(taken >= 0)[0]
        summed = sparse.csr_array((weights, (row, taken[taken >= 0])), shape=(wanted.size, places.size)) @ spread
        return np.asarray(summed / self._share(sigma)[wanted, None].astype(np.float32), np.float32)

    def around(self, values: NDArray[np.generic], radius: int) -> Floats:
        """Return the sum over the square of cells within ``radius`` rows and columns of each, itself included."""
        width = 2 * radius + 1
        summed = ndimage.uniform_filter(self.raster(values).astype(float), width, mode="constant") * width**2
        return np.asarray(summed[self.row, self.column])

    def convolve(self, values: NDArray[np.generic], kernel: Floats) -> Floats:
        """Return the sum around each cell weighted by a small square kernel."""
        summed = ndimage.convolve(self.raster(values).astype(float), kernel, mode="constant")
        return np.asarray(summed[self.row, self.column])

    def _blurred(self, values: NDArray[np.generic], sigma: float) -> Floats:
        blurred = ndimage.gaussian_filter(self.raster(values), sigma, mode="constant", truncate=3.0)
        return np.asarray(blurred[self.row, self.column], dtype=float)

    @cached_property
    def _shares(self) -> dict[float, Floats]:
        return {}

    def _share(self, sigma: float) -> Floats:
        if sigma not in self._shares:
            self._shares[sigma] = np.maximum(self._blurred(np.ones(self.size), sigma), 1e-6)
        return self._shares[sigma]


def _kernel(sigma: float) -> tuple[NDArray[np.float32], Ints]:
    """Return the weights of `Grid.smooth` along one axis, and their offsets."""
    steps = np.arange(-int(3 * sigma + 0.5), int(3 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32), steps


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """States of incidents of one category, one per position.

    ``cell`` is a position in the grid, ``day`` the day of the occurrence; on days from ``known_from`` and before
    ``known_until`` this was the known state.
    """

    cell: Ints
    day: Ints
    known_from: Ints
    known_until: Ints

    @staticmethod
    def of(cell: ArrayLike, day: ArrayLike) -> "Events":
        """Return events known on the day after they happened and never changed."""
        days = np.asarray(day, np.int64)
        return Events(np.asarray(cell, np.int64), days, days + 1, np.full(days.size, ALWAYS))

    def where(self, kept: NDArray[np.bool_]) -> "Events":
        """Return the selected events."""
        return Events(self.cell[kept], self.day[kept], self.known_from[kept], self.known_until[kept])

    def counts(self, size: int, first: int, end: int) -> Floats:
        """Count events in each of ``size`` cells on days from ``first`` and before ``end``."""
        inside = (self.day >= first) & (self.day < end)
        return np.bincount(self.cell[inside], minlength=size).astype(float)


@dataclass(frozen=True, eq=False)
class History:
    """Events by category on one grid.

    ``first_day`` is the first known day of any category; ``unknown`` has by category the unknown days from there on,
    ascending, on which it has no events.
    """

    grid: Grid
    events: Mapping[str, Events]
    first_day: int
    unknown: Mapping[str, Ints] = field(default_factory=dict)

    def seen(self, day: int) -> "History":
        """Return what happened before a day, as known at that day's run: the input of a model at that origin.

        It begins with the first incident known then: older ones that were received later were no history yet.
        """
        known = {
            name: events.where((events.day < day) & (events.known_from <= day) & (day < events.known_until))
            for name, events in self.events.items()
        }
        start = min((int(events.day.min()) for events in known.values() if events.day.size), default=day)
        past = {name: days[(days >= start) & (days < day)] for name, days in self.unknown.items()}
        return History(self.grid, known, max(start, self.first_day), past)

    def days(self, category: str, first: int, end: int) -> int:
        """Return the number of known days from ``first`` and before ``end``."""
        unknown = np.searchsorted(self._unknown(category), [first, end])
        return max(end - first, 0) - int(unknown[1] - unknown[0])

    def known_days(self, category: str, until: int) -> int:
        """Return the number of known days before ``until``; of a history as seen there."""
        return self.days(category, self.first_day, until)

    def is_known(self, category: str, first: int, end: int) -> bool:
        """Return whether every day from ``first`` and before ``end`` is known."""
        return self.days(category, first, end) == end - first

    def since(self, category: str, until: int, days: int) -> int:
        """Return the day since which so many days before ``until`` are known; the first day if there are fewer."""
        past = np.setdiff1d(np.arange(self.first_day, until), self._unknown(category), assume_unique=True)
        return int(past[-days]) if past.size >= days else self.first_day

    def decayed_days(self, category: str, until: int, half_life: float) -> float:
        """Return the known days before ``until``, each halved in weight every ``half_life`` days; at least one."""
        ages = np.arange(1, max(until - self.first_day, 1) + 1)
        known = ~np.isin(until - ages, self._unknown(category))
        return float(np.exp(-np.log(2) / half_life * (ages[known] if known.any() else ages)).sum())

    def rate(self, category: str, day: int, half_life: float) -> float:
        """Return incidents a day, weighted towards recent ones: the level to which every model's cells sum."""
        ages = day - self.events[category].day
        return float(np.exp(-np.log(2) / half_life * ages).sum() / self.decayed_days(category, day, half_life))

    def _unknown(self, category: str) -> Ints:
        return self.unknown.get(category, NO_DAYS)


def history(grid: Grid, placed: pl.DataFrame, gaps: pl.DataFrame | None = None, until: int | None = None) -> History:
    """Build a history from incidents assigned to cells.

    Args:
        grid: The cells.
        placed: ``category, cell`` (position), ``day, known_from, known_until`` (days), one row per state.
        gaps: ``category, from_day, until_day``: unknown days, from the first (null: ever before) and before the last;
            none: every day from the first incident on is known.
        until: The first day of which nothing is read; it bounds the gaps.
    """
    ordered = placed.sort("category", "day", "cell", "known_from")
    columns = ("cell", "day", "known_from", "known_until")
    events = {
        str(key[0]): Events(*(frame[name].to_numpy().astype(np.int64) for name in columns))
        for key, frame in ordered.partition_by("category", as_dict=True, maintain_order=True).items()
    }
    if gaps is None or until is None:
        return History(grid, events, int(ordered["day"].min() or 0))  # type: ignore[arg-type]
    starts = {name: _start(gaps.filter(pl.col("category") == name), single) for name, single in events.items()}
    first = min(starts.values(), default=0)
    unknown = {
        name: _days(gaps.filter(pl.col("category") == name), first, max(start, first), until)
        for name, start in starts.items()
    }
    known = {
        name: single.where(~np.isin(single.day, unknown[name]) & (single.day >= first))
        for name, single in events.items()
    }
    return History(grid, known, first, unknown)


def _start(gaps: pl.DataFrame, events: Events) -> int:
    """Return the first known day of a category: after what is unknown ever before, else that of the first incident."""
    begun = gaps.filter(pl.col("from_day").is_null())["until_day"].max()
    return int(begun) if begun is not None else int(events.day.min())  # type: ignore[arg-type]


def _days(gaps: pl.DataFrame, first: int, start: int, until: int) -> Ints:
    """Return the unknown days from ``first`` and before ``until``: those before a category's start, and its gaps."""
    spans = gaps.filter(pl.col("from_day").is_not_null()).select("from_day", "until_day").iter_rows()
    days = [np.arange(first, min(start, until)), *(np.arange(max(a, first), min(b, until)) for a, b in spans)]
    return np.unique(np.concatenate(days)).astype(np.int64)
