"""Repair published boundaries that overlap, leave gaps or cross themselves, so that a point is in at most one.

Pure functions over arrays of shapely geometries in EPSG:4326.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

MAX_GAP_KM2 = 1.0
"""A hole between districts up to this size is a drawing fault; a larger one is foreign land or water.

The smallest district of Korea has 2.8 km².
"""

_KM_PER_DEGREE = 111.2
_TOUCH_DEGREES = 1e-7  # about a centimetre: maximum distance of a gap's edge from the border that caused it


def repaired(area_ids: Sequence[str], shapes: Sequence[Any], max_gap_km2: float = MAX_GAP_KM2) -> list[Any]:
    """Make polygons valid, assign each overlap to the smaller ``area_id`` and each gap to its longest neighbour.

    The result does not depend on the order of the input nor, for one area, on areas that it does not touch. The
    remaining overlaps and gaps are rounding errors, far below a millimetre.

    Returns:
        One polygon or multipolygon per area, in the order given.
    """
    order = np.argsort(np.asarray(area_ids, dtype=str), kind="stable")
    sound = np.array([_polygons(shape) for shape in shapely.make_valid(np.asarray(shapes, dtype=object))])
    fitted = _fill_gaps(_cut_overlaps(sound[order]), max_gap_km2)
    in_order = np.empty(len(fitted), dtype=object)
    in_order[order] = fitted
    return list(in_order)


def _cut_overlaps(shapes: Any) -> Any:
    """Subtract from each shape what an earlier one already covers."""
    tree = shapely.STRtree(shapes)
    later, earlier = tree.query(shapes, predicate="intersects")
    cut = shapes.copy()
    for index in np.unique(later):
        before = earlier[(later == index) & (earlier < index)]
        if before.size:
            cut[index] = _polygons(shapely.difference(shapes[index], shapely.union_all(shapes[np.sort(before)])))
    return cut


def _fill_gaps(shapes: Any, max_gap_km2: float) -> Any:
    """Assign each small hole in the union of all shapes to the shape with which it shares the longest border."""
    rings = shapely.get_rings(shapely.get_parts(united(shapes)))
    # A clockwise ring of the union is a hole only by convention; a ring that no shape fills certainly is.
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
    """Return the union of polygons, leaving out of the overlay parts that touch nothing, such as islands.

    Parts nearer than `_TOUCH_DEGREES` touch: the overlay rounds, and might move a border into a part next to it.
    """
    parts = shapely.get_parts(np.asarray(shapes, dtype=object))
    first, second = shapely.STRtree(parts).query(parts, predicate="dwithin", distance=_TOUCH_DEGREES)
    touching = np.unique(first[first != second])
    together = shapely.get_parts(_polygons(shapely.union_all(parts[touching])))
    polygons = np.append(together, np.delete(parts, touching))
    return polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons)


def _km2(shapes: Any) -> Any:
    bounds = shapely.bounds(shapes)
    shrink = np.cos(np.radians((bounds[:, 1] + bounds[:, 3]) / 2))
    return shapely.area(shapes) * _KM_PER_DEGREE**2 * shrink


def _polygons(shape: Any) -> Any:
    """Return the polygons of a geometry; lines and points left by an overlay are dropped."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
