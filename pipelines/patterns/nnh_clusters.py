"""Nearest-neighbour hierarchical clusters: incidents nearer together than random points (CrimeStat's Nnh).

After Levine (CrimeStat IV, chapter 7). Points nearer than a threshold are grouped; the threshold is the mean distance
to the nearest neighbour that the same number of random points would have in the region's area A, minus t standard
errors, so that a share p of random means would be smaller still (Clark and Evans 1954):

    0.5 sqrt(A / N) - t(p) 0.26136 sqrt(A) / N

1. Count the points within the threshold of every point, itself included.
2. The point with the highest count becomes a seed; all points within the threshold of it that are in no cluster yet
   form its cluster, if they are at least ``MIN_POINTS``. (Ties go to the smaller easting, then northing; the counts of
   step 1 are not repeated as points are used up.)
3. Continue down to the points with fewer than ``MIN_POINTS`` around them. Other points stay without a cluster.
4. The mean centres of the clusters are points in turn: second-order clusters are formed from them by the same rule,
   with their own threshold and at least ``MIN_CLUSTERS`` of them. CrimeStat continues to higher orders; we stop at two.

Points moved to one junction are one place with a weight, so a junction may be a cluster alone. Outlines are convex
hulls, widened by 25 m, about a junction's width, so that a cluster at one place has an outline too. Finding a cluster
is not a significance test: people and streets are not random, so busy places cluster naturally. Levine tests by
simulation; here Gi* and the scan are the tests.
"""

from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.spatial import KDTree
from scipy.stats import norm

from pipelines.schema.dictionary import frame_schema

WINDOW_DAYS: Final = 365
MIN_POINTS: Final = 10
MIN_CLUSTERS: Final = 4
P_RANDOM: Final = 0.05
WIDENED_M: Final = 25.0
MAX_PAIRS: Final = 4_000_000
EDGE_M: Final = 500.0

SCHEMA: Final = frame_schema("patterns.nnh_clusters")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NONE: Final = -1


class _Order(NamedTuple):
    """Clusters of one order: the cluster of each place (``NONE`` if none), mean centres, and the threshold in
    metres.
    """

    of_place: Integers
    centres: Floats
    threshold: float


def nnh_clusters(points: pl.DataFrame, area_km2: float, crs: str, window_end: date) -> pl.DataFrame:
    """Find clusters of first and second order per category over the year before ``window_end``.

    Args:
        points: One row per incident: ``category, occurrence_date, x_m, y_m``.
        area_km2: Area of the region of the points.
        crs: The metric CRS of ``x_m`` and ``y_m``.
        window_end: The first local date excluded.

    Returns:
        ``patterns.nnh_clusters``, with ``SCHEMA``. ``nnh_cluster_id`` is the category, the order and a number, 1 having
        the most incidents; ``incidents`` of a second-order cluster are those of its first-order ones. ``lon, lat`` is
        the mean centre and ``geometry`` (WKB) the widened hull, EPSG:4326.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    inside = points.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left"))
    counted = inside.group_by("category", "x_m", "y_m").len("count").sort("category", "x_m", "y_m")
    frames = [
        _category(counted.filter(pl.col("category") == category), category, area_km2)
        for category in counted["category"].unique().sort()
    ]
    filled = [frame for frame in frames if not frame.is_empty()]
    if not filled:
        return pl.DataFrame(schema=SCHEMA)
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    whole = pl.concat(filled)
    lon, lat = back.transform(whole["x_m"].to_numpy(), whole["y_m"].to_numpy())
    outlines = shapely.segmentize(np.array(whole["outline"].to_list(), dtype=object), EDGE_M)
    moved = shapely.transform(outlines, back.transform, interleaved=False)
    return whole.with_columns(
        pl.lit(start).alias("window_start_date"),
        pl.lit(window_end).alias("window_end_date"),
        pl.Series("lon", lon),
        pl.Series("lat", lat),
        pl.Series("geometry", shapely.to_wkb(moved).tolist(), dtype=pl.Binary),
    ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def region_km2(areas: pl.DataFrame, crs: str) -> float:
    """Return the area of all districts of ``reference.areas`` in a metric CRS, km²."""
    districts = areas.filter((pl.col("hierarchy") == "admin") & (pl.col("area_level") == "district"))
    forward = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    shapes = np.array(shapely.from_wkb(districts["geometry"].to_list()), dtype=object)
    return float(shapely.area(shapely.transform(shapes, forward.transform, interleaved=False)).sum() / 1e6)


def threshold(points: float, area_km2: float, p: float = P_RANDOM) -> float:
    """Return the clustering threshold in metres; 0 if the random mean does not exceed its own error."""
    if points <= 0:
        return 0.0
    mean = 0.5 * np.sqrt(area_km2 * 1e6 / points)
    error = 0.26136 * np.sqrt(area_km2 * 1e6) / points
    return float(max(mean + norm.ppf(p) * error, 0.0))


def cluster(xy: Floats, weight: Floats, radius: float, least: float) -> Integers:
    """Return the cluster of each place: numbers from 0 in the order of their seeds, ``NONE`` without a cluster.

    Args:
        xy: Distinct places, two columns in metres, sorted by easting, then northing.
        weight: Incidents at each place.
        radius: Threshold in metres, inclusive.
        least: Minimum incidents of a cluster.
    """
    of_place = np.full(len(xy), NONE, dtype=np.int64)
    if not len(xy):
        return of_place
    tree = KDTree(xy)
    around = _around(tree, xy, weight, radius)
    seeds = np.argsort(-around, kind="stable")
    number = 0
    for seed in seeds[around[seeds] >= least]:
        if of_place[seed] != NONE:
            continue
        members = np.asarray(tree.query_ball_point(xy[seed], radius))
        members = members[of_place[members] == NONE]
        if weight[members].sum() >= least:
            of_place[members] = number
            number += 1
    return of_place


def _around(tree: Any, xy: Floats, weight: Floats, radius: float) -> Floats:
    """Count incidents within the radius of each place.

    In chunks of about ``MAX_PAIRS``: dense places have many pairs.
    """
    pairs_before = np.cumsum(tree.query_ball_point(xy, radius, return_length=True))
    chunks = np.split(xy, np.flatnonzero(np.diff(pairs_before // MAX_PAIRS)) + 1)
    counts = []
    for chunk in chunks:
        chunk_tree = KDTree(chunk)
        pairs = chunk_tree.sparse_distance_matrix(tree, radius, output_type="ndarray")
        counts.append(np.bincount(pairs["i"], weight[pairs["j"]], minlength=chunk_tree.n))
    return np.concatenate(counts)


def _category(places: pl.DataFrame, category: str, area_km2: float) -> pl.DataFrame:
    """Return both orders of one category's clusters, outlines and centres still in metres."""
    xy = places.select("x_m", "y_m").to_numpy().astype(float)
    weight = places["count"].to_numpy().astype(float)
    first = _ordered(xy, weight, weight, area_km2, MIN_POINTS)
    is_member = first.of_place != NONE
    incidents = np.bincount(first.of_place[is_member], weight[is_member])
    by_place = np.lexsort((first.centres[:, 1], first.centres[:, 0]))
    second = _ordered(
        first.centres[by_place], np.ones(by_place.size), incidents[by_place].astype(float), area_km2, MIN_CLUSTERS
    )
    parent = np.full(by_place.size, NONE, dtype=np.int64)
    parent[by_place] = second.of_place
    upper = np.where(is_member, parent[first.of_place], NONE) if by_place.size else first.of_place
    return pl.concat(
        [
            _rows(category, 1, first, first.of_place, xy, weight, area_km2).with_columns(
                parent_nnh_cluster_id=pl.Series(
                    [None if number == NONE else _name(category, 2, int(number)) for number in parent], dtype=pl.String
                ),
                first_order_clusters=pl.lit(None, pl.Int64),
            ),
            _rows(category, 2, second, upper, xy, weight, area_km2).with_columns(
                parent_nnh_cluster_id=pl.lit(None, pl.String),
                first_order_clusters=pl.Series(np.bincount(parent[parent != NONE], minlength=len(second.centres))),
            ),
        ]
    )


def _ordered(xy: Floats, weight: Floats, incidents: Floats, area_km2: float, least: int) -> _Order:
    """Return clusters numbered by their incidents, most first, with their mean centres by ``weight``."""
    radius = threshold(float(weight.sum()), area_km2)
    assigned = cluster(xy, weight, radius, least)
    is_member = assigned != NONE
    if not is_member.any():
        return _Order(assigned, np.empty((0, 2)), radius)
    total = np.bincount(assigned[is_member], incidents[is_member])
    number = np.empty(total.size, dtype=np.int64)
    number[np.argsort(-total, kind="stable")] = np.arange(total.size)
    of_place = np.where(is_member, number[assigned], NONE)
    sums = [np.bincount(of_place[is_member], weight[is_member] * axis[is_member]) for axis in xy.T]
    return _Order(
        of_place, np.column_stack(sums) / np.bincount(of_place[is_member], weight[is_member])[:, None], radius
    )


def _rows(
    category: str, order: int, level: _Order, of_place: Integers, xy: Floats, weight: Floats, area_km2: float
) -> pl.DataFrame:
    """Return one row per cluster; ``of_place`` is the cluster of each place of an incident."""
    members = np.flatnonzero(of_place != NONE)
    members = members[np.argsort(of_place[members], kind="stable")]
    number = of_place[members]
    count = len(level.centres)
    hulls = shapely.convex_hull(shapely.multipoints(shapely.points(xy[members]), indices=number))
    hulls = shapely.buffer(hulls, WIDENED_M, quad_segs=4)
    km2 = shapely.area(hulls) / 1e6
    incidents = np.bincount(number, weight[members], minlength=count)
    return pl.DataFrame(
        {
            "nnh_cluster_id": [_name(category, order, place) for place in range(count)],
            "category": [category] * count,
            "nnh_order": [order] * count,
            "incidents": incidents.astype(np.int64),
            "distinct_places": np.bincount(number, minlength=count),
            "nnh_threshold_m": np.full(count, level.threshold),
            "cluster_km2": km2,
            "incidents_per_km2": incidents / km2,
            "x_m": level.centres[:, 0],
            "y_m": level.centres[:, 1],
            "outline": pl.Series(list(hulls), dtype=pl.Object),
        },
        schema_overrides={"nnh_cluster_id": pl.String, "category": pl.String, "nnh_order": pl.Int64},
    )


def _name(category: str, order: int, number: int) -> str:
    return f"{category}-{order}-{number + 1}"
