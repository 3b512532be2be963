"""Two-hour slots of the week: which cells have risk at which hours.

The expectation of a cell and slot is the expectation of the cell times the share of its incidents in the slot. Few
cells have enough incidents to estimate their own hours, so the share is a Dirichlet posterior mean, level by level: the
region's table of 84 slots, shrunk to uniform; the neighbourhood's (a Gaussian window), shrunk to the region's; the
cell's, shrunk to the neighbourhood's. Every level adds the level above to its own counts, weighted as a number of
incidents, after smoothing them over neighbouring slots and over the same hours of the other days. Old incidents have
less weight. Window, smoothing and strength are selected level by level by the likelihood of the slots of the last
quarter, given the time before it (empirical Bayes; Good 1965 shrinks multinomials in this way).

Times are local. Sources that do not know an hour often write 0 or 12 (as in Toronto): such a peak is fitted like any
other hour, because guessed hours cannot be identified.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.forecast.risk.history import Grid, Ints

SLOT_HOURS: Final = 2
PER_DAY: Final = 24 // SLOT_HOURS
SLOTS: Final = 7 * PER_DAY
LONGEST_SECONDS: Final = SLOT_HOURS * 3600

HALF_LIFE_DAYS: Final = 1460.0
HELD_OUT_DAYS: Final = 91
REGION: Final = np.inf
REACHES: Final = ((REGION,), (2.0, 4.0, 8.0), (0.0,))
"""Standard deviations, in cells, of the candidate windows at each level; 0 is the cell alone."""
HOURS: Final = (0.5, 1.0, 2.0)
"""Standard deviations, in slots, of the smoothing over neighbouring slots."""
DAYS: Final = (0.1, 0.25, 0.5)
"""Weight of an incident at the same hours of each other day."""
STRENGTHS: Final = (40.0, 80.0, 160.0, 320.0)
"""Weight of the level above, as a number of incidents."""

Shares = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """States of incidents of one category with their slot, 0 (Monday 0 to 2) to 83, or -1 if it is unknown.

    Other columns as in `history.Events`: ``cell``, ``day`` and the days on which the state was the known one.
    """

    cell: Ints
    slot: Ints
    day: Ints
    known_from: Ints
    known_until: Ints

    def where(self, kept: NDArray[np.bool_]) -> "Times":
        """Return the selected incidents."""
        return Times(*(getattr(self, field.name)[kept] for field in fields(self)))

    def seen(self, day: int, first_day: int) -> "Times":
        """Return incidents from ``first_day`` and before a day, as known at that day's run."""
        return self.where(
            (self.day >= first_day) & (self.day < day) & (self.known_from <= day) & (day < self.known_until)
        )

    def timed(self) -> "Times":
        """Return incidents with a known slot: only they can train or score one."""
        return self.where(self.slot >= 0)

    def within(self, first: int, end: int) -> "Times":
        """Return incidents on days from ``first`` and before ``end``."""
        return self.where((self.day >= first) & (self.day < end))

    def place(self) -> Ints:
        """Return the position of each incident's cell and slot in a row-major table of cells × slots."""
        return self.cell * SLOTS + self.slot


@dataclass(frozen=True, slots=True)
class Level:
    """How one level's counts become shares: `REACHES`, `HOURS`, `DAYS` and `STRENGTHS` document the units."""

    reach: float
    hours: float
    days: float
    strength: float


UNLEARNT: Final = (Level(REGION, 1.0, 0.25, 80.0), Level(4.0, 1.0, 0.25, 80.0), Level(0.0, 1.0, 0.25, 80.0))
"""Used if there is nothing to fit."""


def middle(start: str, end: str) -> pl.Expr:
    """Return when an incident happened to within an hour: the middle of its span, null for spans over two hours.

    ``start`` and ``end`` name columns of instants; without an end, or with one before the start, the start is used.
    """
    seconds = (pl.col(end) - pl.col(start)).dt.total_seconds().fill_null(0).clip(0)
    return pl.when(seconds <= LONGEST_SECONDS).then(pl.col(start) + pl.duration(seconds=seconds // 2))


def slot_of(local: pl.Expr) -> pl.Expr:
    """Return the slot of a local time, -1 without one."""
    slot = (local.dt.weekday().cast(pl.Int64) - 1) * PER_DAY + local.dt.hour().cast(pl.Int64) // SLOT_HOURS
    return slot.fill_null(-1)


def times(placed: pl.DataFrame) -> dict[str, Times]:
    """Return times by category from ``category`` and the columns of `Times`, one row per state."""
    ordered = placed.sort("category", "day", "cell", "slot", "known_from")
    return {
        str(key[0]): Times(*(frame[field.name].to_numpy().astype(np.int64) for field in fields(Times)))
        for key, frame in ordered.partition_by("category", as_dict=True, maintain_order=True).items()
    }


def region_share(seen: Times) -> Shares:
    """Return the region's table of 84 slots, uniform without any times: the baseline's hours."""
    counted = np.bincount(seen.slot[seen.slot >= 0], minlength=SLOTS).astype(np.float32)
    total = counted.sum()
    return counted / total if total else np.full(SLOTS, 1 / SLOTS, np.float32)


def learn(grid: Grid, seen: Times, until: int) -> tuple[Level, ...]:
    """Select every level, from the region down, by the likelihood of the last quarter's slots.

    Args:
        grid: The cells.
        seen: What was known at ``until``.
        until: The first unknown day.
    """
    split = until - HELD_OUT_DAYS
    known = seen.timed()
    before, recent = known.within(0, split), known.within(split, until)
    if not before.cell.size or not recent.cell.size:
        return UNLEARNT
    cells, at = np.unique(recent.cell, return_inverse=True)
    counted, above = _counts(before, split), np.full((1, SLOTS), 1 / SLOTS, np.float32)
    chosen = []
    for reaches in REACHES:
        around = {reach: _around(grid, *counted, reach, cells) for reach in reaches}
        likelihood = {}
        for reach, hours, days in product(reaches, HOURS, DAYS):
            spread = _spread(around[reach], hours, days)
            for strength in STRENGTHS:
                probability = np.broadcast_to(_shrunk(spread, above, strength), (cells.size, SLOTS))[at, recent.slot]
                likelihood[Level(reach, hours, days, strength)] = float(np.log(probability, dtype=float).sum())
        best = max(likelihood, key=lambda level: likelihood[level])
        above = _shrunk(_spread(around[best.reach], best.hours, best.days), above, best.strength)
        chosen.append(best)
    return tuple(chosen)


def shares(grid: Grid, seen: Times, until: int, levels: Sequence[Level]) -> Shares:
    """Return the share of each cell's incidents (rows) in each slot (columns), by what was known at ``until``."""
    cells, counts = _counts(seen.timed(), until)
    share = np.full((1, SLOTS), 1 / SLOTS, np.float32)
    for level in levels:
        # Smoothing over slots and over cells commute; before the window there are fewer rows to smooth.
        spread = _spread(counts, level.hours, level.days)
        if level.reach:
            share = _shrunk(_around(grid, cells, spread, level.reach, np.arange(grid.size)), share, level.strength)
        else:
            # A cell without an incident keeps the shares of its neighbourhood.
            share = np.broadcast_to(share, (grid.size, SLOTS)).copy()
            share[cells] = _shrunk(spread, share[cells], level.strength)
    return np.broadcast_to(share, (grid.size, SLOTS))


def _counts(known: Times, until: int) -> tuple[Ints, Shares]:
    """Return the cells with an incident, in order, and their incidents by slot, halved every `HALF_LIFE_DAYS`."""
    cells, at = np.unique(known.cell, return_inverse=True)
    weight = np.exp2((known.day - until) / HALF_LIFE_DAYS)
    counts: Shares = np.bincount(at * SLOTS + known.slot, weight, cells.size * SLOTS).astype(np.float32)
    return cells, counts.reshape(cells.size, SLOTS)


def _around(grid: Grid, cells: Ints, counts: Shares, reach: float, wanted: Ints) -> Shares:
    """Return incidents in the window around each wanted cell, centre weight one; one row for the whole region."""
    if reach == REGION:
        return np.asarray(counts.sum(axis=0, dtype=float, keepdims=True), np.float32)
    if reach:
        return grid.smooth_rows(cells, counts, reach, wanted) * np.float32(2 * np.pi * reach**2)
    selected = np.zeros((wanted.size, SLOTS), np.float32)
    _, at, source = np.intersect1d(wanted, cells, assume_unique=True, return_indices=True)
    selected[at] = counts[source]
    return selected


def _spread(counts: Shares, hours: float, days: float) -> Shares:
    """Smooth counts over neighbouring slots, cyclically, and over the same hours of the other days."""
    week = ndimage.gaussian_filter1d(counts, hours, axis=1, mode="wrap", truncate=3.0).reshape(-1, 7, PER_DAY)
    every = week.sum(axis=1, keepdims=True)
    return np.asarray(((1 - days) * week + days * every) / (1 + 6 * days), np.float32).reshape(-1, SLOTS)


def _shrunk(counts: Shares, above: Shares, strength: float) -> Shares:
    return np.asarray((counts + strength * above) / (counts.sum(axis=1, keepdims=True) + strength), np.float32)
