"""Risk of street segments from your own points, where crews follow streets rather than squares (Rosser et al. 2017).

Lines are clipped to the boundary, cut where they meet or cross, and into equal pieces of at most the longest length. An
incident belongs to the nearest segment; at a junction, in equal parts to all that meet there. The expectation of a
segment is its decayed count, shrunk to what spreads along the network from segments around it (a discrete network
kernel, as in Okabe, Satoh and Sugihara 2009). Length takes the role of area.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from scipy import sparse
from shapely import ops

from pipelines.config.progress import Progress, silent
from pipelines.feeds.protocols import map_layers
from pipelines.forecast.risk import own_boundary, own_grid, own_points
from pipelines.forecast.risk.history import Floats, Grid, History, day_number
from pipelines.forecast.risk.models.counts import HALF_LIFE_DAYS, decayed
from pipelines.forecast.risk.models.shrunk_count import level, posterior
from pipelines.forecast.risk.point_columns import PointsError
from pipelines.forecast.risk.ranking import ranks

Shapes = NDArray[Any]

SNAP_METRES: Final = 50.0
"""Distance of a street from which a point belongs to none."""
STEPS: Final = 3
STAYS: Final = 0.5
"""Share of a segment's incidents that stays at each of `STEPS`; the rest goes to adjoining segments in equal parts."""
EVEN: Final = 0.1
"""Share that is spread over all segments by length, so that an incident in a new place is not impossible."""
SHORTEST: Final = 0.5
"""Share of the longest length that shorter segments are ranked with: a stub with one incident has no high rate."""
NODE_METRES: Final = 0.01
"""Ends that are nearer together are one node."""
METHOD: Final = "count; street segments, shrunk along the network"


@dataclass(frozen=True, slots=True)
class StreetTask:
    """Location and resolution: CRS of the points, boundary and line file, longest segment, total length to select."""

    crs: str
    boundary: Path
    streets: Path
    longest_metres: float
    length_km: float


def predict_streets(
    points: pl.DataFrame, task: StreetTask, start: date, days: int, progress: Progress = silent, note: Progress = silent
) -> own_points.Risk:
    """Forecast the expected count per street segment from ``start``, from points before ``start``.

    Args:
        points: As for `own_grid.place`.
        task: Location and resolution.
        start: First day of the forecast; later points are ignored.
        days: Number of days.
        progress: Called after each category.
        note: Called with what may mislead, such as the number of points without a street.

    Raises:
        PointsError: A column is missing, no point before ``start`` is near a street, no line is inside, or segments are
            too many.
    """
    own_points.check_span(days)
    if not (own_grid.LEAST_CELL <= task.longest_metres <= own_grid.MOST_CELL and task.length_km > 0):
        raise PointsError(f"--cell must be {own_grid.LEAST_CELL} to {own_grid.MOST_CELL} metres, --length-km above 0")
    outline, crs = own_boundary.outline_of(task.boundary, task.crs)
    unit = float(crs.axis_info[0].unit_conversion_factor)
    inside = own_grid.points_inside(points, task.crs, outline, crs, note)
    segments = _segments(_lines(task.streets, crs, outline), task.longest_metres / unit)
    shares, near = _snapped(segments, inside, unit)
    if missed := inside.height - near.height:
        note(f"{missed} of {inside.height} points are over {SNAP_METRES:g} m from every street and are left out")
    if near.is_empty():
        raise PointsError(f"no point is within {SNAP_METRES:g} m of a street: check {task.streets} and --crs")
    day = day_number(start)
    apart = Grid.of(np.arange(near.height), np.zeros(near.height), 1)
    past = own_grid.noted_history(near.with_row_index("cell"), apart, day, note)
    along, metres = _network(segments, NODE_METRES / unit), shapely.length(segments) * unit
    frames = []
    for category in own_points.check_known(past, day, int(near["day"].max()), note):  # type: ignore[arg-type]
        expected = _expected(past.seen(day), category, day, shares, along, metres)
        frames.append(_ranked(expected * days, metres, task, category, day))
        progress(f"{category}: {segments.size} segments")
    listed = pl.concat(frames)
    shapes = pl.Series("geometry", shapely.to_wkb(segments).tolist(), pl.Binary)
    places = pl.DataFrame([pl.Series("cell_id", _ids(segments)), shapes])[listed["segment"]]
    columns = ("cell_id", "category", "expected", "rank", "is_selected", *own_points.HOW, "geometry")
    return own_points.Risk(listed.hstack(places).select(columns), crs.to_string())


def _lines(path: Path, crs: CRS, outline: shapely.Geometry) -> Shapes:
    """Return the lines inside the boundary, in the CRS of the grid.

    Raises:
        PointsError: They cannot be read, or none is inside.
    """
    try:
        streets = map_layers.read_lines(path, f"the streets {path}")
    except map_layers.LayerError as error:
        raise PointsError(str(error)) from None
    clipped = shapely.get_parts(shapely.intersection(streets.to_crs(crs).geometry.to_numpy(), outline))
    lines = clipped[np.isin(shapely.get_type_id(clipped), (1, 5)) & ~shapely.is_empty(clipped)]
    if not lines.size:
        raise PointsError(f"no line of {path} is inside the boundary: check both and their CRS")
    return np.asarray(lines)


def _segments(lines: Shapes, longest: float) -> Shapes:
    """Return the lines cut where they meet or cross, and into equal pieces no longer than ``longest``.

    Raises:
        PointsError: The pieces are more than memory is planned for.
    """
    if (count := shapely.length(lines).sum() / longest) > own_boundary.MOST_CELLS:
        raise PointsError(
            f"the streets have {count:,.0f} segments of --cell, and memory is planned for {own_boundary.MOST_CELLS:,}: "
            "use a larger --cell"
        )
    cut = shapely.get_parts(shapely.line_merge(shapely.union_all(lines)))

    def pieces(line: shapely.Geometry) -> Iterator[shapely.Geometry]:
        count = int(np.ceil(line.length / longest - 1e-9))
        for piece in range(count):
            yield ops.substring(line, piece / count, (piece + 1) / count, normalized=True)

    return np.array([piece for line in cut for piece in pieces(line)])


def _snapped(segments: Shapes, inside: pl.DataFrame, unit: float) -> tuple[sparse.csr_array, pl.DataFrame]:
    """Return the share of each point (column) in each segment (row), and the points that have one."""
    at = shapely.points(inside["x"].to_numpy(), inside["y"].to_numpy())
    point, segment = shapely.STRtree(segments).query_nearest(at, max_distance=SNAP_METRES / unit)
    known, column = np.unique(point, return_inverse=True)
    share = 1 / np.bincount(column)[column]
    return sparse.csr_array((share, (segment, column)), shape=(segments.size, known.size)), inside[known]


def _network(segments: Shapes, tolerance: float) -> sparse.csr_array:
    """Return where one step takes a segment's (column) incidents: half stays, half goes to those that adjoin it."""
    ends = np.concatenate([shapely.get_coordinates(shapely.get_point(segments, end)) for end in (0, -1)])
    _, node = np.unique(np.rint(ends / tolerance), axis=0, return_inverse=True)
    segment = np.tile(np.arange(segments.size), 2)
    touches = sparse.csr_array((np.ones(node.size), (segment, node.ravel())))
    joined = (touches @ touches.T > 0).astype(float)
    joined.setdiag(0)
    degree = np.asarray(joined.sum(axis=0)).ravel()
    goes = np.where(degree > 0, 1 - STAYS, 0.0)
    return sparse.csr_array(joined @ sparse.diags_array(goes / np.maximum(degree, 1)) + sparse.diags_array(1 - goes))


def _expected(
    seen: History, category: str, day: int, shares: sparse.csr_array, along: sparse.csr_array, metres: Floats
) -> Floats:
    """Return incidents a day by segment; they sum to the level of the category."""
    days = seen.decayed_days(category, day, HALF_LIFE_DAYS)
    counted = shares @ (decayed(seen, category, day) * days)
    around = counted
    for _ in range(STEPS):
        around = along @ around
    around = (1 - EVEN) * around + EVEN * counted.sum() * metres / metres.sum()
    rate = posterior(counted, around / days, days)
    return np.asarray(rate * (level(seen, category, day) / rate.sum()))


def _ranked(expected: Floats, metres: Floats, task: StreetTask, category: str, day: int) -> pl.DataFrame:
    """Return the segments, best first: expected incidents by length, equal ones by a draw."""
    rank = ranks(expected / np.maximum(metres, SHORTEST * task.longest_metres), category, day)
    order = np.argsort(rank)
    is_selected = metres[order].cumsum() <= task.length_km * 1000 * (1 + 1e-9)
    listed = pl.DataFrame(
        {"segment": order, "expected": expected[order], "rank": rank[order], "is_selected": is_selected}
    )
    unknown = (pl.lit(None, pl.Float64).alias(name) for name in ("gain", "gain_low", "gain_high"))
    return listed.with_columns(pl.lit(category).alias("category"), pl.lit(METHOD).alias("ranking_method"), *unknown)


def _ids(segments: Shapes) -> list[str]:
    """Return ids by the middle of each segment in the CRS, to the centimetre (or hundredth of a foot)."""
    middle = shapely.get_coordinates(shapely.line_interpolate_point(segments, 0.5, normalized=True))
    return [f"street@N{y:.2f}E{x:.2f}" for x, y in middle]
