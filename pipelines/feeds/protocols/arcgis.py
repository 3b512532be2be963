"""ArcGIS FeatureServer layers: paged JSON queries, each page one part of the delivery.

The client requests the layer's description (name of the object id, maximum page size, time of the last edit), its row
count and then its pages in object id order: each beyond the last id (key-set paging) where the layer orders rows, else
by offset. The flag for more pages is missing or always set at some servers, and an empty page need not be the last, so
the row count decides. Count and last edit must be the same before and after. Errors arrive with status 200 as an
`error` object. The object id numbers the rows of one publication and does not identify a record, so it is dropped when
parsing. Geometry is not requested, because point layers also have their coordinates as attributes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import polars as pl

from pipelines.feeds.feed import FeedError, Request
from pipelines.feeds.protocols import http
from pipelines.feeds.protocols.offset_pages import Changed, Page, bounded, pages, unchanged
from pipelines.schema.delivery import Delivery

__all__ = ["fetch", "parse"]


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer's state: whatever differs between begin and end of reading means that it changed."""

    object_id: str
    page_size: int
    has_order: bool
    rows: int
    edited: Mapping[str, Any]


def fetch(request: Request) -> Iterator[Delivery]:
    """Read a whole layer (`request.url` ends in its number) as one delivery: every page is a part, as received.

    Raises:
        FeedError: The layer cannot be read, does not page, or changed during each attempt.
    """
    with http.session() as client:
        yield Delivery(unchanged(lambda: _read(client, request)), None, request.window_end)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the attributes of all pages into one frame, without the object id. Pure.

    A page that begins with the last row of the one before it has that row once. Column types follow the values; a
    column with integers on one page and decimals on another is decimal.
    """
    # Page by page: decoding all pages at once would take ten times the memory of the frame.
    frames, last = [], None
    for number, part in enumerate(parts, start=1):
        page = http.decode(part, f"page {number}")
        name = page.get("objectIdFieldName") or ""
        rows = [feature["attributes"] for feature in page.get("features", ())]
        if rows and last is not None and rows[0].get(name) == last:
            rows = rows[1:]
        if rows:
            last = rows[-1].get(name)
            frames.append(pl.from_dicts(rows, infer_schema_length=None).drop(name, strict=False))
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def _read(client: httpx.Client, request: Request) -> tuple[bytes, ...]:
    """Return the pages of a layer that is the same before and after."""
    layer = _described(client, request)
    read = _by_key if layer.has_order else _by_offset
    numbered = read(client, request, layer)
    bounded(layer.rows, request.source.max_rows, http.place(request.url))
    if request.first_page:
        return (next(numbered)[0].body,)
    parts = [(page.body, fresh) for page, fresh in numbered]
    received = sum(fresh for _, fresh in parts)
    after = _described(client, request)
    if (after.rows, after.edited) != (layer.rows, layer.edited) or received != layer.rows:
        raise Changed(
            f"{http.place(request.url)} states {layer.rows} rows, sent {received}, and then states {after.rows}: "
            "it changed while it was read"
        )
    return tuple(body for body, _ in parts)


def _by_key(client: httpx.Client, request: Request, layer: _Layer) -> Iterator[tuple[Page, int]]:
    """Yield pages in object id order, each of the rows beyond the last one, and their numbers of rows."""
    received, last = 0, None
    while True:
        where = "1=1" if last is None else f"{layer.object_id} > {last}"
        page = _page(client, request, layer, {"where": where})
        if page.ids != sorted(set(page.ids)) or (last is not None and page.ids and page.ids[0] <= last):
            raise FeedError(
                f"{http.place(request.url)} ignores the order or condition of a query, although it states that it "
                "supports them: its pages cannot be read safely"
            )
        received += len(page.ids)
        if received > layer.rows:
            raise Changed(f"{http.place(request.url)} states {layer.rows} rows and sends more")
        yield page, len(page.ids)
        if not page.ids or (received >= layer.rows and not page.has_more):
            return
        last = page.ids[-1]


def _by_offset(client: httpx.Client, request: Request, layer: _Layer) -> Iterator[tuple[Page, int]]:
    """Yield pages in object id order by offset, and their numbers of new rows."""
    return pages(
        lambda offset: _page(client, request, layer, {"where": "1=1", "resultOffset": offset}),
        layer.rows,
        layer.page_size,
        http.place(request.url),
    )


def _page(client: httpx.Client, request: Request, layer: _Layer, which: Mapping[str, Any]) -> Page:
    query = {
        **which,
        "outFields": "*",
        "returnGeometry": "false",
        "orderByFields": layer.object_id,
        "resultRecordCount": layer.page_size,
    }
    answer, body = _ask(client, request, f"{request.url}/query", query)
    try:
        ids = [feature["attributes"][layer.object_id] for feature in answer.get("features", ())]
    except KeyError:
        raise FeedError(
            f"{http.place(request.url)} sent a row without its object id {layer.object_id}: check the feed's url"
        ) from None
    return Page(body, ids, bool(answer.get("exceededTransferLimit")))


def _described(client: httpx.Client, request: Request) -> _Layer:
    """Return the layer's description and its number of rows."""
    described, _ = _ask(client, request, request.url, {})
    counted, _ = _ask(client, request, f"{request.url}/query", {"where": "1=1", "returnCountOnly": "true"})
    try:
        rows = int(counted["count"])
    except (KeyError, TypeError, ValueError):
        raise FeedError(
            f"{http.place(request.url)} states no number of rows (returnCountOnly), but {', '.join(counted)}: "
            "without it a missing row would not be noticed; use another layer or server"
        ) from None
    capable = described.get("advancedQueryCapabilities") or {}
    return _Layer(
        object_id=_object_id(described, request.url),
        page_size=min(request.source.page_size, int(described.get("maxRecordCount") or request.source.page_size)),
        has_order=bool(capable.get("supportsOrderBy")),
        rows=rows,
        edited=described.get("editingInfo") or {},
    )


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
