"""Kernel density of reported crime: a smooth surface for display; hot spots are determined by Gi*, not by density.

Quartic kernel 3 / (pi h²) (1 - d² / h²)² within the bandwidth h (Silverman 1986, p. 76), summed over the exact points,
at the centre of every risk cell. Two choices matter more than the kernel:

* The **bandwidth** is one for all categories and nights, so that surfaces can be compared: five times the shorter side
  of the region over 150 (Chainey and Ratcliffe 2005), in whole 50 m, at least two cells and at most 1,000 m. Rules
  based on the scatter of the points (Silverman, Scott) smooth a whole city into one peak and give several kilometres.
* At the **edge** of the region a part of the kernel is where crime is unknown, not absent. Each density is divided by
  the share of the kernel inside the region (Diggle 1985), measured on the cells and returned as ``kernel_share``; where
  that is small, the density of the cell rests on few points.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.schema.dictionary import frame_schema

WINDOW_DAYS: Final = 365
MAX_BANDWIDTH: Final = 1_000.0
DECIMALS: Final = 3

SCHEMA: Final = frame_schema("patterns.density")

Floats = NDArray[np.float64]


def density(points: pl.DataFrame, cells: pl.DataFrame, cell_metres: int, window_end: date) -> pl.DataFrame:
    """Return the density per risk cell and category over the year before ``window_end``.

    Args:
        points: One row per incident: ``category, occurrence_date, x_m, y_m`` in the metric CRS of the cells.
        cells: ``reference.cells``: ``cell_id, cell_metres, x_m, y_m`` (lower-left corners).
        cell_metres: Side of the risk cells.
        window_end: The first local date excluded.

    Returns:
        ``patterns.density``, with ``SCHEMA``: incidents per km² and year to three decimals, where that is above zero.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    grid = cells.filter(pl.col("cell_metres") == cell_metres).sort("cell_id")
    inside = points.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left"))
    frames = [pl.DataFrame(schema=SCHEMA)]
    if not grid.is_empty():
        raster = _Raster(grid["x_m"].to_numpy(), grid["y_m"].to_numpy(), cell_metres)
        share = raster.kernel_share()
        for category, x, y, count in _places(inside):
            per_km2 = raster.sums(x, y, count) / share * 1e6
            frames.append(
                grid.select("cell_id")
                .with_columns(
                    pl.lit(cell_metres).alias("cell_metres"),
                    pl.lit(category).alias("category"),
                    pl.lit(start).alias("window_start_date"),
                    pl.lit(window_end).alias("window_end_date"),
                    pl.Series("density_per_km2_year", per_km2).round(DECIMALS),
                    pl.Series("kernel_share", share).round(DECIMALS),
                    pl.lit(raster.bandwidth).alias("bandwidth_m"),
                )
                .filter(pl.col("density_per_km2_year") > 0)
                .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
            )
    return pl.concat(frames).sort("category", "cell_id")


def bandwidth(width_m: float, height_m: float, cell_metres: int) -> float:
    """Return the kernel's radius in metres for a region of that size, by the rule above."""
    advised = 5 * min(width_m, height_m) / 150
    return float(max(min(round(advised / 50) * 50, MAX_BANDWIDTH), 2 * cell_metres))


def quartic(distance2: Floats, radius: float) -> Floats:
    """Return the kernel per square metre at a squared distance; it integrates to 1 over its disc."""
    return np.asarray(3 / (np.pi * radius**2) * np.maximum(1 - distance2 / radius**2, 0.0) ** 2)


class _Raster:
    """Cells as a dense array of rows and columns, so that the cells around a point are found by arithmetic."""

    def __init__(self, x: NDArray[np.int64], y: NDArray[np.int64], side: int) -> None:
        self.side, self.corner = side, (float(x.min()), float(y.min()))
        columns, rows = ((axis - axis.min()) // side for axis in (x, y))
        self.bandwidth = bandwidth((columns.max() + 1) * side, (rows.max() + 1) * side, side)
        self.reach = int(np.ceil(self.bandwidth / side))
        self.cells = x.size
        # A margin as wide as the kernel on all sides: no look-up is out of bounds. All cells beyond the region share
        # one index.
        shape = rows.max() + 1 + 2 * self.reach, columns.max() + 1 + 2 * self.reach
        self.place = np.full(shape, x.size, dtype=np.int32)
        self.place[rows + self.reach, columns + self.reach] = np.arange(x.size)
        self.centres: tuple[Floats, Floats] = (np.asarray(x + side / 2, float), np.asarray(y + side / 2, float))

    def sums(self, x: Floats, y: Floats, weight: Floats) -> Floats:
        """Return the sum of the kernels of weighted points at the centre of every cell."""
        column, row = ((axis - low) // self.side for axis, low in zip((x, y), self.corner, strict=True))
        near = (column >= -self.reach) & (row >= -self.reach)
        near &= (column < self.place.shape[1] - self.reach) & (row < self.place.shape[0] - self.reach)
        column, row, x, y, weight = (part[near] for part in (column, row, x, y, weight))
        shift = np.arange(-self.reach, self.reach + 1)
        total = np.zeros(self.cells + 1)
        east2 = (self.corner[0] + (column[:, None] + shift + 0.5) * self.side - x[:, None]) ** 2
        for step in shift:
            north2 = (self.corner[1] + (row + step + 0.5) * self.side - y) ** 2
            kernel = quartic(east2 + north2[:, None], self.bandwidth) * weight[:, None]
            at = self._at(row + step, column[:, None] + shift)
            total += np.bincount(at.ravel(), kernel.ravel(), minlength=total.size)
        return total[:-1]

    def kernel_share(self) -> Floats:
        """Return the share of each cell's kernel on cells of the region: 1 far inside it."""
        shift = np.arange(-self.reach, self.reach + 1) * float(self.side)
        whole = quartic(shift**2 + (shift**2)[:, None], self.bandwidth).sum()
        east, north = self.centres
        return np.asarray(self.sums(east, north, np.ones(self.cells)) / whole)

    def _at(self, row: Floats, column: Floats) -> NDArray[np.int32]:
        # The kernel of a point in the margin extends beyond it: it is clipped to the outermost margin.
        rows, columns = self.place.shape
        down = np.clip(row + self.reach, 0, rows - 1).astype(np.int64)
        along = np.clip(column + self.reach, 0, columns - 1).astype(np.int64)
        return np.asarray(self.place[down[:, None], along])


def _places(points: pl.DataFrame) -> Iterator[tuple[str, Floats, Floats, Floats]]:
    """Yield, per category, the distinct places and the incidents at each: snapped points share a place."""
    counted = points.group_by("category", "x_m", "y_m").len("count").sort("category", "x_m", "y_m")
    for category in counted["category"].unique().sort():
        of_category = counted.filter(pl.col("category") == category)
        x, y, count = (of_category[name].cast(pl.Float64).to_numpy() for name in ("x_m", "y_m", "count"))
        yield category, x, y, count
