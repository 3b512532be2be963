"""A replay server: the shared Toronto files on loopback, in the formats of the live portals; Chicago's: `tests.soda`.

    python -m tests.replay --port 8765        prints the BONGSU_URL_… lines to export, serves until interrupted

Police offences as an ArcGIS FeatureServer layer, fires and shootings as CKAN datastore resources, boundaries and
stations as GeoJSON downloads. A page is built once and cached. Only content of the files is served; the row numbers
(`ObjectId`, `_id`) are added as by the portals.
"""

import argparse
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import polars as pl

LAYER = "/arcgis/rest/services/Major_Crime_Indicators/FeatureServer/0"
MAX_RECORD_COUNT = 2000
PACKAGES = {"fire-incidents": "fire_incidents", "shootings-firearm-discharges": "shootings"}
RESOURCES = {
    "fire-incidents": "0f1e5000-0000-4000-8000-000000000001",
    "shootings-firearm-discharges": "0f1e5000-0000-4000-8000-000000000002",
}
PATHS = {
    "toronto_police_mci": LAYER,
    "toronto_fire_incidents": "/ckan",
    "toronto_shootings": "/ckan",
    "toronto_neighbourhoods": "/neighbourhoods.geojson",
    "toronto_police_facilities": "/police_facilities.geojson",
}
_ESRI_TYPES = {pl.String: "esriFieldTypeString", pl.Int64: "esriFieldTypeInteger", pl.Float64: "esriFieldTypeDouble"}


def shared_data() -> Path:
    """The folder of real records: `BONGSU_SHARED_DATA`, or `../shared/data` from the project's root."""
    root = Path(__file__).parent.parent
    return Path(os.environ.get("BONGSU_SHARED_DATA") or root.parent / "shared" / "data")


def urls(base: str) -> dict[str, str]:
    """The value of `BONGSU_URL_<FEED>` for every feed of the Toronto profile."""
    return {f"BONGSU_URL_{feed.upper()}": base + path for feed, path in PATHS.items()}


@contextmanager
def serve(folder: Path | None = None, *, rows: int | None = None, port: int = 0) -> Iterator[str]:
    """Serve `folder` on loopback and yield the base URL; `rows` keeps only the first rows of each file."""
    portal = Portal(folder or shared_data() / "toronto", rows)
    with running(portal.answer, port) as base:
        yield base


@contextmanager
def running(
    answer: Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], bytes]], port: int = 0
) -> Iterator[str]:
    """Serve the result of `answer(path, query)` (status, headers, body) on loopback and yield the base URL.

    The query is that of the URL, or the form of a POST.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections open
        disable_nagle_algorithm = True  # header and body are two writes; waiting between them costs 40 ms

        def do_GET(self) -> None:
            self._answer(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, form: str) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(form, keep_blank_values=True).items()}
            status, headers, body = answer(parts.path, query)
            self.send_response_only(status)  # no Date header: the caller defines the answer
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Portal:
    """The files of one folder, served as by the portals."""

    def __init__(self, folder: Path, rows: int | None = None) -> None:
        self._folder = folder
        self._rows = rows
        self._page = cache(self._make_page)
        self._lock = threading.Lock()
        self._frames: dict[str, pl.DataFrame] = {}

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body."""
        if path == LAYER:
            return _json(self._layer())
        if path == f"{LAYER}/query":
            return self._query(query)
        if path == "/ckan/api/3/action/package_show":
            return self._package(query.get("id", ""))
        if path == "/ckan/api/3/action/resource_show":
            return _json({"success": True, "result": {"id": query.get("id"), "last_modified": "2026-01-01T00:00:00"}})
        if path == "/ckan/api/3/action/datastore_search":
            return self._search(query)
        if path in ("/neighbourhoods.geojson", "/police_facilities.geojson"):
            return 200, {"Content-Type": "application/geo+json"}, (self._folder / path[1:]).read_bytes()
        return 404, {"Content-Type": "application/json"}, b'{"error": "not here"}'

    def _frame(self, name: str) -> pl.DataFrame:
        with self._lock:
            if name not in self._frames:
                frame = pl.read_parquet(self._folder / f"{name}.parquet").head(self._rows or 10**9)
                times = [column for column, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
                self._frames[name] = frame.with_columns(
                    pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%S+00:00") for column in times
                )
            return self._frames[name]

    def _layer(self) -> dict[str, Any]:
        return {
            "currentVersion": 11.1,
            "id": 0,
            "name": "Major_Crime_Indicators",
            "type": "Feature Layer",
            "objectIdField": "ObjectId",
            "maxRecordCount": MAX_RECORD_COUNT,
            "advancedQueryCapabilities": {"supportsPagination": True},
            "fields": self._fields(),
        }

    def _fields(self) -> list[dict[str, str]]:
        schema = self._frame("police_mci").schema
        return [
            {"name": "ObjectId", "type": "esriFieldTypeOID", "alias": "ObjectId"},
            *({"name": name, "type": _ESRI_TYPES[type(dtype)], "alias": name} for name, dtype in schema.items()),
        ]

    def _query(self, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if query.get("f") != "json" or query.get("where") != "1=1":
            error = {"code": 400, "message": "Cannot perform query.", "details": ["'where' and 'f' are required."]}
            return _json({"error": error})  # with status 200, as ArcGIS does
        if query.get("returnCountOnly") == "true":
            return _json({"count": self._frame("police_mci").height})
        size = min(int(query.get("resultRecordCount", MAX_RECORD_COUNT)), MAX_RECORD_COUNT)
        return 200, _JSON, self._page("layer", "", int(query.get("resultOffset", 0)), size)

    def _package(self, package: str) -> tuple[int, Mapping[str, str], bytes]:
        if package not in PACKAGES:
            error = {"message": "Not found", "__type": "Not Found Error"}
            return 404, _JSON, orjson.dumps({"success": False, "error": error})
        resources = [
            {"id": "0f1e5000-0000-4000-8000-0000000000ff", "datastore_active": False, "format": "XLSX"},
            {"id": RESOURCES[package], "datastore_active": True, "format": "CSV"},
        ]
        return _json({"success": True, "result": {"name": package, "resources": resources}})

    def _search(self, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        names = {RESOURCES[package]: name for package, name in PACKAGES.items()}
        name = names.get(query.get("resource_id", ""))
        if name is None:
            error = {"message": "Not found: Resource was not found.", "__type": "Not Found Error"}
            return 404, _JSON, orjson.dumps({"success": False, "error": error})
        limit = min(int(query.get("limit", 100)), 32_000)
        return 200, _JSON, self._page("datastore", name, int(query.get("offset", 0)), limit)

    def _make_page(self, kind: str, name: str, offset: int, size: int) -> bytes:
        if kind == "layer":
            frame = self._frame("police_mci").with_row_index("ObjectId", 1)
            rows = [{"attributes": row} for row in frame.slice(offset, size).to_dicts()]
            page: dict[str, Any] = {"objectIdFieldName": "ObjectId", "globalIdFieldName": "", "fields": self._fields()}
            page["features"] = rows
            if offset + size < frame.height:
                page["exceededTransferLimit"] = True
            return orjson.dumps(page)
        frame = self._frame(name)
        frame = frame.rename({"X_id": "_id"}) if "X_id" in frame.columns else frame.with_row_index("_id", 1)
        result = {
            "include_total": True,
            "limit": size,
            "offset": offset,
            "records_format": "objects",
            "total": frame.height,
            "total_was_estimated": False,
            "fields": [{"id": column, "type": str(dtype)} for column, dtype in frame.schema.items()],
            "records": frame.slice(offset, size).to_dicts(),
        }
        return orjson.dumps({"success": True, "result": result})


_JSON = {"Content-Type": "application/json;charset=utf-8"}


def _json(content: object) -> tuple[int, Mapping[str, str], bytes]:
    return 200, _JSON, orjson.dumps(content)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--city", choices=("toronto", "chicago"), default="toronto")
    parser.add_argument("--rows", type=int, default=None, help="serve only the first rows of each file")
    parser.add_argument("--data", type=Path, default=None, help="folder of the city's files")
    options = parser.parse_args()
    from tests import soda

    if options.city == "chicago":
        serving, addresses = soda.serve(soda.chicago(options.data, options.rows), options.port), soda.urls
    else:
        serving, addresses = serve(options.data, rows=options.rows, port=options.port), urls
    with serving as base:
        for name, url in addresses(base).items():
            print(f"export {name}='{url}'", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped", flush=True)


if __name__ == "__main__":
    main()
