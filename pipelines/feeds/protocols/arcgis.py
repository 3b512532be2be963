"""ArcGIS FeatureServer layers: paged JSON queries, each page one part of the delivery.

A layer is asked for its description (name of the object id, longest page), its number of rows and then its pages
in the order of the object id. Errors come with status 200 as an `error` object. The object id numbers the rows of
one publication and says nothing of a record's identity, so it is dropped when parsing; geometry is not asked for,
as point layers carry their coordinates as attributes too.
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
    """Read a whole layer (`request.url` ends in its number) as one delivery: every page a part, as received.

    Raises:
        FeedError: the layer cannot be read, or its pages do not add up to the number of rows it states.
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
            "was read, or pages overlap; nothing was kept, read it again"
        )
    yield Delivery(tuple(body for body, _ in pages), None, request.window_end)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """The attributes of all pages as one frame, without the object id. Pure.

    Column types follow the values; a column that is whole numbers on one page and decimal on another is decimal.
    """
    # Page by page: all pages decoded at once would take ten times the memory of the frame.
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
    """Pages and their numbers of rows, until the layer says that no more follow."""
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
            raise FeedError(f"{http.place(query)} sends empty pages although more rows follow (at row {offset})")


def _object_id(layer: Mapping[str, Any], url: str) -> str:
    """The column to order by: without one order, pages may overlap."""
    named = layer.get("objectIdField") or next(
        (field["name"] for field in layer.get("fields", ()) if field.get("type") == "esriFieldTypeOID"), None
    )
    if not named:
        raise FeedError(
            f"{http.place(url)} names no object id: is this a FeatureServer layer, such as …/FeatureServer/0?"
        )
    return str(named)


def _ask(client: httpx.Client, request: Request, url: str, params: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """One answer, decoded and as received."""
    asked = {**params, "f": "json", "token": request.secret}
    body = http.get(url, asked, client=client)
    where = http.place(url, params)
    answer = http.decode(body, where)
    if "error" in answer:
        error = answer["error"]
        raise FeedError(
            f"{where}: the layer answers with error {error.get('code')}: {error.get('message')} "
            f"{'; '.join(map(str, error.get('details') or ()))}".rstrip()
            + "; check the feed's url in the profile, or try again later"
        )
    return answer, body
