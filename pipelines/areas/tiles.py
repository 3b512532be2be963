"""Which areas hold a point, for millions of points, in bulk in DuckDB.

A border of ten thousand corners is costly to test against, so areas are cut along tiles of ``TILE_DEGREES``: where a
tile lies wholly in an area its points need no test, elsewhere they are tested against the few corners in the tile.
Cutting happens in two steps, blocks of tiles first, and only where there are points. A cut moves a border by rounding
alone, about a nanometre. Areas with the same boundary (a district and its police station) are tested once.
"""

import duckdb

from pipelines import warehouse

TILE_DEGREES = 0.02
"""About 2 km: small enough to lie inside a district, large enough to hold many points."""

TILES_PER_BLOCK = 8

_REACH_DEGREES = 1e-9
"""By how much a tile is drawn larger, so that the point that rounding puts into the next tile is still in this one."""


def hold(con: duckdb.DuckDBPyConnection, points: str) -> None:
    """Make the temporary table ``held``: one row for each point of a relation that lies in any area.

    A point on a border belongs to the smallest ``area_id``. Points that are not finite have no row.

    Args:
        con: Connection with ``reference.areas``.
        points: Name of a relation with ``lon``, ``lat`` (EPSG:4326); points may come more than once.

    Columns of ``held``: ``lon, lat, admin_area_id, police_area_id, fire_area_id`` (districts and stations).
    """
    warehouse.load_extension(con, "spatial")
    con.execute(
        f"""
        create or replace temp table held as
        with area as materialized (
            select
                row_number() over (order by min(area_id)) as shape_id,
                list({{'tree': tree, 'area_id': area_id}}) as named,
                st_geomfromwkb(geometry) as part
            from reference.areas
            where level in ('district', 'station')
            group by geometry
        ),
        reach as (
            select
                shape_id, part,
                st_xmin(part) as west, st_xmax(part) as east, st_ymin(part) as south, st_ymax(part) as north
            from area
        ),
        place as materialized (
            select distinct
                lon, lat, floor(lon / {TILE_DEGREES}) as tile_x, floor(lat / {TILE_DEGREES}) as tile_y
            from {points}
            where isfinite(lon) and isfinite(lat)
        ),
        tile as materialized (
            select distinct
                tile_x, tile_y,
                floor(tile_x / {TILES_PER_BLOCK}) as block_x, floor(tile_y / {TILES_PER_BLOCK}) as block_y,
                {_envelope("tile_x", "tile_y", TILE_DEGREES)} as box
            from place
        ),
        block as (
            select distinct
                block_x, block_y, {_envelope("block_x", "block_y", TILE_DEGREES * TILES_PER_BLOCK)} as box
            from tile
        ),
        in_block as (
            select block_x, block_y, shape_id, part, box
            from block
            join reach
                on st_xmax(box) >= west and st_xmin(box) <= east and st_ymax(box) >= south and st_ymin(box) <= north
        ),
        block_part as materialized (select block_x, block_y, shape_id, {_PART} from in_block where {_TOUCHES}),
        in_tile as (
            select tile_x, tile_y, shape_id, part, tile.box
            from tile join block_part using (block_x, block_y)
        ),
        tile_part as (select tile_x, tile_y, shape_id, {_PART} from in_tile where {_TOUCHES}),
        found as (
            select lon, lat, shape_id
            from place join tile_part using (tile_x, tile_y)
            where part is null or st_intersects(part, st_point(lon, lat))
        ),
        names as (select shape_id, unnest(named, recursive := true) from area)
        select
            lon,
            lat,
            min(area_id) filter (where tree = 'admin') as admin_area_id,
            min(area_id) filter (where tree = 'police') as police_area_id,
            min(area_id) filter (where tree = 'fire') as fire_area_id
        from found join names using (shape_id)
        group by lon, lat
        """
    )


# What is left of an area in a box: null stands for all of the box.
_TOUCHES = "part is null or st_intersects(part, box)"
_PART = "case when part is null or st_contains(part, box) then null else st_intersection(part, box) end as part"


def _envelope(x: str, y: str, degrees: float) -> str:
    west, south, east, north = (
        f"{low} * {degrees} {sign} {_REACH_DEGREES}"
        for low, sign in ((x, "-"), (y, "-"), (f"({x} + 1)", "+"), (f"({y} + 1)", "+"))
    )
    return f"st_makeenvelope({west}, {south}, {east}, {north})"
