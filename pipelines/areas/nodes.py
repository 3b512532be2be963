"""The areas of one level of one hierarchy, as rows of ``reference.areas``."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
import shapely

from pipelines.areas.catchments import nearest
from pipelines.areas.repair import united
from pipelines.config.errors import BongsuError
from pipelines.schema.dictionary import frame_schema

AREA_COLUMNS: Final = frame_schema("reference.areas")
"""``reference.areas``: ``lon``/``lat`` is a point inside, ``geometry`` WKB, both EPSG:4326.

The nation's row has no geometry: it is the root of the hierarchies, and a profile may cover only a part of it.
"""

_SPECK_DEGREES2 = 1e-10  # about a square metre: holes left by rounding where districts are merged


class AreaError(BongsuError, ValueError):
    """Report that a profile's areas cannot be built: what is missing and what to do next."""


def nodes(
    hierarchy: str,
    area_level: str,
    parents: str | Sequence[str | None] | None,
    area_ids: Sequence[str],
    names: Sequence[str],
    shapes: Sequence[Any],
    population: Sequence[int | None] | None = None,
    *,
    is_approximated: bool = False,
) -> pl.DataFrame:
    """Return areas with ``AREA_COLUMNS``, in the order given; ``parents`` is one for all of them, or one for each."""
    inside = shapely.point_on_surface(np.array(shapes, dtype=object))
    lon, lat = (np.where(np.isnan(part), None, part) for part in (shapely.get_x(inside), shapely.get_y(inside)))
    return pl.DataFrame(
        {
            "area_id": area_ids,
            "hierarchy": [hierarchy] * len(area_ids),
            "area_level": [area_level] * len(area_ids),
            "parent_area_id": [parents] * len(area_ids) if parents is None or isinstance(parents, str) else parents,
            "name": names,
            "population": population or [None] * len(area_ids),
            "is_approximated": [is_approximated] * len(area_ids),
            "lon": list(lon),
            "lat": list(lat),
            "geometry": [None if shape is None else shapely.to_wkb(shape) for shape in shapes],
        },
        schema=AREA_COLUMNS,
    )


def stations(hierarchy: str, parent: str, located: pl.DataFrame, region: Any, crs: str) -> pl.DataFrame:
    """Return the catchments of a region's stations: the part nearest to each.

    Args:
        hierarchy: ``police`` or ``fire``.
        parent: Area above them.
        located: ``area_id, name, lon, lat``; a station that is not nearest to any part of the region gets no row.
        region: The region to divide, EPSG:4326.
        crs: Metric CRS in which distance is measured.
    """
    shapes = nearest(located["lon"].to_list(), located["lat"].to_list(), region, crs)
    with_area = [number for number, shape in enumerate(shapes) if shape is not None]
    kept = located[with_area]
    return nodes(
        hierarchy,
        "station",
        parent,
        kept["area_id"].to_list(),
        kept["name"].to_list(),
        [shapes[number] for number in with_area],
        is_approximated=True,
    )


def union(shapes: Any) -> Any:
    """Merge areas, without the specks that rounding leaves between them."""
    whole = united(shapes)
    polygons = [
        shapely.Polygon(
            part.exterior, [ring for ring in part.interiors if shapely.Polygon(ring).area > _SPECK_DEGREES2]
        )
        for part in shapely.get_parts(whole)
    ]
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
