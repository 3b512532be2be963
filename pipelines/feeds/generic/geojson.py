"""GeoJSON downloads: one feature collection is one part.

The frame has the features' properties under their own names plus `geometry`, the geometry as GeoJSON text. RFC 7946
allows only longitude and latitude in WGS84; a collection that names another CRS is rejected. Declared with a `kind`,
the feed provides a profile's boundaries or stations without a module: `[areas]` of the profile names the properties to
read.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import orjson
import polars as pl
import shapely

from pipelines.config.profile import Profile
from pipelines.config.profile_checks import Problem
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.generic.boundaries import check_codes
from pipelines.feeds.protocols import http, map_layers
from pipelines.schema.delivery import Delivery

__all__ = ["declared", "fetch", "parse", "problems"]


def problems(name: str, profile: Profile) -> Iterator[Problem]:
    """Yield what is incomplete in the entry of a feed, with its key."""
    if not _wanted(name, profile):
        yield (
            ("feeds", name),
            "name the feed in [areas] as feed with id_column and name_column, or as facilities_feed with "
            "facilities_name_column",
        )
    if profile.feeds[name].agency is None:
        yield ("feeds", name, "agency"), "must be police, fire or investigation"
    if profile.feeds[name].crs != "EPSG:4326":
        yield (
            ("feeds", name, "crs"),
            'must be EPSG:4326, as GeoJSON is; read another CRS with source_type = "boundaries"',
        )


def _wanted(name: str, profile: Profile) -> list[str]:
    """Return the properties that `[areas]` reads from a feed."""
    areas = profile.areas
    read = {
        areas.feed: (areas.id_column, areas.name_column, areas.population_column),
        areas.facilities_feed: (areas.facilities_name_column,),
    }
    return [column for column in read.get(name, ()) if column]


def declared(name: str, profile: Profile) -> Feed:
    """Build the feed of boundaries or stations under this name, in which `problems` sees nothing wrong."""
    return Feed(
        name=name,
        agency=str(profile.feeds[name].agency),
        load_type="snapshot",
        columns=dict.fromkeys([*_wanted(name, profile), "geometry"], pl.String),
        fetch=fetch,
        parse=partial(_districts, name=name, profile=profile) if profile.areas.feed == name else parse,
        is_reference=True,
        template="geojson",
    )


def fetch(request: Request) -> Iterator[Delivery]:
    """Download `request.url` as one delivery with one part.

    Raises:
        FeedError: It cannot be read, is not a feature collection, or was cut off by the server.
    """
    body = http.get(request.url)
    where = http.place(request.url)
    content = http.decode(body, where)
    if content.get("type") != "FeatureCollection":
        raise FeedError(f"{where} is not a GeoJSON feature collection: check the feed's url in the profile")
    # Depending on its version, an ArcGIS layer requested with f=geojson reports the cut here or in the properties.
    if content.get("exceededTransferLimit") or (content.get("properties") or {}).get("exceededTransferLimit"):
        raise FeedError(f"{where} has more features than the server sends in one answer: choose another download")
    # A WFS states how many features there are, as a number, as text or as "unknown".
    stated = str(content.get("numberMatched", content.get("totalFeatures", "")))
    sent = len(content.get("features") or ())
    if stated.isdigit() and int(stated) != sent:
        raise FeedError(f"{where} states {stated} features and sent {sent}: choose a download of all features")
    yield Delivery((body,), None, request.window_end)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse properties plus `geometry` (GeoJSON text, EPSG:4326). Pure."""
    frames = [_frame(http.decode(part, f"part {number}")) for number, part in enumerate(parts, start=1)]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def _districts(parts: Sequence[bytes], name: str, profile: Profile) -> pl.DataFrame:
    """Parse boundaries, which must be polygons inside the place, each with its code; the suite quarantines the rest."""
    frame, areas = parse(parts), profile.areas
    code, named = str(areas.id_column), str(areas.name_column)
    if not {code, named, "geometry"} <= set(frame.columns):
        return frame
    check_codes(frame[code].cast(pl.String).to_list(), frame[named].cast(pl.String).to_list(), code, name)
    shapes = shapely.from_geojson(frame["geometry"].drop_nulls().to_list())
    try:
        map_layers.check_polygons(shapes, name)
        map_layers.check_extent(shapes, name, profile.bounds)
    except map_layers.LayerError as error:
        raise FeedError(str(error)) from None
    return frame


def _frame(collection: dict[str, object]) -> pl.DataFrame:
    features = collection.get("features")
    if not isinstance(features, list):
        raise FeedError("the download has no list of features")
    _check_crs(collection)
    if not features:
        return pl.DataFrame()
    geometry = [orjson.dumps(f["geometry"]).decode() if f.get("geometry") else None for f in features]
    return pl.from_dicts([f["properties"] for f in features], infer_schema_length=None).with_columns(
        geometry=pl.Series(geometry, dtype=pl.String)
    )


def _check_crs(collection: dict[str, object]) -> None:
    named = str(collection.get("crs") or "CRS84")
    if "CRS84" not in named and "4326" not in named:
        raise FeedError(f"the download is in {named}, not in EPSG:4326: choose the portal's WGS84 download")
