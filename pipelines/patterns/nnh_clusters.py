"""Nearest-neighbour hierarchical clusters: incidents that lie nearer together than random ones (CrimeStat's Nnh).

After Levine (CrimeStat IV, chapter 7). Points nearer than a threshold belong together; the threshold is the mean
distance to the nearest neighbour that the same number of random points would have in the region's area A, less t
standard errors, so that a share p of random means would be smaller still (Clark and Evans 1954):

    0.5 sqrt(A / N) - t(p) 0.26136 sqrt(A) / N

1. Every point counts the points within the threshold, itself included.
2. The point with most becomes a seed; all points within the threshold of it that no cluster has yet are its cluster,
   if they are at least ``MIN_POINTS``; else nothing is. (Ties go to the smaller easting, then northing; the counts of
   step 1 are not made again as points are used up.)
3. So on down to the points that have fewer than ``MIN_POINTS`` around them. Points without a cluster stay without.
4. The mean centres of the clusters are points in turn: second-order clusters are made of them by the same rule, with a
   threshold of their own and at least ``MIN_CLUSTERS`` of them. CrimeStat goes on to higher orders; we stop at two.

Points that were moved to one junction are one place with a weight, so a junction may be a cluster alone. Outlines are
convex hulls, widened by 25 m: about a junction's width, and a cluster at one place has an outline too. A cluster is no
test of one: people and streets are not random, so busy places cluster by nature. Levine tests by simulation; Gi* and
the scan are the tests here.
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
    """Clusters of one order: whose each place is (``NONE`` of nobody), mean centres, and the threshold in metres."""

    of_place: Integers
    centres: Floats
    threshold: float


def nnh_clusters(points: pl.DataFrame, area_km2: float, crs: str, window_end: date) -> pl.DataFrame:
    """Clusters of first and second order per category over the year before ``window_end``.

    Args:
        points: One row per incident: ``category, local_date, x_m, y_m``.
        area_km2: Area of the region that the points may lie in.
        crs: The metric CRS of ``x_m`` and ``y_m``.
        window_end: The first local date that no longer counts.

    Returns:
        ``patterns.nnh_clusters``, with ``SCHEMA``. ``nnh_cluster_id`` is the category, the order and a number, 1 having
        most incidents; ``incidents`` of a second-order cluster are those of its first-order ones. ``lon, lat`` is the
        mean centre and ``geometry`` (WKB) the widened hull, EPSG:4326.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    inside = points.filter(pl.col("local_date").is_between(start, window_end, closed="left"))
    counted = inside.group_by("category", "x_m", "y_m").len("count").sort("category", "x_m", "y_m")
    frames = [
        _category(counted.filter(pl.col("category") == category), category, area_km2)
        for category in counted["category"].unique().sort()
    ]
    found = [frame for frame in frames if not frame.is_empty()]
    if not found:
        return pl.DataFrame(schema=SCHEMA)
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    whole = pl.concat(found)
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
    """Area of all districts of ``reference.areas`` in a metric CRS, km²."""
    districts = areas.filter((pl.col("tree") == "admin") & (pl.col("level") == "district"))
    forward = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    shapes = np.array(shapely.from_wkb(districts["geometry"].to_list()), dtype=object)
    return float(shapely.area(shapely.transform(shapes, forward.transform, interleaved=False)).sum() / 1e6)


def threshold(points: float, area_km2: float, p: float = P_RANDOM) -> float:
    """Metres within which points belong together; 0 where the random mean is within its own error of nothing."""
    if points <= 0:
        return 0.0
    mean = 0.5 * np.sqrt(area_km2 * 1e6 / points)
    error = 0.26136 * np.sqrt(area_km2 * 1e6) / points
    return float(max(mean + norm.ppf(p) * error, 0.0))


def cluster(xy: Floats, weight: Floats, radius: float, least: float) -> Integers:
    """Whose cluster each place is: numbers from 0 in the order in which seeds were taken, ``NONE`` for nobody's.

    Args:
        xy: Distinct places, two columns in metres, sorted by easting, then northing.
        weight: Incidents at each place.
        radius: Threshold in metres, inclusive.
        least: Fewest incidents of a cluster.
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
    """Incidents within the radius of each place, in chunks of about ``MAX_PAIRS``: dense places have many pairs."""
    pairs_before = np.cumsum(tree.query_ball_point(xy, radius, return_length=True))
    chunks = np.split(xy, np.flatnonzero(np.diff(pairs_before // MAX_PAIRS)) + 1)
    found = []
    for chunk in chunks:
        here = KDTree(chunk)
        pairs = here.sparse_distance_matrix(tree, radius, output_type="ndarray")
        found.append(np.bincount(pairs["i"], weight[pairs["j"]], minlength=here.n))
    return np.concatenate(found)


def _category(places: pl.DataFrame, category: str, area_km2: float) -> pl.DataFrame:
    """Both orders of one category's clusters, outlines and centres still in metres."""
    xy = places.select("x_m", "y_m").to_numpy().astype(float)
    weight = places["count"].to_numpy().astype(float)
    first = _ordered(xy, weight, weight, area_km2, MIN_POINTS)
    held = first.of_place != NONE
    incidents = np.bincount(first.of_place[held], weight[held])
    by_place = np.lexsort((first.centres[:, 1], first.centres[:, 0]))
    second = _ordered(
        first.centres[by_place], np.ones(by_place.size), incidents[by_place].astype(float), area_km2, MIN_CLUSTERS
    )
    parent = np.full(by_place.size, NONE, dtype=np.int64)
    parent[by_place] = second.of_place
    upper = np.where(held, parent[first.of_place], NONE) if by_place.size else first.of_place
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
    """Clusters numbered by their incidents, most first, with their mean centres by ``weight``."""
    radius = threshold(float(weight.sum()), area_km2)
    made = cluster(xy, weight, radius, least)
    held = made != NONE
    if not held.any():
        return _Order(made, np.empty((0, 2)), radius)
    total = np.bincount(made[held], incidents[held])
    number = np.empty(total.size, dtype=np.int64)
    number[np.argsort(-total, kind="stable")] = np.arange(total.size)
    of_place = np.where(held, number[made], NONE)
    sums = [np.bincount(of_place[held], weight[held] * axis[held]) for axis in xy.T]
    return _Order(of_place, np.column_stack(sums) / np.bincount(of_place[held], weight[held])[:, None], radius)


def _rows(
    category: str, order: int, made: _Order, of_place: Integers, xy: Floats, weight: Floats, area_km2: float
) -> pl.DataFrame:
    """One row per cluster; ``of_place`` says which of them holds each place of an incident."""
    held = np.flatnonzero(of_place != NONE)
    held = held[np.argsort(of_place[held], kind="stable")]
    number = of_place[held]
    count = len(made.centres)
    hulls = shapely.convex_hull(shapely.multipoints(shapely.points(xy[held]), indices=number))
    hulls = shapely.buffer(hulls, WIDENED_M, quad_segs=4)
    km2 = shapely.area(hulls) / 1e6
    incidents = np.bincount(number, weight[held], minlength=count)
    return pl.DataFrame(
        {
            "nnh_cluster_id": [_name(category, order, place) for place in range(count)],
            "category": [category] * count,
            "nnh_order": [order] * count,
            "incidents": incidents.astype(np.int64),
            "distinct_places": np.bincount(number, minlength=count),
            "nnh_threshold_m": np.full(count, made.threshold),
            "cluster_km2": km2,
            "incidents_per_km2": incidents / km2,
            "x_m": made.centres[:, 0],
            "y_m": made.centres[:, 1],
            "outline": pl.Series(list(hulls), dtype=pl.Object),
        },
        schema_overrides={"nnh_cluster_id": pl.String, "category": pl.String, "nnh_order": pl.Int64},
    )


def _name(category: str, order: int, number: int) -> str:
    return f"{category}-{order}-{number + 1}"
