"""Contiguity of areas, for all areas at once: queen neighbours, a shared border or a shared corner."""

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.patterns.statistics.neighbours import NONE

GAP_DEGREES: Final = 0.0003
"""About 30 m. Borders that are drawn twice do not match to the centimetre, and repaired ones may leave a sliver."""


def touching(shapes: Any, gap: float = GAP_DEGREES) -> NDArray[np.int64]:
    """Return the positions of each area's neighbours, as ``neighbours.queen`` does for cells.

    Args:
        shapes: Array of polygons; missing or empty ones have no neighbours.
        gap: Areas nearer than this touch, in the unit of the coordinates.

    Returns:
        One row per area, neighbours in ascending order, padded with ``NONE``.
    """
    shapes = np.asarray(shapes, dtype=object)
    left, right = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=gap)
    differs = left != right
    order = np.lexsort((right[differs], left[differs]))
    left, right = left[differs][order], right[differs][order]
    count = np.bincount(left, minlength=shapes.size)
    positions = np.full((shapes.size, int(count.max()) if count.size else 0), NONE, dtype=np.int64)
    first = np.cumsum(count) - count
    positions[left, np.arange(left.size) - first[left]] = right
    return positions
