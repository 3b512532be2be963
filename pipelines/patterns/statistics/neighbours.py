"""Queen neighbours of grid cells, for all cells at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

NONE = -1


def queen(x: ArrayLike, y: ArrayLike, side: float) -> NDArray[np.int64]:
    """Return the eight neighbours of each cell: their positions in the input, ``NONE`` where there is no cell.

    Args:
        x: Easting of the lower-left corner of each cell, in the unit of ``side``.
        y: Northing of the same corners.
        side: Side of a cell.
    """
    columns = np.rint(np.asarray(x, float) / side).astype(np.int64)
    rows = np.rint(np.asarray(y, float) / side).astype(np.int64)
    if columns.size == 0:
        return np.empty((0, 8), dtype=np.int64)
    columns, rows = columns - columns.min() + 1, rows - rows.min() + 1
    # A margin on each side keeps a neighbour beyond the edge from wrapping into the next row.
    width = int(columns.max()) + 2
    keys = rows * width + columns
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    shifts = [dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy]
    positions = np.full((keys.size, len(shifts)), NONE, dtype=np.int64)
    for i, shift in enumerate(shifts):
        place = np.searchsorted(ranked, keys + shift)
        inside = place < keys.size
        hit = np.zeros(keys.size, dtype=bool)
        hit[inside] = ranked[place[inside]] == (keys + shift)[inside]
        positions[hit, i] = order[place[hit]]
    return positions


def neighbour_sum(values: NDArray[np.float64], neighbours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of each cell's neighbours' values, without its own."""
    padded = np.append(values, 0.0)
    return np.asarray(padded[neighbours].sum(axis=1))


def neighbour_count(neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of neighbours of each cell."""
    return np.asarray((neighbours != NONE).sum(axis=1))
