"""Squares of a cell's side placed freely on a fine lattice, because the lines of a grid divide busy places.

A cell's expected incidents are spread over its 5 × 5 parts by where its incidents were, each blurred a little, and
evenly as far as it had few. A square may begin at any part; the squares with the highest sums are taken one after
another, none overlapping another (floating grid: Mohler et al. 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.config.seeds import generator
from pipelines.forecast.risk.history import Floats, Grid, Ints

Raster = NDArray[np.float32]

SIDE: Final = 5
"""Parts along the side of a cell."""
PARTS: Final = SIDE**2
BLUR: Final = 0.7
"""Standard deviation, in parts, by which an incident is blurred: a place of many records is not one point."""
EVEN: Final = 1.0
"""Weight of the even spread over a cell, as a number of incidents."""
OVERLAPPING: Final = (2 * SIDE - 1) ** 2
"""Squares that overlap one, itself included: of so many times n best ones, n are left by any choice."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """The parts of all cells: `PARTS` of each, in the order of the cells, row by row; ``inside`` the boundary or not.

    A position of the raster is the square that has its lower-left part there.
    """

    grid: Grid
    inside: NDArray[np.bool_]

    @staticmethod
    def of(cells: Grid, inside: NDArray[np.bool_]) -> "Lattice":
        """Return the lattice of a grid's cells."""
        row, column = np.divmod(np.arange(PARTS), SIDE)
        rows, columns = (
            (of_cell[:, None] * SIDE + of_part).ravel()
            for of_cell, of_part in ((cells.row, row), (cells.column, column))
        )
        return Lattice(Grid(rows, columns, cells.metres / SIDE), inside)

    @cached_property
    def area(self) -> Raster:
        """Return the parts of each square that are inside the boundary."""
        return self.sums(self.inside)

    def sums(self, values: NDArray[np.generic], blur: float = 0.0) -> Raster:
        """Return the sum of the parts' values over each square; ``blur``: displaced by a normal error, in parts."""
        raster = self.grid.raster(values)
        if blur:
            raster = ndimage.gaussian_filter(raster, blur, mode="constant", truncate=3.0)
        rows, columns = raster.shape
        padded = np.pad(raster, (0, SIDE - 1))
        up = reduce(np.add, (padded[step : step + rows] for step in range(SIDE)))
        return np.asarray(reduce(np.add, (up[:, step : step + columns] for step in range(SIDE))))

    def spread(self, expected: Floats, counted: Floats) -> Floats:
        """Return each cell's expected incidents spread over its parts; ``counted``: past incidents by part."""
        weight = self.grid.smooth(counted, BLUR).reshape(-1, PARTS) + EVEN / PARTS
        return np.asarray(expected[:, None] * weight / weight.sum(axis=1, keepdims=True)).ravel()

    def of_cells(self, cells: Ints) -> Ints:
        """Return the positions of the squares that are these cells."""
        first = cells * PARTS
        return np.asarray(self.grid.row[first] * self.grid.shape[1] + self.grid.column[first])


def best(sums: Raster, area: Raster, most: float, seed: Sequence[object], reach: int = 1) -> Ints:
    """Return the positions of squares, best first, none overlapping another, equal ones by a draw.

    Args:
        sums: The value of each square.
        area: What counts of each square towards ``most``; squares without any are left out.
        most: How much area they have together at most.
        seed: Words that determine the draw.
        reach: How many times the usual number of squares is looked at.
    """
    value, size = sums.ravel(), area.ravel()
    eligible = np.flatnonzero(size)
    looked_at = min(reach * OVERLAPPING * (int(most / PARTS) + 1), eligible.size)
    floor = np.partition(value[eligible], -looked_at)[-looked_at]
    near = eligible[value[eligible] >= floor]
    tie = generator(*seed).random(value.size)[near]
    taken, is_filled = _apart(near[np.lexsort((tie, -value[near]))], size, most, sums.shape)
    # Squares at the edge have little area, so that more of them may fit.
    return taken if is_filled or looked_at == eligible.size else best(sums, area, most, seed, 2 * reach)


def _apart(ordered: Ints, size: Raster, most: float, shape: tuple[int, ...]) -> tuple[Ints, bool]:
    """Return the first squares that do not overlap an earlier one, and whether the next would exceed the area."""
    blocked = np.zeros((shape[0] + SIDE, shape[1] + SIDE), bool)
    taken: list[int] = []
    total = 0.0
    for position in ordered.tolist():
        row, column = divmod(position, shape[1])
        if blocked[row, column]:
            continue
        total += size[position]
        if total > most:
            return np.array(taken, np.int64), True
        taken.append(position)
        blocked[max(row - SIDE + 1, 0) : row + SIDE, max(column - SIDE + 1, 0) : column + SIDE] = True
    return np.array(taken, np.int64), False
