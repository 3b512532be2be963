"""Check a delivery's coordinates against its declared CRS: accept or reject them, never transform on a guess.

Police and fire systems of Korea use degrees, or metres in one of several systems: EPSG:5179 (unified, since 2010),
EPSG:5186 (central belt, since 2010), EPSG:5181 (the same belt, 100 km less northing), EPSG:5174 (that belt on the
Bessel ellipsoid, some 300 m off), KATEC (navigation devices; not in any register).

A feed in metres declares ``crs`` in its profile entry. Raw keeps the source's numbers, and its staging file converts
them to degrees; ``reference.feeds.crs`` is the definition for PROJ (KATEC written out)::

    st_transform(
        st_point(x, y), (select crs from reference.feeds where feed = 'fire_119'), 'EPSG:4326'
    ) as place  -- st_x(place) as lon, st_y(place) as lat

The national box is a coarse check: a central belt read as its predecessor is 100 km further north, one with swapped
axes in the sea, both perhaps still inside. So several systems may fit one delivery, and a wrong declaration among those
passes here; ``marts.place_checks`` then shows it, as points that are in no area or not in the named district.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import polars as pl
from pyproj import Transformer

from pipelines.config.profile import FeedSource
from pipelines.feeds.feed import Feed, FeedError

WGS84 = "EPSG:4326"

UNREGISTERED = {
    "KATEC": "+proj=tmerc +lat_0=38 +lon_0=128 +k=0.9999 +x_0=400000 +y_0=600000 +ellps=bessel "
    "+towgs84=-115.8,474.99,674.11,1.16,-2.31,-1.63,6.43 +units=m +no_defs",
}
"""Systems without a code, as PROJ reads them. KATEC uses the old Korean datum, shifted like EPSG:5174."""

METRIC = ("EPSG:5179", "EPSG:5186", "EPSG:5181", "EPSG:5174", "KATEC", "EPSG:3857")
"""Systems tried for a delivery in metres that does not fit, each with its axes in either order."""

MAX_DEGREES = 180.0
"""Numbers within it are degrees: as metres all points would be at the origin of some belt."""

MAX_STRAY_SHARE = 0.5
"""A wrong CRS moves every point, so if half of them are inside, the declaration is right and the rest single errors.

The suite handles those: it diverts them one by one, and rejects the batch if they exceed the feed's limit.
"""

MIN_STRAY = 3
"""One or two points outside are not a pattern, even if the batch has no others."""

MIN_FIT_SHARE = 0.98
"""Share of the points that must be inside under another CRS: all but the outliers of any delivery."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees, EPSG:4326."""


def definition(crs: str) -> str:
    """Return the definition that PROJ and ``st_transform`` read for a profile's CRS: a code, or KATEC written out."""
    return UNREGISTERED.get(crs, crs)


def check(frame: pl.DataFrame, feed: Feed, source: FeedSource, bounds: Bounds) -> None:
    """Check a parsed delivery's coordinates against the declared CRS and the country's box.

    Points that are missing, not finite, or 0 on an axis (a form filled in without a location) are ignored.

    Args:
        frame: Parsed rows; the two columns of ``feed.coordinate_columns`` are numbers or text.
        feed: If ``coordinate_columns`` is None, nothing is checked.
        source: ``crs`` is the declared CRS.
        bounds: The country's box in degrees.

    Raises:
        FeedError: Most points are outside. The message names every CRS under which they would be inside, with the
            middle of the delivery in it, and the line for the profile; or states that no known CRS fits.
    """
    if feed.coordinate_columns is None or frame.is_empty():
        return
    points = frame.select(
        pl.col(name).cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False).alias(axis)
        if frame.schema[name] == pl.String
        else pl.col(name).cast(pl.Float64).alias(axis)
        for axis, name in zip("xy", feed.coordinate_columns, strict=True)
    ).filter(pl.all_horizontal(pl.all().is_finite() & (pl.all() != 0)))
    west, south, east, north = _box(definition(source.crs), bounds)
    is_inside = pl.col("x").is_between(west, east) & pl.col("y").is_between(south, north)
    outside = points.height - int(points.select(is_inside.sum()).item())
    if outside >= MIN_STRAY and outside > MAX_STRAY_SHARE * points.height:
        raise FeedError(_diagnosis(points, outside, feed, source, bounds))


@cache
def _box(crs: str, bounds: Bounds) -> Bounds:
    """Return the country's box in the units of a CRS: never smaller than the country, slightly larger."""
    if crs == WGS84:
        return bounds
    return Transformer.from_crs(WGS84, crs, always_xy=True).transform_bounds(*bounds, densify_pts=101)


def _diagnosis(points: pl.DataFrame, outside: int, feed: Feed, source: FeedSource, bounds: Bounds) -> str:
    x, y = (points[axis].to_numpy() for axis in "xy")
    tried = _candidates(x, y, source.crs)
    fitting = list(_fitting(x, y, tried, bounds))
    what = (
        f"{feed.name}: {outside} of {points.height} points ({' and '.join(feed.coordinate_columns or ())}) are outside "
        "the country "
        f"as {source.crs}; the middle of the batch is x {np.median(x):.6g}, y {np.median(y):.6g}"
    )
    if not fitting and source.source_type:
        return (
            f"{what}. They fit no known CRS, in either order of axes: map the columns of [feeds.{feed.name}] in the "
            "profile that have longitude and latitude in degrees, and check the bounds of the place"
        )
    if not fitting:
        return (
            f"{what}. None of {', '.join(tried)} fits, in either order of axes: ask the source for its CRS and "
            f'set it as crs = "EPSG:..." in [feeds.{feed.name}] of the profile'
        )
    ways = [
        f'{crs} with its axes swapped (middle {middle}): crs = "{crs}", and exchange the two columns'
        if is_swapped
        else f'{crs} (middle {middle}): crs = "{crs}"'
        for crs, is_swapped, middle in fitting
    ]
    if source.source_type and not any(crs == WGS84 for crs, _, _ in fitting):
        # Tables of a source type are read in degrees only.
        named = " or ".join(crs for crs, _, _ in fitting)
        return f"{what}. They fit {named}: map the table's longitude and latitude, or its point, instead"
    which = "That fits" if len(ways) == 1 else f"{len(ways)} systems fit, so ask the source which one it uses:"
    return (
        f"{what}. {which} {'; or '.join(ways)}. Write that line into [feeds.{feed.name}] of the profile "
        "and load again; nothing was transformed"
    )


def _fitting(x: np.ndarray, y: np.ndarray, tried: tuple[str, ...], bounds: Bounds) -> Iterator[tuple[str, bool, str]]:
    """Yield each CRS that puts the points inside, whether with axes swapped, and their middle in degrees.

    Swapped axes are tried only if straight ones do not fit: in a country about as wide as high both often would.
    """
    for crs in tried:
        transformer = Transformer.from_crs(definition(crs), WGS84, always_xy=True)
        for is_swapped, first, second in ((False, x, y), (True, y, x)):
            middle = _middle(*transformer.transform(first, second), bounds)
            if middle is not None:
                yield crs, is_swapped, middle
                break


def _candidates(x: np.ndarray, y: np.ndarray, declared: str) -> tuple[str, ...]:
    is_degrees = max(np.abs(x).max(), np.abs(y).max()) <= MAX_DEGREES
    return (WGS84,) if is_degrees else tuple(dict.fromkeys(crs for crs in (declared, *METRIC) if crs != WGS84))


def _middle(lon: np.ndarray, lat: np.ndarray, bounds: Bounds) -> str | None:
    """Return the median point of a CRS under which (nearly) all points are inside; failed projections are infinite."""
    west, south, east, north = bounds
    is_inside = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    if is_inside.mean() < MIN_FIT_SHARE:
        return None
    return f"{np.median(lon[is_inside]):.4f}, {np.median(lat[is_inside]):.4f}"
