"""Map layers of boundaries: GeoParquet, and any format of OGR (GeoPackage, Shapefile, GeoJSON, KML, FlatGeobuf).

Nothing is guessed that could move a boundary: a layer without a CRS is read as degrees only if its coordinates can be
degrees, and one with swapped axes is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final
from zipfile import ZipFile

import numpy as np
import shapely

from pipelines.config.errors import BongsuError
from pipelines.config.progress import Progress, silent

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["WORLD", "Extent", "LayerError", "check_extent", "check_polygons", "read", "read_lines"]

Extent = tuple[float, float, float, float]
"""West, south, east, north in degrees, EPSG:4326."""
WORLD: Final[Extent] = (-180.0, -90.0, 180.0, 90.0)
WGS84: Final = "EPSG:4326"
_PARQUET: Final = (".parquet", ".geoparquet")
_ENDINGS: Final = {b"PK\x03\x04": ".zip", b"SQLite": ".gpkg", b"PAR1": ".parquet"}
"""How content begins that OGR reads only, or without a warning, from a file with that ending."""
_IN_ARCHIVES: Final = (".shp", ".gpkg", ".geojson", ".json", ".kml", ".fgb", ".gml", ".tab", ".mif")
"""Endings of the one file of an archive that OGR opens; the others belong to it."""
_UNSTATED: Final = "ISO-8859-1"
"""The encoding that OGR assumes where a Shapefile states none, by a .cpg or in its table."""
_ENCODINGS: Final = ("utf-8", "cp949")
"""Encodings that such a Shapefile may have instead, each of which can hardly decode text of another."""
_ADVICE: Final = r"; It might help|\. Set [A-Z_]+ "
"""How advice to programmers begins in the reasons of OGR."""
_INDIRECT: Final = "OGR_VRT"
"""A format that only names other files, which must not be opened because a download says so."""


class LayerError(BongsuError, ValueError):
    """Report that a map layer cannot be used as boundaries: where, why, and what to change."""


def read(
    source: Path | bytes,
    name: str,
    crs: str | None = None,
    table: str = "",
    layer: str | None = None,
    extent: Extent = WORLD,
) -> gpd.GeoDataFrame:
    """Return the features of a layer, all polygons, in its CRS.

    Args:
        source: A file, or its content; a Shapefile that is not zipped has several files and must be a path.
        name: How messages name it.
        crs: CRS of a layer that does not state its own. Without it, WGS84 if its coordinates can be degrees.
        table: How messages name the table of a profile with the keys `crs` and `resource`, if there is one.
        layer: Name of the layer in a file with several.
        extent: Where the layer must be, in degrees.

    Raises:
        LayerError: It cannot be read, has several layers, no feature, no CRS that can be known, swapped axes, or
            anything but polygons.
    """
    frame = _with_geometry(_opened(source, name, layer, table), name, "boundaries as polygons")
    check_polygons(frame.geometry.to_numpy(), name)
    return _located(frame, name, crs, table, extent)


def read_lines(path: Path, name: str, note: Progress = silent) -> gpd.GeoDataFrame:
    """Return the features of a layer, all lines, in its CRS; as `read`. Those without a geometry are left out, noted.

    Raises:
        LayerError: As for `read`, with anything but lines.
    """
    frame = _with_geometry(_opened(path, name, None, ""), name, "streets as lines")
    kinds = frame.geometry.geom_type
    is_missing = (frame.geometry.isna() | frame.geometry.is_empty).to_numpy()
    for number in np.flatnonzero(~kinds.isin(("LineString", "MultiLineString")) & ~is_missing):
        raise LayerError(f"{name}: feature {number + 1} is a {kinds.iloc[number]}, not a line: give streets as lines")
    if is_missing.all():
        raise LayerError(f"{name} has no feature with a geometry: give streets as lines")
    if missing := int(is_missing.sum()):
        note(f"{missing} of {len(frame)} features of {name} have no geometry and are left out")
    return _located(frame[~is_missing], name, None, "", WORLD)


def _with_geometry(frame: gpd.GeoDataFrame, name: str, wanted: str) -> gpd.GeoDataFrame:
    """Return features with their two-dimensional geometry in the column of that name."""
    # GeoParquet names its geometry, and PostGIS writes "geom"; a plain table has none.
    if getattr(frame, "active_geometry_name", None) is None or frame.empty:
        raise LayerError(f"{name} has no feature with a geometry: give {wanted}")
    frame = frame if frame.active_geometry_name == "geometry" else frame.rename_geometry("geometry")
    return frame.set_geometry(shapely.force_2d(frame.geometry.to_numpy()), crs=frame.crs)


def _located(frame: gpd.GeoDataFrame, name: str, crs: str | None, table: str, extent: Extent) -> gpd.GeoDataFrame:
    """Return features with a CRS, in which they are within the extent."""
    shapes = frame.geometry.to_numpy()
    if frame.crs is None:
        frame = frame.set_crs(_missing_crs(shapes, name, crs, table))
    check_extent(shapes, name, extent, frame.crs.to_string())
    return frame


def check_polygons(shapes: Any, name: str) -> None:
    """Check that every feature is an area.

    Raises:
        LayerError: The first feature that is a line or point, empty, or has a corner without a number.
    """
    areas = (shapely.get_type_id(shapes) == 3) | (shapely.get_type_id(shapes) == 6)
    for number in np.flatnonzero(~areas | shapely.is_empty(shapes)):
        what = "empty" if shapes[number] is None or shapes[number].is_empty else f"a {shapes[number].geom_type}"
        raise LayerError(f"{name}: feature {number + 1} is {what}, not a polygon: give the outlines of areas")
    corners, numbers = shapely.get_coordinates(shapes, return_index=True)
    for number in numbers[~np.isfinite(corners).all(axis=1)]:
        raise LayerError(f"{name}: feature {number + 1} has a corner whose coordinates are not numbers: correct it")


def check_extent(shapes: Any, name: str, extent: Extent, crs: str = WGS84) -> None:
    """Check that the middle of a layer is within an extent.

    Raises:
        LayerError: It is outside; the message says if it would be inside with its axes swapped.
    """
    west, south, east, north = shapely.total_bounds(shapes)
    x, y = (west + east) / 2, (south + north) / 2
    if _is_within(x, y, crs, extent):
        return
    if _is_within(y, x, crs, extent):
        raise LayerError(
            f"{name}: its axes are swapped (the middle is {x:.6g}, {y:.6g} in {crs}): export it again with x, or "
            "longitude, first"
        )
    raise LayerError(
        f"{name}: its middle {x:.6g}, {y:.6g} in {crs} is outside {_written(extent)}: check the CRS of the file and "
        "the bounds of the place"
    )


def _opened(source: Path | bytes, name: str, layer: str | None, table: str) -> gpd.GeoDataFrame:
    """Return a layer as it is.

    Raises:
        LayerError: It is missing, of no known format, or one of several.
    """
    import geopandas as gpd
    import pyogrio

    if isinstance(source, bytes):
        with _kept(source) as path:
            return _opened(path, name, layer, table)
    if not source.exists():
        raise LayerError(f"{name} does not exist")
    try:
        if source.suffix.lower() in _PARQUET:
            return gpd.read_parquet(source)
        place = _place(source, name)
        layers = [str(listed) for listed, _ in pyogrio.list_layers(place)]
        if (len(layers) > 1 and layer is None) or (layer is not None and layer not in layers):
            raise LayerError(_which(name, layers, layer, table))
        info = pyogrio.read_info(place, layer=layer)
        if info["driver"] == _INDIRECT:
            raise LayerError(f"{name} only names other files: give the file with the boundaries")
        frame = pyogrio.read_dataframe(place, layer=layer)
        encoding = _encoding(frame) if info["encoding"] == _UNSTATED else None
        return frame if encoding is None else pyogrio.read_dataframe(place, layer=layer, encoding=encoding)
    except LayerError:
        raise
    except Exception as error:  # Each format's library has its own errors.
        # The rest of a reason is advice to programmers, and the path that of a temporary file.
        reason = re.split(_ADVICE, (str(error).strip().splitlines() or [type(error).__name__])[0])[0]
        reason = reason.replace(str(source), "the file")
        raise LayerError(f"{name} cannot be read as a map layer ({reason})") from error


def _encoding(frame: gpd.GeoDataFrame) -> str | None:
    """Return the encoding of text that was read as ``_UNSTATED``; None if that is right, or makes no difference."""
    texts = [*frame.columns, *(value for name in frame.columns for value in frame[name] if isinstance(value, str))]
    content = "\n".join(texts).encode(_UNSTATED, errors="replace")
    if content.isascii():
        return None
    for encoding in _ENCODINGS:
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return None


@contextmanager
def _kept(content: bytes) -> Iterator[Path]:
    """Keep content in a temporary file, with the ending that its format needs."""
    ending = next((ending for start, ending in _ENDINGS.items() if content.startswith(start)), "")
    with NamedTemporaryFile(prefix="bongsu-", suffix=ending) as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


def _place(path: Path, name: str) -> str:
    """Return what OGR opens: the file, or the one map file in an archive, whatever folder it is in there."""
    if path.suffix.lower() != ".zip":
        return str(path)
    with ZipFile(path) as archive:
        inside = [PurePosixPath(member) for member in archive.namelist() if not member.startswith("__MACOSX/")]
    maps = [str(member) for member in inside if member.suffix.lower() in _IN_ARCHIVES]
    if len(maps) > 1:
        raise LayerError(f"{name} has several map files ({', '.join(maps)}): give an archive of one")
    return f"zip://{path}!{maps[0]}" if maps else str(path)


def _which(name: str, layers: Sequence[str], layer: str | None, table: str) -> str:
    listed = ", ".join(layers)
    if layer is not None:
        return f"{name} has no layer {layer!r}, but {listed}: correct its name"
    named = f"name one as resource of {table}, or " if table else ""
    return f"{name} has several layers ({listed}): {named}give a file with one"


def _missing_crs(shapes: Any, name: str, crs: str | None, table: str) -> str:
    """Return the CRS of a layer that states none."""
    if crs is not None:
        return crs
    west, south, east, north = shapely.total_bounds(shapes)
    x, y = max(abs(west), abs(east)), max(abs(south), abs(north))
    # Either axis may be the latitude: which one is, is checked against the place.
    if max(x, y) <= 180 and min(x, y) <= 90:
        return WGS84
    without = "add its .prj" if name.lower().endswith(".shp") else "export it with its CRS"
    advice = f"set crs of {table}" if table else without
    raise LayerError(
        f"{name} states no CRS, and its coordinates are not degrees (x {west:.6g} to {east:.6g}, y {south:.6g} to "
        f"{north:.6g}): {advice}"
    )


def _is_within(x: float, y: float, crs: str, extent: Extent) -> bool:
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(crs, WGS84, always_xy=True).transform(x, y)
    west, south, east, north = extent
    return bool(west <= lon <= east and south <= lat <= north)


def _written(extent: Extent) -> str:
    return ", ".join(f"{edge:g}" for edge in extent)
