"""Risk on anybody's points: a grid over a boundary, the same models and scores, no pipeline needed.

The grid lies in the CRS of the points if that is projected, its side turned from metres into the CRS's unit (feet,
say); else in the local UTM zone. All cells that touch the boundary belong to it.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import geopandas as gpd
import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from pipelines import grid as cell_grid
from pipelines.forecast.risk import rolling
from pipelines.forecast.risk.boosting import MIN_HISTORY_DAYS, WINDOW_DAYS
from pipelines.forecast.risk.history import ALWAYS, EPOCH, Grid, History, day_number, history
from pipelines.forecast.risk.models import BOOSTING
from pipelines.forecast.risk.pooling import Scored, pool
from pipelines.forecast.risk.selection import cells_within
from pipelines.forecast.risk.stack import expected, order

ALL: Final = "all"
"""The category of points that have none."""

TRIALS: Final = 12
"""Windows before the first forecast on which the stack is chosen."""
THREADS: Final = 2

Progress = Callable[[int, int], None]


def silent(_done: int, _all: int) -> None:
    """No progress is shown."""


class PointsError(ValueError):
    """The points or the boundary cannot be used as given; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Task:
    """Where and how fine: the CRS of the points, the boundary file, the side of a cell, the area to select."""

    crs: str
    boundary: Path
    cell_metres: float
    area_km2: float


@dataclass(frozen=True, slots=True)
class Risk:
    """A forecast: ``cell_id, category, expected, rank, is_selected, geometry`` (WKB in ``crs``), one row per cell."""

    frame: pl.DataFrame
    crs: str


@dataclass(frozen=True, slots=True)
class Place:
    """The cells over a boundary, and the points put into them."""

    cells: pl.DataFrame
    history: History
    selected: int
    cell_share: float
    crs: str
    last_day: int


def predict_points(points: pl.DataFrame, task: Task, start: date, days: int, progress: Progress = silent) -> Risk:
    """Forecast the expected count per cell from ``start`` on, from points before ``start``.

    The stack is chosen on the windows of the same length just before, as far as the points reach back.

    Args:
        points: ``occurred_at`` (or ``occ_date``), ``x, y`` in the task's CRS (or ``lon, lat``), optional ``category``.
        task: Where and how fine.
        start: First day of the forecast; later points are not looked at.
        days: How many days.
        progress: Told the number of windows done and of all.

    Raises:
        PointsError: a column is missing, nothing lies inside the boundary before ``start``, or the area is too small.
    """
    day = day_number(start)
    there = place(points, task, day)
    past = there.history
    seen = past.seen(day)
    known = [category for category in past.events if seen.events[category].cell.size]
    if not known:
        raise PointsError(f"no point lies inside the boundary before {start}: check --crs, --boundary and --start")
    windows = _before(past, day, days, TRIALS)
    note = _counter(progress, len(known) * (len(windows) + 1))

    def ranked(category: str) -> pl.DataFrame:
        backtest, _, _ = rolling.run(past, category, windows, (there.selected,), note)
        rates = backtest.rates(day)
        best = order(backtest.placed(day, rates), backtest.choice(day, there.selected))
        level = seen.rate(category, day, rolling.LEVEL_HALF_LIFE_DAYS)
        rank = pl.Series("rank", range(1, best.size + 1), pl.Int64)
        note()
        return there.cells[best].select(
            "cell_id",
            pl.lit(category).alias("category"),
            pl.Series("expected", expected(best, rates[BOOSTING], level)[best] * days),
            rank,
            (rank <= there.selected).alias("is_selected"),
            "geometry",
        )

    with ThreadPoolExecutor(THREADS) as workers:
        frames = list(workers.map(ranked, known))
    return Risk(pl.concat(frames), there.crs)


def backtest_points(
    points: pl.DataFrame, task: Task, start: date, days: int, origins: int, step: int, progress: Progress = silent
) -> Scored:
    """Score every model and the stack on windows that begin at ``start`` and every ``step`` days before it.

    Args:
        points: As ``predict_points``; they must reach to the end of the last window.
        task: Where and how fine.
        start: First day of the last window.
        days: Length of a window.
        origins: How many windows are scored. As many as `TRIALS` before them are tried for the stack to choose on.
        step: Days between their starts.
        progress: Told the number of windows done and of all.

    Returns:
        Each window by its ``origin_date``, and all pooled.
    """
    last = day_number(start)
    there = place(points, task, last)
    if there.last_day + 1 < last + days:
        known = EPOCH + timedelta(days=there.last_day)
        raise PointsError(f"the points end on {known}, within the last window: give an earlier --start or fewer --days")
    starts = [last - step * i for i in range(origins - 1, -1, -1)]
    return scored(there.history, [(day, days) for day in starts if day > there.history.first_day], (there.selected,),
                  there.cell_share, progress)  # fmt: skip


def scored(
    past: History,
    windows: Sequence[tuple[int, int]],
    depths: Sequence[int],
    cell_share: float,
    progress: Progress = silent,
) -> Scored:
    """Score every model and the stack on windows (first day, days), each also with some before it to choose on.

    As `backtest_points`; the first of ``depths`` is followed over all cells, ``cell_share`` is a cell's share of the
    area.
    """
    if not windows:
        raise PointsError("the points begin after the first window: give a later --start or fewer --origins")
    first, days = min(windows)
    earlier = _before(past, first, days, TRIALS)
    note = _counter(progress, len(past.events) * (len(windows) + len(earlier)))
    every = [*earlier, *windows]
    with ThreadPoolExecutor(THREADS) as workers:
        made = list(workers.map(lambda category: rolling.run(past, category, every, depths, note)[:2], past.events))
    found = pool(made, cell_share, first)
    dated = (pl.lit(EPOCH) + pl.duration(days=pl.col("origin_day"))).cast(pl.Date).alias("origin_date")
    return found._replace(windows=found.windows.select(dated, pl.exclude("origin_day")))


def _before(past: History, first: int, days: int, most: int) -> list[tuple[int, int]]:
    """Windows of so many days that end where ``first`` begins, as far as there is a history before them."""
    starts = (first - days * back for back in range(most, 0, -1))
    return [(start, days) for start in starts if start - past.first_day >= MIN_HISTORY_DAYS + WINDOW_DAYS]


def _counter(progress: Progress, total: int) -> Callable[[], None]:
    done = itertools.count(1)
    return lambda: progress(next(done), total)


def save(risk: Risk, path: Path) -> None:
    """Write a forecast as GeoParquet or, in WGS84 as that format wants, as GeoJSON."""
    data = risk.frame.drop("geometry").to_pandas()
    frame = gpd.GeoDataFrame(data, geometry=shapely.from_wkb(risk.frame["geometry"].to_numpy()), crs=risk.crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix in (".geojson", ".json"):
        frame.to_crs(4326).to_file(path, driver="GeoJSON", index=False)
    else:
        raise PointsError(f"cannot write {path.name}: end the name in .parquet or .geojson")


def place(points: pl.DataFrame, task: Task, start: int) -> Place:
    """Lay a grid over a boundary and put the points into it; ``start`` is the day that nothing is concluded from.

    Raises:
        PointsError: a column is missing, no point lies inside, or the area is less than a cell.
    """
    if task.cell_metres <= 0 or task.area_km2 <= 0:
        raise PointsError("--cell and --area-km2 must be above 0")
    outline = gpd.read_file(task.boundary)
    if outline.crs is None:
        raise PointsError(f"{task.boundary} has no CRS: add its .prj, or use GeoJSON or GeoPackage")
    crs = CRS.from_user_input(task.crs)
    if not crs.is_projected:
        crs = CRS.from_user_input(outline.to_crs(4326).estimate_utm_crs())
    boundary = shapely.make_valid(outline.to_crs(crs).union_all())
    unit = float(crs.axis_info[0].unit_conversion_factor)
    side = task.cell_metres / unit
    corners = _cells(boundary, side, unit)
    x, y = _coordinates(points, task.crs, crs)
    located = (
        _days(points)
        .with_columns(pl.Series("x", x), pl.Series("y", y))
        .filter(pl.col("x").is_finite() & pl.col("y").is_finite())
    )
    placed = located.with_columns(
        (pl.col(axis) / side).floor().cast(pl.Int64).alias(name) for axis, name in (("x", "column"), ("y", "row"))
    ).join(corners.select("column", "row").with_row_index("cell"), on=["column", "row"])
    if placed.is_empty():
        raise PointsError("no point lies inside the boundary: check --crs and --boundary")
    selected = cells_within(task.area_km2, task.cell_metres**2)
    if selected < 1:
        raise PointsError(f"--area-km2 {task.area_km2} is less than one cell of {task.cell_metres:g} m")
    boxes = shapely.box(
        *(corners[name].to_numpy() * side for name in ("column", "row")),
        *((corners[name].to_numpy() + 1) * side for name in ("column", "row")),
    )
    cells = corners.with_columns(
        pl.Series("cell_id", _codes(corners, task.cell_metres, unit)),
        pl.Series("geometry", shapely.to_wkb(boxes).tolist(), dtype=pl.Binary),
    )
    share = task.cell_metres**2 / (boundary.area * unit**2)
    grid = Grid.of(corners["column"].to_numpy(), corners["row"].to_numpy(), 1, task.cell_metres)
    states = placed.select("category", "cell", "day", known_from=pl.col("day") + 1, known_until=pl.lit(ALWAYS))
    last = int(located["day"].max())  # type: ignore[arg-type]
    return Place(cells, history(grid, states, start), selected, share, crs.to_string(), last)


def _cells(boundary: shapely.Geometry, side: float, unit: float) -> pl.DataFrame:
    """Columns and rows, counted in sides from the CRS's origin, of the cells that touch the boundary."""
    west, south, east, north = boundary.bounds
    columns = np.arange(math.floor(west / side), math.floor(east / side) + 1)
    rows = np.arange(math.floor(south / side), math.floor(north / side) + 1)
    if columns.size * rows.size > 20_000_000:
        raise PointsError(f"the boundary holds over 20 million cells of {side * unit:g} m: give a larger --cell")
    column, row = (axis.ravel() for axis in np.meshgrid(columns, rows))
    shapely.prepare(boundary)
    touching = shapely.intersects(
        boundary, shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
    )
    return pl.DataFrame({"column": column[touching], "row": row[touching]}).cast(pl.Int64).sort("column", "row")


def _codes(corners: pl.DataFrame, cell_metres: float, unit: float) -> pl.Series:
    """INSPIRE codes where the grid is metric and whole; else the count of sides from the CRS's origin, marked ``#``."""
    if unit == 1 and cell_metres == int(cell_metres):
        side = int(cell_metres)
        x, y = ((pl.col(name) * side).cast(pl.Float64) for name in ("column", "row"))
        return corners.select(cell_grid.cell_expr("inspire", side, x, y)).to_series()
    return corners.select(pl.format(f"{cell_metres:g}m#N{{}}E{{}}", "row", "column")).to_series()


def _coordinates(points: pl.DataFrame, given: str, grid: CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if {"x", "y"} <= set(points.columns):
        names, source = ("x", "y"), CRS.from_user_input(given)
    elif {"lon", "lat"} <= set(points.columns):
        names, source = ("lon", "lat"), CRS.from_epsg(4326)
    else:
        raise PointsError("the points lack coordinates; give x and y in --crs, or lon and lat")
    x, y = (points[name].cast(pl.Float64).fill_null(math.nan).to_numpy() for name in names)
    if source == grid:
        return x, y
    easting, northing = Transformer.from_crs(source, grid, always_xy=True).transform(x, y)
    return np.asarray(easting), np.asarray(northing)


def _days(points: pl.DataFrame) -> pl.DataFrame:
    """``day`` (number) and ``category`` of every point."""
    name = next((name for name in ("occurred_at", "occ_date") if name in points.columns), None)
    if name is None:
        raise PointsError("the points lack a time; give occurred_at or occ_date")
    when = pl.col(name).str.to_datetime(strict=False) if points.schema[name] == pl.String else pl.col(name)
    category = pl.col("category").cast(pl.String).fill_null(ALL) if "category" in points.columns else pl.lit(ALL)
    days = points.select(when.cast(pl.Date).cast(pl.Int32).cast(pl.Int64).alias("day"), category.alias("category"))
    if days["day"].null_count():
        raise PointsError(f"{name} is empty or unreadable in {days['day'].null_count()} points; mend or remove them")
    return days


__all__ = ["ALL", "PointsError", "Risk", "Task", "backtest_points", "predict_points", "save"]
