"""Grid cells of a region, and the areas and cell of every recorded location, in bulk in DuckDB.

``reference.areas`` alone determines the area of a point: in degrees, edges straight between their vertices.
"""

import re

import duckdb

from pipelines.areas.containment import locate
from pipelines.areas.grid import cell_sql
from pipelines.areas.nodes import AreaError
from pipelines.config.profile import Profile
from pipelines.store import warehouse

MAX_WHOLE_CELLS = 2_000_000
"""The risk grid of a city or a province is built completely (Seoul at 100 m: 60,000 cells).

Of a larger one (Korea at 100 m: 10 million) only the cells with records are built.
"""


def write_cells(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    """Create ``reference.cells`` from ``reference.areas``: the risk grid and the map grid of the region.

    A risk cell belongs to the grid if its centre is in the region. A map cell does if its centre or that of one of its
    risk cells is, so that ``map_cell_id`` always refers to a row; its district is that of its centre, otherwise that of
    most of its risk cells, and it has no station then. Above ``MAX_WHOLE_CELLS``, ``write_places`` builds the risk
    grid.

    Raises:
        AreaError: Map cells do not consist of whole risk cells.
    """
    risk, shared = profile.grid.cell_metres, profile.grid.map_metres
    if shared % risk:
        raise AreaError(
            f"grid.map_metres {shared} of {profile.name} is not a multiple of grid.cell_metres {risk}: "
            "counts of risk cells could not be summed to map cells"
        )
    grids = {risk, shared} if _is_whole(con, profile) else {shared}
    _write_squares(con, profile, " union all ".join(_whole(profile, metres) for metres in sorted(grids)))


def write_places(con: duckdb.DuckDBPyConnection, profile: Profile, points: str) -> None:
    """Create ``reference.places``: one row per distinct ``lon``/``lat`` of ``points``; it may extend the risk grid.

    A point on a border belongs to the smallest ``area_id``. Outside the region all areas and the cell are null. A point
    in the region whose square has its centre outside has areas and no cell: the grid does not include that square.
    """
    crs, metres, style = metric_crs(profile), profile.grid.cell_metres, profile.grid.style
    warehouse.load_extension(con, "spatial")
    locate(con, points)
    # Only points in the region are projected: far away, as at 0, 0, the projection is not defined.
    con.execute(
        f"""
        create or replace temp table in_region as
        with moved as (
            select *, st_transform(st_point(lon, lat), 'EPSG:4326', '{crs}') as spot
            from point_areas where admin_area_id is not null
        )
        select
            * exclude (spot),
            floor(st_x(spot) / {metres})::bigint * {metres} as x_m,
            floor(st_y(spot) / {metres})::bigint * {metres} as y_m
        from moved
        """
    )
    con.execute("drop table point_areas")
    if not _is_whole(con, profile):
        map_grid = (
            f"select cell_metres::bigint, x_m, y_m from reference.cells where cell_metres = {profile.grid.map_metres}"
        )
        with_records = f"select {metres}::bigint as metres, x_m, y_m from in_region"
        _write_squares(con, profile, f"{with_records} union {map_grid}")
    con.execute(
        f"""
        create or replace table reference.places as
        with place as (select distinct lon, lat from {points} where isfinite(lon) and isfinite(lat)),
        coded as (
            select
                lon, lat, admin_area_id, police_area_id, fire_area_id, {cell_sql(style, metres, "x_m", "y_m")} as code
            from in_region
        ),
        cell as (select cell_id from reference.cells where cell_metres = {metres})
        select lon, lat, coded.admin_area_id, coded.police_area_id, coded.fire_area_id, cell.cell_id
        from place
        left join coded using (lon, lat)
        left join cell on cell.cell_id = coded.code
        order by lon, lat
        """
    )
    con.execute("drop table in_region")


def metric_crs(profile: Profile) -> str:
    """Return the profile's CRS as a code that is safe in SQL.

    Raises:
        AreaError: It is not a code of a register.
    """
    if not re.fullmatch(r"[A-Z]+:\d+", profile.crs):
        raise AreaError(f"crs {profile.crs!r} of {profile.name} is not a code such as EPSG:5179")
    return profile.crs


def _is_whole(con: duckdb.DuckDBPyConnection, profile: Profile) -> bool:
    """Return whether the risk grid of the region is small enough to be built completely."""
    warehouse.load_extension(con, "spatial")
    square_metres = con.execute(
        f"select sum(st_area(st_transform(st_geomfromwkb(geometry), 'EPSG:4326', '{metric_crs(profile)}'))) "
        "from reference.areas where hierarchy = 'admin' and area_level = 'district'"
    ).fetchall()[0][0]
    return bool(square_metres <= MAX_WHOLE_CELLS * profile.grid.cell_metres**2)


def _whole(profile: Profile, metres: int) -> str:
    """Return SQL for all squares of a grid in the box around the region: ``metres, x_m, y_m``.

    One extra on every side: an edge straight in degrees bulges in metres.
    """
    return f"""
        select {metres}::bigint as metres, column_m * {metres} as x_m, row_m * {metres} as y_m
        from (
            select
                unnest(range(floor(left_m / {metres})::bigint - 1, floor(right_m / {metres})::bigint + 2)) as column_m,
                floor(bottom_m / {metres})::bigint - 1 as first_row, floor(top_m / {metres})::bigint + 2 as end_row
            from (
                select
                    min(st_xmin(shape)) as left_m, max(st_xmax(shape)) as right_m,
                    min(st_ymin(shape)) as bottom_m, max(st_ymax(shape)) as top_m
                from (
                    select st_transform(st_geomfromwkb(geometry), 'EPSG:4326', '{metric_crs(profile)}') as shape
                    from reference.areas where hierarchy = 'admin' and area_level = 'district'
                )
            )
        ), unnest(range(first_row, end_row)) as rows (row_m)
    """


def _write_squares(con: duckdb.DuckDBPyConnection, profile: Profile, squares: str) -> None:
    """Create ``reference.cells`` from the given squares of both grids (``metres, x_m, y_m``)."""
    crs, risk, shared = metric_crs(profile), profile.grid.cell_metres, profile.grid.map_metres
    con.execute(
        f"""
        create or replace temp table square as
        with centred as (
            select *, st_transform(st_point(x_m + metres / 2, y_m + metres / 2), '{crs}', 'EPSG:4326') as centre
            from ({squares})
        )
        select metres, x_m, y_m, st_x(centre) as lon, st_y(centre) as lat from centred
        """
    )
    locate(con, "square")
    map_x, map_y = (f"{part} // {shared} * {shared}" for part in ("x_m", "y_m"))
    risk_cell, map_cell = (cell_sql(profile.grid.style, metres, "x_m", "y_m") for metres in (risk, shared))
    con.execute(
        f"""
        create or replace table reference.cells as
        with placed as materialized (
            select metres, x_m, y_m, admin_area_id as area_id, police_area_id
            from square join point_areas using (lon, lat) where admin_area_id is not null
        ),
        share as (
            select {map_x} as x_m, {map_y} as y_m, area_id, count(*) as cells
            from placed where metres = {risk} group by all
        ),
        main as (
            select x_m, y_m, first(area_id order by cells desc, area_id) as area_id from share group by x_m, y_m
        ),
        kept as (
            select * from placed
            union all
            select {shared}::bigint as metres, x_m, y_m, area_id, null
            from main anti join (select * from placed where metres = {shared}) as centred_in using (x_m, y_m)
        ),
        drawn as (
            select
                *,
                st_transform(st_point(x_m + metres / 2, y_m + metres / 2), '{crs}', 'EPSG:4326') as centre,
                st_transform(st_makeenvelope(x_m, y_m, x_m + metres, y_m + metres), '{crs}', 'EPSG:4326') as shape
            from kept
        )
        select
            case metres when {risk} then {risk_cell} else {map_cell} end as cell_id,
            metres::integer as cell_metres,
            {map_cell} as map_cell_id,
            x_m,
            y_m,
            st_x(centre) as lon,
            st_y(centre) as lat,
            area_id as admin_area_id,
            police_area_id,
            st_aswkb(shape)::blob as geometry
        from drawn
        order by cell_metres, y_m, x_m
        """
    )
    con.execute("drop table square; drop table point_areas")
