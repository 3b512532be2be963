"""Boundaries in a file: GeoPackage, Shapefile, GeoJSON, KML, FlatGeobuf and whatever else OGR reads, or GeoParquet.

`url` is an address to download, or a file in a folder, on SFTP or in S3; a Shapefile is zipped, or has its other files
next to it. `resource` names the layer of a file with several, `crs` the CRS of a file that states none. The frame has
the properties that `[areas]` names, as text, plus `geometry`, GeoJSON text in EPSG:4326.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Final

import polars as pl
import shapely

from pipelines.config.profile import Areas, FeedSource, Profile
from pipelines.config.profile_checks import Problem
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.protocols import file_drop, http, map_layers
from pipelines.feeds.protocols.map_layers import Extent
from pipelines.schema.delivery import Delivery

__all__ = ["check_codes", "declared", "fetch", "parse", "problems"]

SHAPEFILE: Final = (".shp", ".shx", ".dbf")
OPTIONAL: Final = (".prj", ".cpg")
"""Further files of a Shapefile, which it may lack."""


def problems(name: str, profile: Profile) -> Iterator[Problem]:
    """Yield what is incomplete in the entry of a feed, with its key."""
    source, here = profile.feeds[name], ("feeds", name)
    if profile.areas.feed != name:
        yield here, "name the feed in [areas] as feed, with id_column and name_column"
    if source.agency is None:
        yield (*here, "agency"), "must be police, fire or investigation"
    if source.crs == "KATEC":
        yield (*here, "crs"), "must be an EPSG code: boundaries are not read in KATEC"


def declared(name: str, profile: Profile) -> Feed:
    """Build the feed of boundaries under this name, in which `problems` sees nothing wrong."""
    source = profile.feeds[name]
    return Feed(
        name=name,
        agency=str(source.agency),
        load_type="snapshot",
        columns=dict.fromkeys([*_wanted(profile.areas), "geometry"], pl.String),
        fetch=fetch,
        parse=partial(parse, name=name, source=source, areas=profile.areas, extent=profile.bounds),
        is_reference=True,
        content_type="binary",
        template="geojson",
    )


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the file as one delivery with one part.

    Raises:
        FeedError: It cannot be read.
    """
    is_web = request.url.startswith(("http://", "https://"))
    yield Delivery((http.download(request.url) if is_web else _file(request.url),), None, request.window_end)


def parse(parts: Sequence[bytes], name: str, source: FeedSource, areas: Areas, extent: Extent) -> pl.DataFrame:
    """Parse the wanted properties as text plus `geometry` (GeoJSON text, EPSG:4326).

    Raises:
        FeedError: The file is not a layer of polygons inside the place, or lacks a property, a code or a known CRS.
    """
    crs = source.crs if "crs" in source.model_fields_set else None
    frames = []
    for part in parts:
        try:
            layer = map_layers.read(part, name, crs, f"[feeds.{name}] in the profile", source.resource, extent)
        except map_layers.LayerError as error:
            raise FeedError(str(error)) from None
        wanted = _wanted(areas)
        if missing := [column for column in wanted if column not in layer.columns]:
            known = ", ".join(column for column in layer.columns if column != layer.geometry.name)
            raise FeedError(f"{name} has no property {', '.join(missing)}, but {known}: correct [areas] of the profile")
        texts = {column: [_text(value) for value in layer[column]] for column in wanted}
        check_codes(texts[str(areas.id_column)], texts[str(areas.name_column)], str(areas.id_column), name)
        geometry = shapely.to_geojson(layer.to_crs(4326).geometry.to_numpy()).tolist()
        frames.append(pl.DataFrame({**texts, "geometry": geometry}, dict.fromkeys([*wanted, "geometry"], pl.String)))
    return pl.concat(frames) if frames else pl.DataFrame()


def check_codes(codes: Sequence[str | None], names: Sequence[str | None], column: str, where: str) -> None:
    """Check that every feature has a code, and that no two areas share a code; parts of one area share its name.

    Raises:
        FeedError: The first feature without a code, or the first code with several names.
    """
    known: dict[str, str | None] = {}
    for number, (code, name) in enumerate(zip(codes, names, strict=True), start=1):
        if code is None or not code.strip():
            raise FeedError(
                f"{where}: feature {number} has no {column}: give every area its code, or remove the feature"
            )
        if (first := known.setdefault(code.strip(), name)) != name:
            raise FeedError(
                f"{where}: {column} {code} is that of {first!r} and of {name!r}: give each area a code of its own"
            )


def _wanted(areas: Areas) -> list[str]:
    return [column for column in (areas.id_column, areas.name_column, areas.population_column) if column]


def _text(value: object) -> str | None:
    # Missing numbers are NaN, which alone differs from itself.
    return None if value is None or value != value else str(value)


def _file(url: str) -> bytes:
    """Return a file, or the files of a Shapefile as one archive that depends on their content only."""
    folder, _, name = url.rpartition("/")
    system, path = file_drop.opened(folder or ".")
    if PurePosixPath(name).suffix.lower() != ".shp":
        return file_drop.read(system, path, name)
    stem = name[: -len(".shp")]
    members = [stem + ending for ending in SHAPEFILE]
    members += [stem + ending for ending in OPTIONAL if system.exists(f"{path}/{stem}{ending}")]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for member in members:
            packed.writestr(zipfile.ZipInfo(member), file_drop.read(system, path, member))
    return archive.getvalue()
