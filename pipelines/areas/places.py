"""Grid cells of a region, and the areas and cell of every place where something happened, in bulk in DuckDB.

``reference.areas`` is the one judge of where a point lies: in degrees, edges straight between their vertices.
"""

import re

import duckdb

from pipelines import warehouse
from pipelines.areas.trees import AreaError
from pipelines.grid import cell_sql
from pipelines.profile import Profile


def write_cells(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    """Make ``reference.cells`` from ``reference.areas``: the risk grid and the map grid of the region.

    A risk cell belongs to the grid if its centre lies in the region. A map cell does if its centre or that of one
    of its risk cells lies there, so that ``map_cell_id`` always leads to a row; its district is that of its centre,
    else the one of most of its risk cells.

    Raises:
        AreaError: map cells are not made of whole risk cells.
    """
    style, risk, shared = profile.grid.style, profile.grid.cell_metres, profile.grid.map_metres
    if shared % risk:
        raise AreaError(
            f"grid.map_metres {shared} of {profile.name} is no multiple of grid.cell_metres {risk}: "
            "counts of risk cells could not be added up to map cells"
        )
    crs = metric_crs(profile)
    map_x, map_y = (f"{part} // {shared} * {shared}" for part in ("x_m", "y_m"))
    warehouse.load_extension(con, "spatial")
    con.execute(
        f"""
        create or replace table reference.cells as
        with district as materialized (
            select area_id, st_geomfromwkb(geometry) as shape
            from reference.areas where tree = 'admin' and level = 'district'
        ),
        moved as (select st_transform(shape, 'EPSG:4326', '{crs}') as shape from district),
        extent as (
            select
                min(st_xmin(shape)) as left_m, max(st_xmax(shape)) as right_m,
                min(st_ymin(shape)) as bottom_m, max(st_ymax(shape)) as top_m
            from moved
        ),
        -- One cell more on every side: an edge straight in degrees bulges in metres.
        side as (select distinct unnest([{risk}, {shared}])::bigint as metres),
        bounds as (
            select
                metres,
                floor(left_m / metres)::bigint - 1 as first_column, floor(right_m / metres)::bigint + 1 as last_column,
                floor(bottom_m / metres)::bigint - 1 as first_row, floor(top_m / metres)::bigint + 1 as last_row
            from extent, side
        ),
        columns as (select *, unnest(range(first_column, last_column + 1)) * metres as x_m from bounds),
        corner as (select metres, x_m, unnest(range(first_row, last_row + 1)) * metres as y_m from columns),
        centred as materialized (
            select
                *, st_transform(st_point(x_m + metres / 2, y_m + metres / 2), '{crs}', 'EPSG:4326') as centre
            from corner
        ),
        placed as materialized (
            select metres, x_m, y_m, min(area_id) as area_id
            from centred join district on st_intersects(district.shape, centred.centre)
            group by metres, x_m, y_m
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
            select {shared}::bigint as metres, x_m, y_m, area_id
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
            case metres
                when {risk} then {cell_sql(style, risk, "x_m", "y_m")}
                else {cell_sql(style, shared, "x_m", "y_m")}
            end as cell_id,
            metres::integer as cell_metres,
            {cell_sql(style, shared, "x_m", "y_m")} as map_cell_id,
            x_m,
            y_m,
            st_x(centre) as lon,
            st_y(centre) as lat,
            area_id as admin_area_id,
            st_aswkb(shape)::blob as geometry
        from drawn
        order by cell_metres, y_m, x_m
        """
    )


def write_places(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    """Make ``reference.places``: one row per distinct place in ``staging.incidents``.

    A point on a border belongs to the smallest ``area_id``. Outside the region all areas and the cell are null. A
    point inside, in a square whose centre lies outside, has areas and no cell: the grid does not hold that square.
    """
    crs, metres = metric_crs(profile), profile.grid.cell_metres
    warehouse.load_extension(con, "spatial")
    con.execute(
        f"""
        create or replace table reference.places as
        with leaf as (
            select tree, area_id, geometry, count(*) over (partition by tree) = 1 as is_only
            from reference.areas where level in ('district', 'station')
        ),
        area as materialized (
            select tree, area_id, st_geomfromwkb(geometry) as shape from leaf where tree = 'admin' or not is_only
        ),
        -- One station for the whole region needs no test against a border of ten thousand corners.
        only_area as (
            select
                max(area_id) filter (where tree = 'police') as police_area_id,
                max(area_id) filter (where tree = 'fire') as fire_area_id
            from leaf where is_only and tree <> 'admin'
        ),
        place as materialized (
            select distinct lon, lat, st_point(lon, lat) as point
            from staging.incidents where isfinite(lon) and isfinite(lat)
        ),
        held as (
            select
                lon,
                lat,
                min(area_id) filter (where tree = 'admin') as admin_area_id,
                min(area_id) filter (where tree = 'police') as police_area_id,
                min(area_id) filter (where tree = 'fire') as fire_area_id
            from place join area on st_intersects(area.shape, place.point)
            group by lon, lat
        ),
        -- Only what lies in the region is projected: far away, as at 0, 0, the projection is not defined.
        moved as (
            select
                lon,
                lat,
                admin_area_id,
                coalesce(held.police_area_id, only_area.police_area_id) as police_area_id,
                coalesce(held.fire_area_id, only_area.fire_area_id) as fire_area_id,
                st_transform(st_point(lon, lat), 'EPSG:4326', '{crs}') as spot
            from held cross join only_area
            where admin_area_id is not null
        ),
        coded as (
            select
                lon, lat, admin_area_id, police_area_id, fire_area_id,
                {cell_sql(profile.grid.style, metres, "st_x(spot)", "st_y(spot)")} as cell_id
            from moved
        ),
        cell as (select cell_id as known_cell_id from reference.cells where cell_metres = {metres})
        select
            lon, lat, coded.admin_area_id, coded.police_area_id, coded.fire_area_id, known_cell_id as cell_id
        from place
        left join coded using (lon, lat)
        left join cell on coded.cell_id = known_cell_id
        order by lon, lat
        """
    )


def metric_crs(profile: Profile) -> str:
    """The profile's CRS as a code that may stand in SQL.

    Raises:
        AreaError: it is no code of a register.
    """
    if not re.fullmatch(r"[A-Z]+:\d+", profile.crs):
        raise AreaError(f"crs {profile.crs!r} of {profile.name} is no code such as EPSG:5179")
    return profile.crs
