"""Risk of street segments from your own points, where crews follow streets rather than squares (Rosser et al. 2017).

Lines are clipped to the boundary, cut where they meet or cross, and into equal pieces of at most the longest length. An
incident belongs to the nearest segment; at a junction, in equal parts to all that meet there. The expectation of a
segment is its decayed count, shrunk to what spreads along the network from segments around it (a discrete network
kernel, as in Okabe, Satoh and Sugihara 2009). Segments are ranked by their count, equal ones by their expectation.
Length takes the role of area.
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
from pipelines.forecast.risk import own_boundary, own_grid, own_history, own_points
from pipelines.forecast.risk.history import Floats, Grid, History, Ints, day_number
from pipelines.forecast.risk.models.counts import HALF_LIFE_DAYS, decayed
from pipelines.forecast.risk.models.shrunk_count import level, posterior
from pipelines.forecast.risk.point_columns import PointsError
from pipelines.forecast.risk.ranking import ranks

Shapes = NDArray[Any]
Flags = NDArray[np.bool_]

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
METHOD: Final = "count; street segments, equal ones by the rate along the network"


@dataclass(frozen=True, slots=True)
class StreetTask:
    """Location and resolution: CRS of the points, boundary and line file, longest segment, total length to select."""

    crs: str
    boundary: Path
    streets: Path
    longest_metres: float
    length_km: float


@dataclass(frozen=True, slots=True)
class Streets:
    """Segments inside a boundary, and the points that are on one.

    ``metres``: length of each segment. ``along``: where a step takes the incidents of each. ``points``: ``cell`` (their
    position), ``category, day, known_from``; ``shares``: of each point (column) in each segment (row).
    """

    task: StreetTask
    segments: Shapes
    metres: Floats
    along: sparse.csr_array
    points: pl.DataFrame
    shares: sparse.csr_array
    crs: str

    def history(self, points: pl.DataFrame, until: int, note: Progress = silent) -> History:
        """Return some of the points as a history, each in a cell of its own; outages before its end are noted."""
        size = self.points.height
        return own_history.history_of(points, Grid.of(np.arange(size), np.zeros(size), 1), until, note)

    def seen(self, day: int) -> History:
        """Return what was known at a day, as if no later point existed."""
        return self.history(own_history.seen(self.points, day), day).seen(day)

    def listed(self, seen: History, category: str, day: int) -> tuple[Ints, Floats]:
        """Return all segments, best first, and incidents a day by segment, which sum to the level of the category.

        First are those with most whole incidents for their length: differences of less than one are not evidence (as in
        `shrunk_count`). Equal ones are ordered by expected incidents for their length, and by a draw.
        """
        days = seen.decayed_days(category, day, HALF_LIFE_DAYS)
        counted = self.shares @ (decayed(seen, category, day) * days)
        around = counted
        for _ in range(STEPS):
            around = self.along @ around
        around = (1 - EVEN) * around + EVEN * counted.sum() * self.metres / self.metres.sum()
        rate = posterior(counted, around / days, days)
        expected = np.asarray(rate * (level(seen, category, day) / rate.sum()))
        lengths = np.maximum(self.metres / self.task.longest_metres, SHORTEST)
        finer = ranks(expected / lengths, category, day)
        return np.lexsort((finer, -np.rint(counted / lengths))), expected

    def is_selected(self, order: Ints) -> Flags:
        """Return which of ranked segments fit into the total length to select."""
        return np.asarray(self.metres[order].cumsum() <= self.task.length_km * 1000 * (1 + 1e-9))


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
    streets = streets_of(points, task, note)
    day = day_number(start)
    past, last_day = streets.history(streets.points, day, note), int(streets.points["day"].max())  # type: ignore[arg-type]
    frames = []
    for category in own_points.check_known(past, day, last_day, note):
        order, expected = streets.listed(streets.seen(day), category, day)
        listed = {"segment": order, "expected": expected[order] * days, "is_selected": streets.is_selected(order)}
        frames.append(pl.DataFrame(listed).with_columns(category=pl.lit(category)).with_row_index("rank", 1))
        progress(f"{category}: {order.size} segments")
    listed_all = pl.concat(frames).with_columns(
        pl.col("rank").cast(pl.Int64),
        pl.lit(METHOD).alias("ranking_method"),
        *(pl.lit(None, pl.Float64).alias(name) for name in ("gain", "gain_low", "gain_high")),
    )
    shapes = pl.Series("geometry", shapely.to_wkb(streets.segments).tolist(), pl.Binary)
    places = pl.DataFrame([pl.Series("cell_id", _ids(streets.segments)), shapes])[listed_all["segment"]]
    columns = ("cell_id", "category", "expected", "rank", "is_selected", *own_points.HOW, "geometry")
    return own_points.Risk(listed_all.hstack(places).select(columns), streets.crs)


def streets_of(points: pl.DataFrame, task: StreetTask, note: Progress = silent) -> Streets:
    """Return the segments inside the boundary with the points on them; raises as `predict_streets`."""
    if not (own_grid.LEAST_CELL <= task.longest_metres <= own_grid.MOST_CELL and task.length_km > 0):
        raise PointsError(f"--cell must be {own_grid.LEAST_CELL} to {own_grid.MOST_CELL} metres, --length-km above 0")
    outline, crs = own_boundary.outline_of(task.boundary, task.crs)
    unit = float(crs.axis_info[0].unit_conversion_factor)
    inside = own_boundary.points_inside(points, task.crs, outline, crs, note)
    segments = _segments(_lines(task.streets, crs, outline, note), task.longest_metres / unit)
    metres = shapely.length(segments) * unit
    if metres.sum() <= task.length_km * 1000:
        note(
            f"--length-km {task.length_km:g} is enough for all {metres.sum() / 1000:.1f} km: every segment is selected"
        )
    shares, near = _snapped(segments, inside, unit)
    if missed := inside.height - near.height:
        note(f"{missed} of {inside.height} points are over {SNAP_METRES:g} m from every street and are left out")
    if near.is_empty():
        raise PointsError(f"no point is within {SNAP_METRES:g} m of a street: check {task.streets} and --crs")
    return Streets(
        task,
        segments,
        metres,
        _network(segments, NODE_METRES / unit),
        near.with_row_index("cell"),
        shares,
        crs.to_string(),
    )


def _lines(path: Path, crs: CRS, outline: shapely.Geometry, note: Progress) -> Shapes:
    """Return the lines inside the boundary, in the CRS of the grid.

    Raises:
        PointsError: They cannot be read, or none is inside.
    """
    try:
        streets = map_layers.read_lines(path, f"the streets {path}", note)
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


def _ids(segments: Shapes) -> list[str]:
    """Return ids by the middle of each segment in the CRS, to the centimetre (or hundredth of a foot)."""
    middle = shapely.get_coordinates(shapely.line_interpolate_point(segments, 0.5, normalized=True))
    return [f"street@N{y:.2f}E{x:.2f}" for x, y in middle]
