"""Boundaries as published overlap, leave gaps and cross themselves; mended, a point lies in at most one of them.

Pure functions over arrays of shapely geometries in EPSG:4326.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

MAX_GAP_KM2 = 1.0
"""A hole between districts up to this size is a fault of drawing; a larger one is somebody else's land or water.

The smallest district of Korea has 2.8 km².
"""

_KM_PER_DEGREE = 111.2
_TOUCH_DEGREES = 1e-7  # about a centimetre: how far a gap's edge may lie from the border that made it


def mend(area_ids: Sequence[str], shapes: Sequence[Any], max_gap_km2: float = MAX_GAP_KM2) -> list[Any]:
    """Make polygons valid, give each overlap to the smaller ``area_id`` and each gap to its longest neighbour.

    The result depends neither on the order of the input nor, for one area, on areas that it does not touch. What
    is left of an overlap or a gap is rounding, far below a millimetre.

    Returns:
        One polygon or multipolygon per area, in the order given.
    """
    order = np.argsort(np.asarray(area_ids, dtype=str), kind="stable")
    sound = np.array([_polygons(shape) for shape in shapely.make_valid(np.asarray(shapes, dtype=object))])
    fitted = _fill_gaps(_cut_overlaps(sound[order]), max_gap_km2)
    mended = np.empty(len(fitted), dtype=object)
    mended[order] = fitted
    return list(mended)


def _cut_overlaps(shapes: Any) -> Any:
    """Take from each shape what an earlier one already has."""
    tree = shapely.STRtree(shapes)
    later, earlier = tree.query(shapes, predicate="intersects")
    cut = shapes.copy()
    for index in np.unique(later):
        before = earlier[(later == index) & (earlier < index)]
        if before.size:
            cut[index] = _polygons(shapely.difference(shapes[index], shapely.union_all(shapes[np.sort(before)])))
    return cut


def _fill_gaps(shapes: Any, max_gap_km2: float) -> Any:
    """Give each small hole in the union of all shapes to the shape with which it shares the longest border."""
    rings = shapely.get_rings(shapely.get_parts(united(shapes)))
    # A ring of the union that runs clockwise is a hole only by convention; a ring that no shape fills is one for sure.
    gaps = shapely.polygons(rings)
    gaps = gaps[_km2(gaps) <= max_gap_km2]
    tree = shapely.STRtree(shapes)
    inside = tree.query(shapely.point_on_surface(gaps), predicate="intersects")[0]
    gaps = np.delete(gaps, np.unique(inside))
    if not gaps.size:
        return shapes
    gap, area = tree.query(gaps, predicate="dwithin", distance=_TOUCH_DEGREES)
    shared = shapely.length(
        shapely.intersection(shapely.buffer(gaps[gap], _TOUCH_DEGREES), shapely.boundary(shapes[area]))
    )
    # By gap, then longest border, then smallest area.
    ranked = np.lexsort((area, -shared, gap))
    _, first = np.unique(gap[ranked], return_index=True)
    chosen_gap, chosen_area = gap[ranked][first], area[ranked][first]
    filled = shapes.copy()
    for index in np.unique(chosen_area):
        parts = gaps[chosen_gap[chosen_area == index]]
        filled[index] = united(np.append(parts, shapes[index]))
    return filled


def united(shapes: Any) -> Any:
    """The union of polygons. Parts that touch nothing, islands most of all, are not put through the overlay.

    What is nearer than `_TOUCH_DEGREES` touches: the overlay rounds, and might move a border into a part beside it.
    """
    parts = shapely.get_parts(np.asarray(shapes, dtype=object))
    one, other = shapely.STRtree(parts).query(parts, predicate="dwithin", distance=_TOUCH_DEGREES)
    touching = np.unique(one[one != other])
    together = shapely.get_parts(_polygons(shapely.union_all(parts[touching])))
    polygons = np.append(together, np.delete(parts, touching))
    return polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons)


def _km2(shapes: Any) -> Any:
    bounds = shapely.bounds(shapes)
    shrink = np.cos(np.radians((bounds[:, 1] + bounds[:, 3]) / 2))
    return shapely.area(shapes) * _KM_PER_DEGREE**2 * shrink


def _polygons(shape: Any) -> Any:
    """The polygons of a geometry; lines and points that an overlay leaves behind are dropped."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
