"""The boundary of your own points: read, brought into the CRS of the grid, checked for its size; points inside it."""

import math
from pathlib import Path
from typing import Final

import geopandas as gpd
import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer

from pipelines.config.progress import Progress
from pipelines.feeds.protocols import map_layers
from pipelines.forecast.risk import point_columns, point_notes
from pipelines.forecast.risk.point_columns import PointsError

MOST_CELLS: Final = 500_000
"""Cells that the models are run on: they need up to 4 GB of memory for as many."""
MOST_SPREAD: Final = 20_000_000
"""Cells of the box around a boundary, which the models' rasters cover."""
MOST_FORECASTS: Final = 5_000_000
"""Cells times categories: rows of a forecast, all in memory."""
HALF_WAY: Final = 180
"""Degrees of longitude that no place is wide."""
MOST_DISTORTION: Final = 0.01
"""Largest error of lengths in the grid's CRS."""


def outline_of(path: Path, crs_name: str) -> tuple[shapely.Geometry, CRS]:
    """Return the boundary as one shape, and the CRS of the grid, in which it is given.

    Args:
        path: A layer of polygons.
        crs_name: The CRS of the points, which the grid uses if it is projected; otherwise it uses the local UTM zone.

    Raises:
        PointsError: The layer or the CRS cannot be read, or the CRS is of another region or distorts lengths.
    """
    outline = _boundary(path)
    crs = point_columns.crs_of(crs_name)
    if not crs.is_projected:
        west, _, east, _ = outline.to_crs(4326).total_bounds
        if east - west > HALF_WAY:
            raise PointsError(
                f"{path} reaches around the globe or crosses the 180th meridian, which no UTM zone covers: "
                "give x and y in the place's own projection, with its --crs"
            )
        crs = CRS.from_user_input(outline.to_crs(4326).estimate_utm_crs())
    shape = shapely.make_valid(outline.to_crs(crs).union_all())
    if not np.isfinite(shape.bounds).all():
        raise PointsError(f"{path} reaches beyond the area of {crs.name}: check its CRS and --crs")
    _check_scale(crs_name, crs, shape)
    return shape, crs


def _boundary(path: Path) -> gpd.GeoDataFrame:
    try:
        return map_layers.read(path, f"the boundary {path}")
    except map_layers.LayerError as error:
        raise PointsError(str(error)) from None


def _check_scale(name: str, crs: CRS, shape: shapely.Geometry) -> None:
    """Refuse a CRS of another region, and one in which a metre is not a metre in the place, such as Web Mercator."""
    lon, lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(shape.centroid.x, shape.centroid.y)
    region = crs.area_of_use
    if region and not _is_in(region.bounds, lon, lat):
        advice = (
            "its axes seem to be swapped; export it with longitude first"
            if _is_in(region.bounds, lat, lon)
            else "check both"
        )
        raise PointsError(
            f"--crs {name} is for {region.name.removesuffix('.')}, but the boundary is at longitude {lon:.2f}, "
            f"latitude {lat:.2f}: {advice}"
        )
    factors = Proj(crs).get_factors(lon, lat)
    scales = (factors.meridional_scale, factors.parallel_scale)
    if max(abs(scale - 1) for scale in scales) > MOST_DISTORTION:
        raise PointsError(
            f"--crs {name}: 100 m in it are {100 / max(scales):.0f} m in the place, so cells would have another size; "
            "use the place's own grid or UTM zone, or give lon and lat"
        )


def _is_in(region: tuple[float, float, float, float], lon: float, lat: float) -> bool:
    """Return whether a place is from west, south to east, north, which may cross the 180th meridian."""
    west, south, east, north = region
    is_between = west <= lon <= east if west <= east else not east < lon < west
    return is_between and south <= lat <= north


def check_size(boundary: shapely.Geometry, side: float, unit: float, categories: int) -> None:
    """Refuse, before any cell is made, more cells than memory is planned for, and cells larger than the boundary.

    Raises:
        PointsError: The message gives the side of a cell that is possible.
    """
    if boundary.area < side**2:
        raise PointsError(
            f"a cell of {side * unit:g} m is larger than the boundary, which has {boundary.area * unit**2 / 1e6:.3g} "
            f"km²: use a --cell below {math.sqrt(boundary.area) * unit:.0f}"
        )
    west, south, east, north = boundary.bounds
    spread = (east - west) * (north - south)
    faults = (
        (boundary.area, MOST_CELLS, "the boundary has"),
        (boundary.area * categories, MOST_FORECASTS, f"the boundary with {categories:,} categories has"),
        (spread, MOST_SPREAD, "the box around the boundary has"),
    )
    for area, most, what in faults:
        if area > most * side**2:
            # Somewhat more than the exact side, because cells at the edge count whole.
            least = math.ceil(math.sqrt(area / most) * unit * 1.05)
            raise PointsError(
                f"{what} about {area / side**2:,.0f} cells of {side * unit:g} m, and memory is planned for {most:,}: "
                f"use --cell {least} or more, a smaller boundary or fewer categories"
            )


def points_inside(
    points: pl.DataFrame, crs_name: str, outline: shapely.Geometry, crs: CRS, note: Progress
) -> pl.DataFrame:
    """Return ``day, known_from, category, x, y`` (in the CRS of the grid) of the points inside the boundary.

    Args:
        points: As for `own_grid.place`.
        crs_name: The CRS of the points.
        outline: The boundary, the edge included.
        crs: The CRS of the grid.
        note: Called with the number of points outside, and with what may mislead.

    Raises:
        PointsError: A column is missing or unreadable, or no point is inside.
    """
    if points.is_empty():
        raise PointsError("there are no points: the file has no rows")
    days = point_columns.days(points)
    x, y = point_columns.coordinates(points, crs_name, crs)
    shapely.prepare(outline)
    is_inside = shapely.intersects_xy(outline, x, y)
    outside = points.height - int(is_inside.sum())
    if outside == points.height:
        raise PointsError(
            f"none of {outside} points is inside the boundary: {_why_outside(points, crs_name, outline, crs)}"
        )
    if outside:
        swapped = int((_swapped(points, crs_name, outline, crs) & ~is_inside).sum())
        note(
            f"{outside} of {points.height} points are outside the boundary, or have no coordinates, and are left out"
            + (f"; {swapped} would be inside with their coordinates swapped" if swapped else "")
        )
    inside = days.with_columns(pl.Series("x", x), pl.Series("y", y)).filter(pl.Series(is_inside))
    for text in point_notes.notes(points, inside):
        note(text)
    return inside


def _swapped(points: pl.DataFrame, crs_name: str, outline: shapely.Geometry, crs: CRS) -> NDArray[np.bool_]:
    """Return which points would be inside the boundary if their two coordinates were swapped."""
    first, second = point_columns.names(points)
    x, y = point_columns.coordinates(points.rename({first: second, second: first}), crs_name, crs)
    return np.asarray(shapely.intersects_xy(outline, x, y))


def _why_outside(points: pl.DataFrame, crs_name: str, outline: shapely.Geometry, crs: CRS) -> str:
    """Return where the points and the boundary are, and what to change so that they meet."""
    first, second = point_columns.names(points)
    x, y = (point_columns.numbers(points, name) for name in (first, second))
    is_given = np.isfinite(x) & np.isfinite(y)
    if not is_given.any():
        return f"all their {first} and {second} are empty"
    source = point_columns.source_crs(points, crs_name)
    edges = Transformer.from_crs(crs, source, always_xy=True).transform_bounds(*outline.bounds)
    west, south, east, north = (f"{edge:.7g}" for edge in edges)
    where = (
        f"the median of {first}, {second} is {np.median(x[is_given]):.7g}, {np.median(y[is_given]):.7g}, and the "
        f"boundary is from {west}, {south} to {east}, {north}"
    )
    if inside := int(_swapped(points, crs_name, outline, crs).sum()):
        return (
            f"{where}; with {first} and {second} swapped {inside} are inside: correct them, or the axes of the boundary"
        )
    return f"{where}; check --crs and --boundary"
