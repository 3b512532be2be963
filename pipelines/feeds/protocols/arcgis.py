"""ArcGIS FeatureServer layers: paged JSON queries, each page one part of the delivery.

The client requests the layer's description (name of the object id, maximum page size), its row count and then its pages
in object id order. Errors arrive with status 200 as an `error` object. The object id numbers the rows of one
publication and does not identify a record, so it is dropped when parsing. Geometry is not requested, because point
layers also have their coordinates as attributes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import polars as pl

from pipelines.feeds.feed import FeedError, Request
from pipelines.feeds.protocols import http
from pipelines.schema.delivery import Delivery

__all__ = ["fetch", "parse"]


def fetch(request: Request) -> Iterator[Delivery]:
    """Read a whole layer (`request.url` ends in its number) as one delivery: every page is a part, as received.

    Raises:
        FeedError: The layer cannot be read, or its pages do not match the row count it states.
    """
    with http.session() as client:
        layer, _ = _ask(client, request, request.url, {})
        query = f"{request.url}/query"
        counted, _ = _ask(client, request, query, {"where": "1=1", "returnCountOnly": "true"})
        pages = list(_pages(client, request, query, layer))
    received = sum(rows for _, rows in pages)
    if received != counted.get("count"):
        raise FeedError(
            f"{http.place(query)} states {counted.get('count')} rows but sent {received}: the layer changed while it "
            "was read, or pages overlap; nothing was stored, run again"
        )
    yield Delivery(tuple(body for body, _ in pages), None, request.window_end)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the attributes of all pages into one frame, without the object id. Pure.

    Column types follow the values; a column with integers on one page and decimals on another is decimal.
    """
    # Page by page: decoding all pages at once would take ten times the memory of the frame.
    frames = [_frame(http.decode(part, f"page {number}")) for number, part in enumerate(parts, start=1)]
    filled = [frame for frame in frames if frame.height]
    return pl.concat(filled, how="diagonal_relaxed") if filled else pl.DataFrame()


def _frame(page: Mapping[str, Any]) -> pl.DataFrame:
    rows = [feature["attributes"] for feature in page.get("features", ())]
    if not rows:
        return pl.DataFrame()
    frame = pl.from_dicts(rows, infer_schema_length=None)
    return frame.drop(page.get("objectIdFieldName") or [], strict=False)


def _pages(client: httpx.Client, request: Request, query: str, layer: Mapping[str, Any]) -> Iterator[tuple[bytes, int]]:
    """Yield pages and their row counts, until the layer reports that there are no more."""
    size = min(request.source.page_size, int(layer.get("maxRecordCount") or request.source.page_size))
    offset = 0
    while True:
        page, body = _ask(
            client,
            request,
            query,
            {
                "where": "1=1",
                "outFields": "*",
                "returnGeometry": "false",
                "orderByFields": _object_id(layer, request.url),
                "resultOffset": offset,
                "resultRecordCount": size,
            },
        )
        rows = len(page.get("features", ()))
        yield body, rows
        offset += rows
        if not page.get("exceededTransferLimit"):
            return
        if not rows:
            raise FeedError(f"{http.place(query)} sent an empty page although more rows follow (at row {offset})")


def _object_id(layer: Mapping[str, Any], url: str) -> str:
    """Return the column to order by: pages without a fixed order may overlap."""
    named = layer.get("objectIdField") or next(
        (field["name"] for field in layer.get("fields", ()) if field.get("type") == "esriFieldTypeOID"), None
    )
    if not named:
        raise FeedError(
            f"{http.place(url)} has no object id: check that the url is a FeatureServer layer, such as "
            "…/FeatureServer/0"
        )
    return str(named)


def _ask(client: httpx.Client, request: Request, url: str, params: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return one answer, decoded and as received."""
    query = {**params, "f": "json", "token": request.secret}
    body = http.get(url, query, client=client)
    where = http.place(url, params)
    answer = http.decode(body, where)
    if "error" in answer:
        error = answer["error"]
        raise FeedError(
            f"{where}: the layer returned error {error.get('code')}: {error.get('message')} "
            f"{'; '.join(map(str, error.get('details') or ()))}".rstrip()
            + "; check the feed's url in the profile, or try again later"
        )
    return answer, body
