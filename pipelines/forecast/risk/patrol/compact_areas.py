"""Compact areas that a crew can walk: adjoining cells of high risk within a small square.

A list of single cells is scattered. Hot spots that are contiguous and no larger than needed (Wheeler and Reuter 2021)
are made here by the best window: the square of a fixed side whose high-risk cells have the highest sum, one after
another, each without the cells already taken. A visit takes the same time wherever it leads, so the sum is what a visit
is worth; the square bounds the way to walk. Density-based clusters have no such bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.config.seeds import generator
from pipelines.forecast.risk.history import Floats, Grid, Ints

_ADJOINING: Final = np.ones((3, 3), bool)
"""Cells adjoin at a side or a corner."""
_EQUAL: Final = 1e-9
"""Sums that differ by less, relative to the larger, are equal: a seeded lot decides."""


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """One place of a list: the station whose it is, its rank there from 1, and its cells (positions in the grid)."""

    station: str
    rank: int
    cells: Ints


def of_stations(stations: pl.Series) -> dict[str, Ints]:
    """Return the cells of each station area, in order of its id; cells without one are left out."""
    placed = pl.DataFrame({"station": stations}).with_row_index("cell").drop_nulls().sort("station", "cell")
    return {
        str(station): frame["cell"].to_numpy().astype(np.int64)
        for (station,), frame in placed.partition_by("station", as_dict=True, maintain_order=True).items()
    }


def width(longest_metres: float, grid: Grid) -> int:
    """Return the side of the square in cells: at least one cell."""
    return max(int(longest_metres / grid.metres + 1e-9), 1)


def listed(
    grid: Grid, stations: Mapping[str, Ints], expected: Floats, side: int, least_ratio: float, most: int, *seed: object
) -> list[Area]:
    """List up to ``most`` areas of every station area, the highest sum first.

    Args:
        grid: The cells.
        stations: Cells of each station area; an area is within one of them.
        expected: Expected incidents of every cell.
        side: Side of the square that an area must fit into, in cells.
        least_ratio: Cells below this times the average of their station area are in no area.
        most: Areas per station area.
        seed: Words that decide between equal areas.
    """
    areas = []
    for station, cells in stations.items():
        joined = _joined(grid, cells, expected[cells], side, least_ratio, most, (*seed, station))
        joined.sort(key=lambda part: -expected[part].sum())
        areas += [Area(station, rank, part) for rank, part in enumerate(joined, 1)]
    return areas


def stops(grid: Grid, cells: Ints, side: int) -> int:
    """Return how many visits cells take: one for each group of adjoining cells per started square of ``side`` cells.

    It is the number of squares that cover the box around a group, or fewer if the group has fewer cells.
    """
    if not cells.size:
        return 0
    row, column = (axis[cells] - axis[cells].min() for axis in (grid.row, grid.column))
    taken = np.zeros((row.max() + 1, column.max() + 1), bool)
    taken[row, column] = True
    groups, number = ndimage.label(taken, _ADJOINING)
    sizes = np.bincount(groups.ravel(), minlength=number + 1)[1:]
    boxes = ndimage.find_objects(groups)
    squares = [int(np.prod([-(-(span.stop - span.start) // side) for span in box])) for box in boxes]
    return int(np.minimum(squares, sizes).sum())


def round_way(x: Floats, y: Floats) -> float:
    """Return the straight-line length of a round through points, in their unit: from the first to the nearest not yet
    visited, and back.

    A round by the nearest neighbour may be longer than the shortest one (Rosenkrantz, Stearns and Lewis 1977).
    """
    points = np.column_stack([x, y])
    here, rest, length = points[0], points[1:], 0.0
    while len(rest):
        away = np.hypot(*(rest - here).T)
        nearest = int(away.argmin())
        here, length = rest[nearest], length + float(away[nearest])
        rest = np.delete(rest, nearest, axis=0)
    return length + float(np.hypot(*(here - points[0])))


def _joined(
    grid: Grid, cells: Ints, expected: Floats, side: int, least_ratio: float, most: int, seed: tuple[object, ...]
) -> list[Ints]:
    # An edge as wide as the square, so that windows may reach over the border of the station area.
    row, column = (axis[cells] - axis[cells].min() + side for axis in (grid.row, grid.column))
    shape = row.max() + side + 1, column.max() + side + 1
    position, value = np.full(shape, -1), np.zeros(shape)
    position[row, column] = cells
    value[row, column] = np.where(expected >= least_ratio * expected.mean(), expected, 0.0)
    lots = generator(*seed).random(shape)
    areas: list[Ints] = []
    while len(areas) < most and value.any():
        taken = _best(value, side, lots)
        areas.append(position[taken])
        value[taken] = 0.0
    return areas


def _best(value: Floats, side: int, lots: Floats) -> NDArray[np.bool_]:
    """Return the cells of the best window that adjoin each other; of several groups, those with the highest sum."""
    # Differences of cumulative sums would be quicker, and not exactly zero where there is nothing.
    sums = sliding_window_view(sliding_window_view(value, side, axis=0).sum(axis=-1), side, axis=1).sum(axis=-1)
    row, column = np.unravel_index(_first(sums, lots[: sums.shape[0], : sums.shape[1]]), sums.shape)
    window = slice(row, row + side), slice(column, column + side)
    groups, number = ndimage.label(value[window] > 0, _ADJOINING)
    index = np.arange(1, number + 1)
    best = _first(
        np.asarray(ndimage.sum_labels(value[window], groups, index)),
        np.asarray(ndimage.maximum(lots[window], groups, index)),
    )
    taken = np.zeros(value.shape, bool)
    taken[window] = groups == best + 1
    return taken


def _first(sums: Floats, lots: Floats) -> int:
    """Return the position of the highest sum, by lot among equal ones."""
    return int(np.where(sums >= sums.max() * (1 - _EQUAL), lots, -1.0).argmax())
