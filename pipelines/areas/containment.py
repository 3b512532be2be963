"""Find the areas that contain each of millions of points.

Each area is prepared once (GEOS keeps its edges in an interval tree) and tested only against the points in its bounding
box. Areas with the same boundary (a district and its police station) are tested once. On Korea's 466 boundaries this
takes 0.6 microseconds a point, compared with 20 for DuckDB's spatial join, which prepares nothing.
"""

from collections.abc import Iterator

import duckdb
import numpy as np
import polars as pl
import shapely

_HIERARCHIES = ("admin", "police", "fire")


def locate(con: duckdb.DuckDBPyConnection, points: str) -> None:
    """Create the temporary table ``point_areas``: one row for each point of a relation that is in any area.

    A point on a border belongs to the smallest ``area_id``. Points that are not finite have no row.

    Args:
        con: Connection with ``reference.areas``.
        points: Name of a relation with ``lon``, ``lat`` (EPSG:4326); points may be repeated.

    Columns of ``point_areas``: ``lon, lat, admin_area_id, police_area_id, fire_area_id`` (districts and stations).
    """
    spots = con.execute(
        f"select distinct lon, lat from {points} where isfinite(lon) and isfinite(lat) order by lon, lat"
    ).fetchnumpy()
    lon, lat = (np.asarray(spots[axis], dtype=float) for axis in ("lon", "lat"))
    areas = con.execute(
        "select area_id, hierarchy, geometry from reference.areas where area_level in ('district', 'station') "
        "order by area_id"
    ).fetchall()
    names = [area_id for area_id, _, _ in areas]
    of_shape: dict[bytes, list[tuple[str, int]]] = {}
    for number, (_, hierarchy, geometry) in enumerate(areas):
        of_shape.setdefault(bytes(geometry), []).append((hierarchy, number))
    area_numbers = {hierarchy: np.full(len(lon), len(names), dtype=np.int32) for hierarchy in _HIERARCHIES}
    for inside, named in zip(_inside(list(of_shape), lon, lat), of_shape.values(), strict=True):
        for hierarchy, number in named:
            area_numbers[hierarchy][inside] = np.minimum(area_numbers[hierarchy][inside], number)
    con.register("_spots", pl.DataFrame({"lon": lon, "lat": lat, **area_numbers}).to_arrow())
    con.register("_names", pl.DataFrame({"number": range(len(names)), "area_id": names}).to_arrow())
    con.execute(
        """
        create or replace temp table point_areas as
        select
            lon, lat, admins.area_id as admin_area_id, polices.area_id as police_area_id, fires.area_id as fire_area_id
        from _spots
        left join _names as admins on admins.number = admin
        left join _names as polices on polices.number = police
        left join _names as fires on fires.number = fire
        where coalesce(admins.area_id, polices.area_id, fires.area_id) is not null
        """
    )
    con.unregister("_spots")
    con.unregister("_names")


def _inside(shapes: list[bytes], lon: np.ndarray, lat: np.ndarray) -> Iterator[np.ndarray]:
    """Yield, for each shape (WKB), the numbers of the points, ordered by ``lon``, in it or on its border."""
    drawn = shapely.from_wkb(shapes)
    shapely.prepare(drawn)
    west, south, east, north = shapely.bounds(drawn).T if shapes else np.empty((4, 0))
    first, end = np.searchsorted(lon, west, "left"), np.searchsorted(lon, east, "right")
    for number, shape in enumerate(drawn):
        near = slice(first[number], end[number])
        in_box = first[number] + np.flatnonzero((lat[near] >= south[number]) & (lat[near] <= north[number]))
        yield in_box[shapely.intersects_xy(shape, lon[in_box], lat[in_box])]
