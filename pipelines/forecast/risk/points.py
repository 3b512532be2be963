"""Risk on anybody's points: a grid over a boundary, the same model and baseline, no pipeline needed.

The grid lies in the CRS of the points if that is projected, its side turned from metres into the CRS's unit (feet,
say); else in the local UTM zone. All cells that touch the boundary belong to it.
"""

import math
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
from pipelines.forecast.risk import rolling, scoring
from pipelines.forecast.risk.models import BASELINE, MODEL, MODELS, Events, Grid
from pipelines.forecast.risk.selection import cells_within, ranks

ALL: Final = "all"
"""The category of points that have none."""

_EPOCH: Final = date(1970, 1, 1)


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
class _Place:
    """The cells over a boundary, and the points put into them."""

    cells: pl.DataFrame
    grid: Grid
    events: dict[str, Events]
    selected: int
    area_share: float
    crs: str
    last_day: int


def predict_points(points: pl.DataFrame, task: Task, start: date, days: int) -> Risk:
    """Forecast the expected count per cell from ``start`` on, from points before ``start``.

    Args:
        points: ``occurred_at`` (or ``occ_date``), ``x, y`` in the task's CRS (or ``lon, lat``), optional ``category``.
        task: Where and how fine.
        start: First day of the forecast; later points are not looked at.
        days: How many days.

    Raises:
        PointsError: a column is missing, nothing lies inside the boundary before ``start``, or the area is too small.
    """
    place = _place(points, task, (start - _EPOCH).days)
    day = (start - _EPOCH).days
    frames = []
    for category, events in place.events.items():
        if not len(events.before(day).cell):
            continue
        expected = MODELS[MODEL](events, place.grid, day) * days
        rank = ranks(expected, category, start.isoformat())
        frames.append(
            place.cells.select(
                "cell_id",
                pl.lit(category).alias("category"),
                pl.Series("expected", expected),
                pl.Series("rank", rank),
                pl.Series("is_selected", rank <= place.selected),
                "geometry",
            ).sort("rank")
        )
    if not frames:
        raise PointsError(f"no point lies inside the boundary before {start}: check --crs, --boundary and --start")
    return Risk(pl.concat(frames), place.crs)


def backtest_points(
    points: pl.DataFrame, task: Task, start: date, days: int, origins: int, step: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Score model and baseline on windows that begin at ``start`` and every ``step`` days before it.

    Args:
        points: As ``predict_points``; they must reach to the end of the last window.
        task: Where and how fine.
        start: First day of the last window.
        days: Length of a window.
        origins: How many windows.
        step: Days between their starts.

    Returns:
        Each window (``origin_date, category, model, is_baseline, area_share, incidents, hits, hit_rate, pai``) and all
        pooled (the same without ``origin_date``).
    """
    last = (start - _EPOCH).days
    place = _place(points, task, last)
    if place.last_day + 1 < last + days:
        known = _EPOCH + timedelta(days=place.last_day)
        raise PointsError(f"the points end on {known}, within the last window: give an earlier --start or fewer --days")
    starts = [last - step * i for i in range(origins - 1, -1, -1)]
    share = pl.lit(place.area_share).alias("area_share")
    windows = pl.concat(
        rolling.windows(
            events, place.grid, [day for day in starts if day > events.first_day], days, place.selected, category
        )
        for category, events in place.events.items()
    ).with_columns((pl.lit(_EPOCH) + pl.duration(days=pl.col("origin_day"))).cast(pl.Date).alias("origin_date"), share)
    by = ["category", "model", "is_baseline"]
    return scoring.score(windows, ["origin_date", *by]), scoring.score(windows, by)


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


def _place(points: pl.DataFrame, task: Task, start: int) -> _Place:
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
    share = selected * task.cell_metres**2 / (boundary.area * unit**2)
    first = int(placed.filter(pl.col("day") < start)["day"].quantile(0.01, "lower") or placed["day"].min() or 0)  # type: ignore[arg-type]
    grid = Grid.of(corners["column"].to_numpy(), corners["row"].to_numpy(), 1)
    return _Place(cells, grid, _events(placed, first), selected, share, crs.to_string(), int(located["day"].max()))  # type: ignore[arg-type]


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


def _events(placed: pl.DataFrame, first: int) -> dict[str, Events]:
    counted = placed.group_by("category", "cell", "day").len("incidents").sort("category", "day", "cell")
    return {
        str(key[0]): Events(
            frame["cell"].to_numpy().astype(np.int64),
            frame["day"].to_numpy(),
            frame["incidents"].to_numpy().astype(float),
            first,
        )
        for key, frame in counted.partition_by("category", as_dict=True, maintain_order=True).items()
    }


__all__ = ["ALL", "BASELINE", "PointsError", "Risk", "Task", "backtest_points", "predict_points", "save"]
