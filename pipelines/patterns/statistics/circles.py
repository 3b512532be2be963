"""Outlines of search results, for maps."""

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import Transformer


def circles(x: NDArray[np.float64], y: NDArray[np.float64], radius: NDArray[np.float64], crs: str) -> pl.Series:
    """Return circles given in the metres of ``crs`` as polygons, WKB in EPSG:4326, longitude first."""
    drawn = shapely.buffer(shapely.points(x, y), radius, quad_segs=12)
    moved = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    degrees = shapely.transform(drawn, lambda corners: np.column_stack(moved.transform(*corners.T)))
    return pl.Series("geometry", list(shapely.to_wkb(degrees)), dtype=pl.Binary)
