"""Where squares are placed, freely or on the grid, and the free squares of any origin.

Free squares are centred where incidents repeat, and most of what they gain may be due to a geocoder that stacks records
on single points. So the two placements are compared at earlier origins with outcomes displaced by a normal error: the
hits that each list had, had the incidents been recorded up to so far away. Squares are placed freely if that gains
hits by more than a standard error in at least `LEAST_TRIALS` months, all categories together.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import shapely

from pipelines.forecast.risk.evaluation.rolling import Lists, months
from pipelines.forecast.risk.free_squares import PARTS, SIDE, Lattice, Raster, best
from pipelines.forecast.risk.history import Events, Floats, History, Ints
from pipelines.forecast.risk.models.boosting import WINDOW_DAYS
from pipelines.forecast.risk.models.counts import HALF_LIFE_DAYS
from pipelines.forecast.risk.models.stack import LEAST_TRIALS, STACK, Choice
from pipelines.forecast.risk.own_grid import FREE, GRID, Place

DISPLACED_METRES: Final = 60.0
"""Root mean square distance by which outcomes are displaced to compare placements."""


class Squares(NamedTuple):
    """Squares, best first: positions in the lattice's raster and expected incidents a day."""

    position: Ints
    expected: Floats


class Selected(NamedTuple):
    """A placement, and the gain of free squares in each earlier month, relative to the hits on the grid."""

    placement: str
    gains: Floats

    @property
    def note(self) -> str:
        """Describe the comparison; empty if it had too few months."""
        if self.gains.size < LEAST_TRIALS:
            return ""
        mean, error = self.gains.mean(), _error(self.gains)
        where = "freely" if self.placement == FREE else "on the grid"
        return (
            f"squares are placed {where}: in {self.gains.size} earlier months free ones had {mean:+.1%} hits "
            f"(95 % {mean - 1.96 * error:+.1%} to {mean + 1.96 * error:+.1%}), outcomes displaced by "
            f"{DISPLACED_METRES:g} m"
        )


@dataclass(frozen=True, slots=True)
class Free:
    """The free squares of a place at any origin, from the lists of its cells."""

    place: Place
    lattice: Lattice
    past: History
    """What was known by the parts of the lattice."""
    lists: Lists
    _hits: dict[tuple[str, int, str, bytes], tuple[float, float]] = field(default_factory=dict)

    @staticmethod
    def of(place: Place, lists: Lists, until: int) -> "Free | None":
        """Return the free squares at origins up to ``until``; None if the place has no lattice."""
        return Free(place, place.lattice, place.on(place.lattice, until), lists) if place.lattice else None

    def squares(self, category: str, origin: int, expected: Floats) -> Squares:
        """Return the squares of an origin, whose areas inside the boundary sum to at most that of the task.

        Args:
            category: Of the incidents.
            origin: The first unknown day.
            expected: Incidents a day by cell, as listed at the origin.
        """
        events = self._known(category, origin)
        weight = np.exp2((events.day - origin) / HALF_LIFE_DAYS)
        counted = np.bincount(events.cell, weight, self.lattice.grid.size).astype(float)
        sums = self.lattice.sums(self.lattice.spread(expected, counted))
        cell_km2 = self.place.task.cell_metres**2 / 1e6
        most = (self.place.task.area_km2 / cell_km2 + 1) * PARTS
        position = best(sums, self.lattice.area, most, (category, origin))
        total = (self._inside(position) * cell_km2).cumsum()
        kept = position[: np.searchsorted(total, self.place.task.area_km2 * (1 + 1e-9), side="right")]
        return Squares(kept, sums.ravel()[kept].astype(float))

    def frame(self, squares: Squares) -> pl.DataFrame:
        """Return ``cell_id, expected, rank, is_selected, geometry`` of squares; the id has the lower-left corner."""
        west, south = self._corners(squares.position)
        name = f"{self.place.task.cell_metres:g}m@"
        boxes = self._boxes(squares.position)
        return pl.DataFrame(
            {
                "cell_id": [f"{name}N{y:.12g}E{x:.12g}" for x, y in zip(west, south, strict=True)],
                "expected": squares.expected,
                "rank": np.arange(1, west.size + 1),
                "is_selected": np.ones(west.size, bool),
                "geometry": pl.Series(list(shapely.to_wkb(boxes)), dtype=pl.Binary),
            }
        )

    def select(self, until: int) -> Selected:
        """Return the placement of an origin: the wanted one, or that of the months before it."""
        if wanted := self.place.task.placement:
            return Selected(wanted, np.empty(0))
        chosen = self.lists.choose(until)
        hits: dict[int, Floats] = defaultdict(lambda: np.zeros(2))
        for origin in months(self.lists.history, until):
            for category, choice in chosen.items():
                if self.lists.categories[category].trial(origin):
                    hits[origin] += self._tried(category, origin, choice.list_name, until)
        free, grid = np.array(list(hits.values())).reshape(-1, 2).T
        if not grid.sum():
            return Selected(GRID, np.empty(0))
        gains = (free - grid) / grid.mean()
        is_better = gains.size >= LEAST_TRIALS and gains.mean() > _error(gains)
        return Selected(FREE if is_better else GRID, gains)

    def score(self, category: str, origin: int, days: int, expected: Floats) -> pl.DataFrame:
        """Return the columns of `rolling.WINDOWS` that differ for the free squares of one window, and its keys."""
        squares = self.squares(category, origin, expected).position
        outcome, prior = (
            self._sums(category, first, first + days).ravel()[squares] for first in (origin, origin - days)
        )
        counted = {"hits": outcome.sum(), "hit_cells": (outcome > 0).sum(), "prior_hits": prior.sum()}
        keys = {"origin_day": origin, "category": category, "model": STACK, "cells": self.place.selected}
        whole = {name: round(float(value)) for name, value in counted.items()}
        return pl.DataFrame(keys | whole | {"placement": FREE})

    def _known(self, category: str, day: int) -> Events:
        """Return what happened before a day and was known then; ``cell`` is a part of the lattice."""
        events = self.past.events[category]
        return events.where((events.day < day) & (events.known_from <= day))

    def _tried(self, category: str, origin: int, list_name: str, until: int) -> tuple[float, float]:
        """Return the displaced hits of the free squares and of the cells in the month from an origin on."""
        events = self._known(category, until)
        parts = events.cell[(events.day >= origin) & (events.day < origin + WINDOW_DAYS)]
        key = category, origin, list_name, parts.tobytes()
        if key not in self._hits:
            listed = self.lists.categories[category].listed(origin, Choice("", list_name, 0))
            blur = DISPLACED_METRES / np.sqrt(2) / self.lattice.grid.metres
            sums = self.lattice.sums(np.bincount(parts, minlength=self.lattice.grid.size), blur).ravel()
            free = self.squares(category, origin, listed.expected).position
            on_grid = self.lattice.of_cells(listed.order[: self.place.selected])
            self._hits[key] = float(sums[free].sum()), float(sums[on_grid].sum())
        return self._hits[key]

    def _sums(self, category: str, first: int, end: int) -> Raster:
        """Return the incidents of known days in every square, as known now."""
        unknown = self.place.history.unknown.get(category, np.empty(0, np.int64))
        within = pl.col("day").is_between(max(first, self.place.history.first_day), end - 1)
        points = self.place.points.filter(pl.col("category") == category, within)
        known = points["part"].to_numpy()[~np.isin(points["day"].to_numpy(), unknown)]
        return self.lattice.sums(np.bincount(known, minlength=self.lattice.grid.size))

    def _corners(self, position: Ints) -> tuple[Floats, Floats]:
        """Return the lower-left corners of squares in the CRS."""
        rows, columns = np.divmod(position, self.lattice.grid.shape[1])
        column, row = (self.place.cells[name].min() for name in ("column", "row"))
        step = self.place.side / SIDE
        return (columns + column * SIDE) * step, (rows + row * SIDE) * step  # type: ignore[operator]

    def _boxes(self, position: Ints) -> shapely.Geometry:
        west, south = self._corners(position)
        return shapely.box(west, south, west + self.place.side, south + self.place.side)

    def _inside(self, position: Ints) -> Floats:
        """Return the share of each square that is inside the boundary."""
        boxes, outline = self._boxes(position), self.place.outline
        share = np.ones(position.size)
        at_edge = ~shapely.contains_properly(outline, boxes)
        share[at_edge] = shapely.area(shapely.intersection(outline, boxes[at_edge])) / self.place.side**2
        return share


def _error(gains: Floats) -> float:
    """Return the standard error of the mean gain."""
    return float(gains.std(ddof=1) / np.sqrt(gains.size))
