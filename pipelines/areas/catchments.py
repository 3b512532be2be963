"""Approximated catchments: where no agency publishes station areas, each point belongs to its nearest station.

Straight-line distance in the profile's metric CRS, clipped to the region. Shown with ``is_approximated``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer

_EDGE_METRES = 1_000.0


def nearest(lons: Sequence[float], lats: Sequence[float], region: Any, crs: str) -> list[Any | None]:
    """Return the part of a region that is nearer to each station than to any other.

    Args:
        lons: Stations' longitudes, EPSG:4326.
        lats: Stations' latitudes.
        region: Polygon to divide, EPSG:4326.
        crs: Metric CRS in which distance is measured.

    Returns:
        One polygon per station in EPSG:4326, in the order given; None for a station at the location of an earlier one,
        or too far outside the region to be nearest to any part of it.
    """
    if not len(lons):
        return []
    forward = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = forward.transform(np.asarray(lons, dtype=float), np.asarray(lats, dtype=float))
    points, first = np.unique(np.column_stack([x, y]), axis=0, return_index=True)
    if len(points) == 1:
        return [region if index == first[0] else None for index in range(len(lons))]
    stations = shapely.points(points)
    measured = _moved(region, forward)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(stations), extend_to=measured))
    station, cell = shapely.STRtree(cells).query(stations, predicate="intersects")
    # An edge straight in metres is not straight in degrees: short segments keep the error within centimetres.
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    shares = shapely.intersection(_moved(shapely.segmentize(cells[cell], _EDGE_METRES), back), region)
    catchments: list[Any | None] = [None] * len(lons)
    for number, share in zip(station, shares, strict=True):
        if not share.is_empty:
            catchments[first[number]] = share
    return catchments


def _moved(shape: Any, transformer: Transformer) -> Any:
    return shapely.transform(shape, transformer.transform, interleaved=False)
