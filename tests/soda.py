"""A portal that answers like Socrata: tables of a few rows, or of the shared Chicago files, on loopback."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import polars as pl

from tests import replay

ASSAULTS, DISTRICTS = "aggr-aslt", "dist-rict"
PATHS = {"chicago_assaults": "", "chicago_districts": f"/resource/{DISTRICTS}.geojson?$limit=1000"}
_JSON = {"Content-Type": "application/json;charset=utf-8"}
_WHERE = re.compile(r"(\S+) >= '([^']+)' and (\S+) < '([^']+)'")

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class Portal:
    """Tables by id, each a frame of text or nested values, and other files by path.

    ``instants`` names the columns that are `calendar_date`; system fields always exist, generated if not given.
    """

    tables: dict[str, pl.DataFrame]
    files: Mapping[str, bytes]
    instants: Sequence[str] = ()

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """Status, headers and body."""
        if path in self.files:
            return 200, {"Content-Type": "application/geo+json"}, self.files[path]
        match = re.fullmatch(r"/(resource|api/views)/(\w{4}-\w{4})\.json", path)
        if not match or match[2] not in self.tables:
            return 404, _JSON, b'{"code": "dataset.missing", "error": true, "message": "Not found"}'
        frame = self.tables[match[2]]
        return 200, _JSON, self._described(frame) if match[1] == "api/views" else self._rows(frame, query)

    def _described(self, frame: pl.DataFrame) -> bytes:
        columns = [
            {"fieldName": name, "dataTypeName": "calendar_date" if name in self.instants else "text"}
            for name in frame.columns
            if not name.startswith(":")
        ]
        return orjson.dumps({"id": "table", "columns": columns})

    def _rows(self, frame: pl.DataFrame, query: Mapping[str, str]) -> bytes:
        if match := _WHERE.fullmatch(query.get("$where", "")):
            column, first, _, last = match.groups()
            instant = pl.col(column).str.strip_suffix("Z")
            frame = frame.filter((instant >= first.removesuffix("Z")) & (instant < last.removesuffix("Z")))
        if query.get("$select") == "count(*) as n":
            return orjson.dumps([{"n": str(frame.height)}])
        order = [name for name in query.get("$order", ":id").split(", ") if name in frame.columns]
        frame = frame.sort(order, maintain_order=True) if order else frame
        frame = frame if ":id" in frame.columns else frame.with_row_index(":id")
        selected = query.get("$select", "*").split(", ")
        wanted = pl.exclude("^:.*$") if selected == ["*"] else pl.col([n for n in selected if n in frame.columns])
        page = frame.slice(int(query.get("$offset", 0)), int(query.get("$limit", 1000))).select(wanted)
        # SODA leaves out null values.
        return orjson.dumps([{k: v for k, v in row.items() if v is not None} for row in page.to_dicts()])


def chicago(folder: Path | None = None, rows: int | None = None) -> Portal:
    """The shared Chicago files: assaults as a table, police districts as GeoJSON, without additions."""
    folder = folder or replay.shared_data() / "chicago"
    frame = pl.read_parquet(folder / "aggravated_assaults.parquet").head(rows or 10**9)
    frame = frame.with_columns(
        pl.col("date").str.replace(" ", "T") + ":00.000", pl.col("longitude", "latitude", "district").cast(pl.String)
    )
    districts = geojson((folder / "police_districts.kml").read_bytes())
    return Portal({ASSAULTS: frame}, {f"/resource/{DISTRICTS}.geojson": districts}, instants=("date",))


@contextmanager
def serve(portal: Portal, port: int = 0) -> Iterator[str]:
    """Serve a portal on loopback and yield its base URL."""
    with replay.running(cache_answers(portal), port) as base:
        yield base


def urls(base: str) -> dict[str, str]:
    """The value of `BONGSU_URL_<FEED>` for every feed of the Chicago profile."""
    return {f"BONGSU_URL_{feed.upper()}": base + path for feed, path in PATHS.items()}


def geojson(kml: bytes) -> bytes:
    """Placemarks with polygons as a feature collection: `dist_num` their name, `dist_label` their description."""
    space = {"k": "http://www.opengis.net/kml/2.2"}
    features = []
    for place in ElementTree.fromstring(kml).iterfind(".//k:Placemark", space):
        polygons = [
            [_ring(ring.text or "") for ring in polygon.iterfind(".//k:coordinates", space)]
            for polygon in place.iterfind(".//k:Polygon", space)
        ]
        named = {
            "dist_num": place.findtext("k:name", "", space),
            "dist_label": place.findtext("k:description", "", space),
        }
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
        features.append({"type": "Feature", "properties": named, "geometry": geometry})
    return orjson.dumps({"type": "FeatureCollection", "features": features})


def _ring(text: str) -> list[list[float]]:
    return [[float(number) for number in corner.split(",")[:2]] for corner in text.split()]


def cache_answers(portal: Portal) -> Any:
    """Each page is built once and cached."""
    kept = cache(lambda path, query: portal.answer(path, dict(query)))
    return lambda path, query: kept(path, tuple(sorted(query.items())))
