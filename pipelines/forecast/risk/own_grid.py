"""Your own points assigned to a grid over a boundary.

The grid uses the CRS of the points if that is projected, with the side converted from metres into the CRS's unit (such
as feet), otherwise the local UTM zone. All cells that touch the boundary belong to it; of points, those inside it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import geopandas as gpd
import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer
from pyproj.exceptions import CRSError

from pipelines.areas import grid as cell_grid
from pipelines.config.errors import BongsuError
from pipelines.config.progress import Progress, silent
from pipelines.forecast.risk.history import ALWAYS, Grid, History, history
from pipelines.forecast.risk.ranking import cells_within
from pipelines.quality import outages

COLUMNS: Final = ("occurred_at", "occ_date", "x", "y", "lon", "lat", "category")
ALL: Final = "all"
"""The category of points without a category column."""
EMPTY: Final = ("", "na", "n/a", "nan", "null", "none", "redacted", "-")
"""Text in place of a coordinate, in lower case, that means that there is none."""
PILE, PILE_SHARE = 30, 0.1
"""Points at one place, and their share, from which a default of the geocoder is probable."""
MOST_DISTORTION: Final = 0.01
"""Largest error of lengths in the grid's CRS."""
UNKNOWN: Final = "unknown"
"""The category of points with an empty one."""
DAY: Final = r"^(\d{4}-\d{2}-\d{2}|\d{4}/\d{2}/\d{2}|\d{4}\.\d{2}\.\d{2}|\d{8})(?:[T ]|$)"
"""How text must begin to be read as a date: year, month, day. The month in 03/04/2020 is ambiguous."""


class PointsError(BongsuError, ValueError):
    """Report that the points or the boundary cannot be used as given; the message states what to change."""


@dataclass(frozen=True, slots=True)
class Task:
    """Location and resolution: the CRS of the points, the boundary file, the side of a cell, the area to select."""

    crs: str
    boundary: Path
    cell_metres: float
    area_km2: float


@dataclass(frozen=True, slots=True)
class Place:
    """The cells over a boundary, and the points assigned to them."""

    cells: pl.DataFrame
    history: History
    selected: int
    cell_share: float
    crs: str
    last_day: int


def place(points: pl.DataFrame, task: Task, until: int, note: Progress = silent) -> Place:
    """Build a grid over a boundary and assign the points inside it to its cells.

    Args:
        points: ``occurred_at`` (or ``occ_date``), ``x, y`` in the task's CRS (or ``lon, lat``), optional ``category``.
        task: Location and resolution.
        until: The first day that no forecast reads: what is unknown is found from the points before it.
        note: Called with the number of points outside.

    Raises:
        PointsError: A column is missing or unreadable, no point is inside, or the area is less than a cell.
    """
    if not (math.isfinite(task.cell_metres) and task.cell_metres > 0 and task.area_km2 > 0):
        raise PointsError("--cell and --area-km2 must be above 0")
    selected = cells_within(task.area_km2, task.cell_metres**2)
    if selected < 1:
        raise PointsError(f"--area-km2 {task.area_km2} is less than one cell of {task.cell_metres:g} m")
    outline, crs = _outline(task)
    unit = float(crs.axis_info[0].unit_conversion_factor)
    side = task.cell_metres / unit
    corners = _corners(outline, side, unit)
    inside = _inside(points, task, outline, crs, note)
    placed = inside.with_columns(
        (pl.col(axis) / side).floor().cast(pl.Int64).alias(name) for axis, name in (("x", "column"), ("y", "row"))
    ).join(corners.select("column", "row").with_row_index("cell"), on=["column", "row"])
    states = placed.select("category", "cell", "day", known_from=pl.col("day") + 1, known_until=pl.lit(ALWAYS))
    last_day = int(inside["day"].max())  # type: ignore[arg-type]
    return Place(
        cells=corners.with_columns(
            pl.Series("cell_id", _codes(corners, task.cell_metres, unit)),
            pl.Series("geometry", _boxes(corners, side), dtype=pl.Binary),
        ),
        history=history(
            Grid.of(corners["column"].to_numpy(), corners["row"].to_numpy(), 1, task.cell_metres),
            states,
            _gaps(inside.filter(pl.col("day") < until)),
            until,
        ),
        selected=selected,
        cell_share=task.cell_metres**2 / (outline.area * unit**2),
        crs=crs.to_string(),
        last_day=last_day,
    )


def _gaps(inside: pl.DataFrame) -> pl.DataFrame:
    """Return the days on which the points as a whole are unknown, of every category, for `history`."""
    gaps = outages.gaps_of_days(inside["day"].to_numpy())
    spans = pl.DataFrame(gaps, schema={"from_day": pl.Int64, "until_day": pl.Int64}, orient="row")
    return inside.select("category").unique().join(spans, how="cross")


def _outline(task: Task) -> tuple[shapely.Geometry, CRS]:
    """Return the boundary as one shape, and the CRS of the grid, in which it is given."""
    outline = _boundary(task.boundary)
    crs = _crs(task.crs)
    if not crs.is_projected:
        crs = CRS.from_user_input(outline.to_crs(4326).estimate_utm_crs())
    shape = shapely.make_valid(outline.to_crs(crs).union_all())
    if not shape.area:
        raise PointsError(f"{task.boundary} holds no polygon, but {outline.geom_type[0]}: give the outline of an area")
    _check_scale(task.crs, crs, shape)
    return shape, crs


def _boundary(path: Path) -> gpd.GeoDataFrame:
    if not path.exists():
        raise PointsError(f"the boundary {path} does not exist")
    try:
        outline = gpd.read_parquet(path) if path.suffix.lower() in (".parquet", ".geoparquet") else gpd.read_file(path)
    except Exception as error:  # Each format's library has its own errors.
        reason = str(error).splitlines()[0]
        raise PointsError(f"the boundary {path} cannot be read as a map layer ({reason})") from error
    if outline.crs is None:
        raise PointsError(f"{path} has no CRS: add its .prj, or use GeoJSON or GeoPackage")
    if outline.empty:
        raise PointsError(f"{path} has no feature: give the outline of an area")
    return outline


def _crs(name: str) -> CRS:
    try:
        return CRS.from_user_input(name)
    except CRSError:
        raise PointsError(f"--crs {name} is not a known CRS: give its EPSG code, such as EPSG:4326") from None


def _check_scale(name: str, crs: CRS, shape: shapely.Geometry) -> None:
    """Refuse a CRS of another region, and one in which a metre is not a metre in the place, such as Web Mercator."""
    lon, lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(shape.centroid.x, shape.centroid.y)
    region = crs.area_of_use
    if region and not (region.west <= lon <= region.east and region.south <= lat <= region.north):
        raise PointsError(f"--crs {name} is for {region.name}, but the boundary is at {lat:.2f}, {lon:.2f}: check both")
    factors = Proj(crs).get_factors(lon, lat)
    scales = (factors.meridional_scale, factors.parallel_scale)
    if max(abs(scale - 1) for scale in scales) > MOST_DISTORTION:
        raise PointsError(
            f"--crs {name}: 100 m in it are {100 / max(scales):.0f} m in the place, so cells would have another size; "
            "use the place's own grid or UTM zone, or give lon and lat"
        )


def _inside(points: pl.DataFrame, task: Task, outline: shapely.Geometry, crs: CRS, note: Progress) -> pl.DataFrame:
    """Return ``day, category, x, y`` of the points inside the boundary, including its edge."""
    days = _days(points)
    x, y = _coordinates(points, task.crs, crs)
    shapely.prepare(outline)
    is_inside = shapely.intersects_xy(outline, x, y)
    outside = points.height - int(is_inside.sum())
    if outside == points.height:
        raise PointsError(f"none of {outside} points is inside the boundary: check --crs and --boundary")
    if outside:
        note(f"{outside} of {points.height} points are outside the boundary, or have no coordinates, and are left out")
    inside = days.with_columns(pl.Series("x", x), pl.Series("y", y)).filter(pl.Series(is_inside))
    pile = inside.group_by("x", "y").len().sort("len", "x", "y", descending=[True, False, False]).row(0, named=True)
    if pile["len"] >= max(PILE, PILE_SHARE * inside.height):
        place_of = f"({pile['x']:.0f}, {pile['y']:.0f})"
        note(
            f"{pile['len']} of {inside.height} points are at one place {place_of}: check whether the geocoder "
            "puts there what it cannot find"
        )
    return inside


def _corners(boundary: shapely.Geometry, side: float, unit: float) -> pl.DataFrame:
    """Return columns and rows, in sides from the CRS's origin, of the cells that touch the boundary."""
    west, south, east, north = boundary.bounds
    columns = np.arange(math.floor(west / side), math.floor(east / side) + 1)
    rows = np.arange(math.floor(south / side), math.floor(north / side) + 1)
    if columns.size * rows.size > 20_000_000:
        raise PointsError(f"the boundary has over 20 million cells of {side * unit:g} m: use a larger --cell")
    column, row = (axis.ravel() for axis in np.meshgrid(columns, rows))
    shapely.prepare(boundary)
    touching = shapely.intersects(
        boundary, shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
    )
    return pl.DataFrame({"column": column[touching], "row": row[touching]}).cast(pl.Int64).sort("column", "row")


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


def _coordinates(points: pl.DataFrame, crs: str, grid: CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if {"x", "y"} <= set(points.columns):
        names, source = ("x", "y"), _crs(crs)
    elif {"lon", "lat"} <= set(points.columns):
        names, source = ("lon", "lat"), CRS.from_epsg(4326)
    else:
        raise PointsError("the points lack coordinates; give x and y in --crs, or lon and lat")
    x, y = (_number(points, name) for name in names)
    if source == grid:
        return x, y
    easting, northing = Transformer.from_crs(source, grid, always_xy=True).transform(x, y)
    return np.asarray(easting), np.asarray(northing)


def _number(points: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column of coordinates, NaN where it is empty."""
    text = points[name].cast(pl.String).str.strip_chars()
    values = text.cast(pl.Float64, strict=False)
    is_empty = text.is_null() | text.str.to_lowercase().is_in(EMPTY)
    if (wrong := points.with_row_index("row", offset=1).filter(values.is_null() & ~is_empty)).height:
        row = wrong.row(0, named=True)
        raise PointsError(f"row {row['row']}: {name} {row[name]!r} is not a number ({wrong.height} such rows)")
    return values.fill_null(math.nan).to_numpy()


def _days(points: pl.DataFrame) -> pl.DataFrame:
    """Return ``day`` (number) and ``category`` of every point; a time counts on its own local date."""
    name = next((name for name in ("occurred_at", "occ_date") if name in points.columns), None)
    if name is None:
        raise PointsError("the points lack a time; give occurred_at or occ_date")
    if points.schema[name].is_temporal():
        day = pl.col(name).dt.date() if isinstance(points.schema[name], pl.Datetime) else pl.col(name).cast(pl.Date)
    else:
        written = pl.col(name).cast(pl.String).str.extract(DAY).str.replace_all("[-/.]", "")
        day = written.str.to_date("%Y%m%d", strict=False)
    days = points.select(day.cast(pl.Int32).cast(pl.Int64).alias("day"), _category(points))
    if unread := days["day"].null_count():
        row = points.with_row_index("row", offset=1).filter(days["day"].is_null()).row(0, named=True)
        raise PointsError(
            f"{name} is empty or unreadable in {unread} points (first: {row[name]!r} in row {row['row']}); write days "
            "as YYYY-MM-DD and times as YYYY-MM-DDThh:mm, or remove these points"
        )
    return days


def _category(points: pl.DataFrame) -> pl.Expr:
    if "category" not in points.columns:
        return pl.lit(ALL).alias("category")
    text = pl.col("category").cast(pl.String)
    return pl.when(text.str.strip_chars() == "").then(None).otherwise(text).fill_null(UNKNOWN).alias("category")
