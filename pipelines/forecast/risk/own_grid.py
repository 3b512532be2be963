"""Your own points assigned to a grid over a boundary.

The grid uses the CRS of the points if that is projected, with the side converted from metres into the CRS's unit (such
as feet), otherwise the local UTM zone. All cells that touch the boundary belong to it; of points, those inside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from pipelines.areas import grid as cell_grid
from pipelines.config.progress import Progress, silent
from pipelines.forecast.risk import own_boundary, own_history
from pipelines.forecast.risk.free_squares import PARTS, SIDE, Lattice
from pipelines.forecast.risk.history import Grid, History
from pipelines.forecast.risk.point_columns import PointsError
from pipelines.forecast.risk.ranking import cells_within
from pipelines.quality import outages

GRID, FREE = "grid", "free"
"""Where squares are: in the cells of the grid, or placed freely."""
LEAST_CELL, MOST_CELL, EARTH_KM2 = 0.001, 100_000, 510_000_000
MOST_PARTS: Final = 2 * own_boundary.MOST_SPREAD
"""Parts of cells in the box around a boundary, which the rasters of free squares cover."""
BLOCK_CELLS: Final = 100_000
"""Cells compared with the boundary at once."""


@dataclass(frozen=True, slots=True)
class Task:
    """Location and resolution: the CRS of the points, the boundary file, the side of a cell, the area to select.

    ``placement``: `GRID`, `FREE`, or None for the one that had more hits at earlier origins.
    """

    crs: str
    boundary: Path
    cell_metres: float
    area_km2: float
    placement: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The cells over a boundary, and the points assigned to them: ``category, cell, part, day, known_from`` (days).

    ``part`` is the position in the ``lattice``, which is None where squares are not placed freely. ``outline`` is the
    boundary and ``side`` that of a cell, in the CRS.
    """

    task: Task
    cells: pl.DataFrame
    grid: Grid
    lattice: Lattice | None
    points: pl.DataFrame
    history: History
    selected: int
    cell_share: float
    crs: str
    last_day: int
    outline: shapely.Geometry
    side: float

    def at(self, days: Sequence[int]) -> list[tuple[History, list[int]]]:
        """Return what was known at each day, as if no later point existed: its categories and its outages.

        Days at which both were the same share one history, which is to be read as seen at each of them.
        """
        groups: dict[tuple[object, ...], list[int]] = {}
        for day in sorted(days):
            seen = own_history.seen(self.points, day)
            if seen.height:
                gaps = tuple(outages.gaps_of_days(seen["day"].to_numpy()))
                groups.setdefault((gaps, *seen["category"].unique().sort()), []).append(day)
        return [(self._history(max(alike), self.grid, "cell"), alike) for alike in groups.values()]

    def on(self, lattice: Lattice, day: int) -> History:
        """Return what was known at a day by the parts of the lattice."""
        return self._history(day, lattice.grid, "part")

    def _history(self, day: int, grid: Grid, position: str) -> History:
        return own_history.history_of(own_history.seen(self.points, day).with_columns(cell=position), grid, day)


def place(points: pl.DataFrame, task: Task, note: Progress = silent, until: int | None = None) -> Place:
    """Build a grid over a boundary and assign the points inside it to its cells.

    Args:
        points: ``occurred_at`` (or ``occ_date``), ``x, y`` in the task's CRS (or ``lon, lat``), optionally ``category``
            and ``known_at``: a point is seen from the day after both.
        task: Location and resolution.
        note: Called with the number of points outside.
        until: The first day that no forecast reads: outages are found in the points before it. None: in all points.

    Raises:
        PointsError: A column is missing or unreadable, no point is inside, the area is less than a cell, or the cells
            are more than memory is planned for.
    """
    if not (LEAST_CELL <= task.cell_metres <= MOST_CELL and 0 < task.area_km2 < EARTH_KM2):
        raise PointsError(f"--cell must be {LEAST_CELL} to {MOST_CELL} metres, and --area-km2 above 0")
    selected = cells_within(task.area_km2, task.cell_metres**2)
    if selected < 1:
        raise PointsError(f"--area-km2 {task.area_km2} is less than one cell of {task.cell_metres:g} m")
    outline, crs = own_boundary.outline_of(task.boundary, task.crs)
    unit = float(crs.axis_info[0].unit_conversion_factor)
    side = task.cell_metres / unit
    inside = own_boundary.points_inside(points, task.crs, outline, crs, note)
    own_boundary.check_size(outline, side, unit, inside["category"].n_unique())
    corners = _corners(outline, side)
    if selected >= corners.height:
        note(f"--area-km2 {task.area_km2:g} is enough for all {corners.height} cells: every cell is selected")
    points = _points(inside, corners, side)
    last_day = int(inside["day"].max())  # type: ignore[arg-type]
    end = last_day + 1 if until is None else until
    grid = Grid.of(corners["column"].to_numpy(), corners["row"].to_numpy(), 1, task.cell_metres)
    return Place(
        task=task,
        cells=corners.with_columns(
            pl.Series("cell_id", _codes(corners, task.cell_metres, unit)),
            pl.Series("geometry", _boxes(corners, side), dtype=pl.Binary),
        ),
        grid=grid,
        lattice=_lattice(grid, corners, outline, task, side, note),
        points=points,
        history=own_history.history_of(points, grid, end, note),
        selected=min(selected, corners.height),
        cell_share=task.cell_metres**2 / (outline.area * unit**2),
        crs=crs.to_string(),
        last_day=last_day,
        outline=outline,
        side=side,
    )


def _points(inside: pl.DataFrame, corners: pl.DataFrame, side: float) -> pl.DataFrame:
    """Return ``category, cell, part, day, known_from`` of the points inside the boundary."""
    axes = (("x", "column"), ("y", "row"))
    column, row = (((pl.col(axis) / side - pl.col(name)) * SIDE).floor().clip(0, SIDE - 1) for axis, name in axes)
    return (
        inside.with_columns((pl.col(axis) / side).floor().cast(pl.Int64).alias(name) for axis, name in axes)
        .join(corners.select("column", "row").with_row_index("cell"), on=["column", "row"])
        .with_columns(part=pl.col("cell").cast(pl.Int64) * PARTS + (row * SIDE + column).cast(pl.Int64))
        .select("category", "cell", "part", "day", "known_from")
    )


def _lattice(
    grid: Grid, corners: pl.DataFrame, outline: shapely.Geometry, task: Task, side: float, note: Progress
) -> Lattice | None:
    """Return the lattice for free squares; None if they are not wanted, or need more memory than is planned for.

    Raises:
        PointsError: They are wanted, and need more.
    """
    if task.placement == GRID:
        return None
    spread = PARTS * grid.shape[0] * grid.shape[1]
    if spread > MOST_PARTS:
        least = math.ceil(task.cell_metres * math.sqrt(spread / MOST_PARTS))
        if task.placement == FREE:
            raise PointsError(f"--placement free needs too much memory on so many cells: use --cell {least} or more")
        note(f"squares are on the grid: with --cell {least} or more, free placement would be tried too")
        return None
    row, column = np.divmod(np.arange(PARTS), SIDE)
    x, y = (
        ((corners[name].to_numpy()[:, None] + (of_part + 0.5) / SIDE) * side).ravel()
        for name, of_part in (("column", column), ("row", row))
    )
    return Lattice.of(grid, np.asarray(shapely.intersects_xy(outline, x, y)))


def _corners(boundary: shapely.Geometry, side: float) -> pl.DataFrame:
    """Return columns and rows, in sides from the CRS's origin, of the cells that touch the boundary."""
    west, south, east, north = (math.floor(edge / side) for edge in boundary.bounds)
    columns = np.arange(west, east + 1)
    height = max(BLOCK_CELLS // columns.size, 1)
    shapely.prepare(boundary)
    blocks = (np.arange(row, min(row + height, north + 1)) for row in range(south, north + 1, height))
    return pl.concat(_touching(boundary, columns, rows, side) for rows in blocks).sort("column", "row")


def _touching(
    boundary: shapely.Geometry, columns: NDArray[np.int64], rows: NDArray[np.int64], side: float
) -> pl.DataFrame:
    """Return the cells of some columns and rows that touch the boundary."""
    column, row = (axis.ravel() for axis in np.meshgrid(columns, rows))
    boxes = shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
    touching = shapely.intersects(boundary, boxes)
    return pl.DataFrame({"column": column[touching], "row": row[touching]}).cast(pl.Int64)


def _codes(corners: pl.DataFrame, cell_metres: float, unit: float) -> pl.Series:
    """Return INSPIRE codes if the grid is metric and whole; otherwise the count of sides from the origin, marked
    ``#``.
    """
    if unit == 1 and cell_metres == int(cell_metres):
        side = int(cell_metres)
        x, y = ((pl.col(name) * side).cast(pl.Float64) for name in ("column", "row"))
        return corners.select(cell_grid.cell_expr("inspire", side, x, y)).to_series()
    return corners.select(pl.format(f"{cell_metres:g}m#N{{}}E{{}}", "row", "column")).to_series()


def _boxes(corners: pl.DataFrame, side: float) -> list[bytes]:
    west, south = (corners[name].to_numpy() * side for name in ("column", "row"))
    return list(shapely.to_wkb(shapely.box(west, south, west + side, south + side)))
