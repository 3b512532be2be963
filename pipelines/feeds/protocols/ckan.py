"""CKAN datastores: `datastore_search` pages, each one part of the delivery.

`resource` of the feed in the profile is the id of a datastore resource, or the name of a package, whose first datastore
resource is then used: portals give a resource a new id when they reload it, but the package keeps its name. Every
record has `_id`, the row number in the portal's table, which orders the pages. Total and time of modification must be
the same before and after.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import polars as pl

from pipelines.feeds.feed import FeedError, Request
from pipelines.feeds.protocols import http
from pipelines.feeds.protocols.offset_pages import Changed, Page, bounded, pages, unchanged
from pipelines.schema.delivery import Delivery

__all__ = ["fetch", "parse"]

_RESOURCE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def fetch(request: Request) -> Iterator[Delivery]:
    """Read a whole datastore resource (`request.url` is the portal) as one delivery: every page is a part, as received.

    Raises:
        FeedError: The portal cannot be read, or the resource changed during each attempt.
    """
    named = request.source.resource
    if not named:
        raise FeedError(f"{http.place(request.url)}: set `resource` of this feed in the profile")
    with http.session() as client:
        resource = named if _RESOURCE_ID.fullmatch(named) else _resource(client, request, named)
        parts = unchanged(lambda: _read(client, request, resource))
    yield Delivery(parts, None, request.window_end)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the records of all pages into one frame, `_id` included; nested values (geometry) as JSON text. Pure.

    A page that begins with the last record of the one before it has that record once.
    """
    frames, last = [], None
    for number, part in enumerate(parts, start=1):
        records = _result(http.decode(part, f"page {number}"), f"page {number}").get("records") or []
        if records and last is not None and records[0].get("_id") == last:
            records = records[1:]
        if records:
            last = records[-1].get("_id")
            frames.append(_frame(records))
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def _frame(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    frame = pl.from_dicts(records, infer_schema_length=None)
    nested = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]
    return frame.with_columns(pl.col(name).struct.json_encode() for name in nested)


def _resource(client: httpx.Client, request: Request, package: str) -> str:
    answer, _ = _ask(client, request, "package_show", {"id": package})
    active = [resource["id"] for resource in answer["resources"] if resource.get("datastore_active")]
    if not active:
        raise FeedError(
            f"{http.place(request.url)}: the package {package!r} has no datastore resource; "
            "look it up on the portal and set `resource` of this feed in the profile"
        )
    return str(active[0])


def _read(client: httpx.Client, request: Request, resource: str) -> tuple[bytes, ...]:
    """Return the pages of a resource whose total stays the same. A portal may send fewer rows than requested."""
    totals: list[int] = []

    def ask(offset: int) -> Page:
        query = {"resource_id": resource, "limit": request.source.page_size, "offset": offset, "sort": "_id"}
        result, body = _ask(client, request, "datastore_search", query)
        totals.append(_total(result, http.place(request.url)))
        return Page(body, [record.get("_id") for record in result.get("records") or ()])

    modified = _modified(client, request, resource)
    counted, _ = _ask(client, request, "datastore_search", {"resource_id": resource, "limit": 0})
    total = _total(counted, http.place(request.url))
    in_turn = pages(ask, total, request.source.page_size, http.place(request.url))
    bounded(total, request.source.max_rows, http.place(request.url))
    if request.first_page:
        return (next(in_turn)[0].body,)
    parts = list(in_turn)
    received = sum(fresh for _, fresh in parts)
    if {total, *totals} != {received}:
        raise Changed(
            f"{http.place(request.url)}: {resource} states {sorted({total, *totals})} rows but sent {received}: it "
            "changed while it was read"
        )
    if _modified(client, request, resource) != modified:
        raise Changed(f"{http.place(request.url)}: {resource} was published again while it was read")
    return tuple(page.body for page, _ in parts)


def _total(result: Mapping[str, Any], where: str) -> int:
    try:
        return int(result["total"])
    except (KeyError, TypeError, ValueError):
        raise FeedError(
            f"{where} states no total of the rows, but {result.get('total')!r}: without it a missing row would not be "
            "noticed; check that `resource` of the feed in the profile is in the datastore"
        ) from None


def _modified(client: httpx.Client, request: Request, resource: str) -> object:
    """Return when the resource was last modified; None where the portal does not state it."""
    try:
        return _ask(client, request, "resource_show", {"id": resource})[0].get("last_modified")
    except FeedError:
        return None


def _ask(
    client: httpx.Client, request: Request, action: str, params: Mapping[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """Return the result of one action, and the answer as received."""
    url = f"{request.url.rstrip('/')}/api/3/action/{action}"
    headers = {"Authorization": request.secret} if request.secret else None
    body = http.get(url, params, headers=headers, client=client)
    where = http.place(url, params)
    return _result(http.decode(body, where), where), body


def _result(answer: Mapping[str, Any], where: str) -> dict[str, Any]:
    result = answer.get("result")
    if answer.get("success") is not True or not isinstance(result, dict):
        error = answer.get("error") or {}
        raise FeedError(f"{where}: the portal reports a failure: {error.get('message') or error or 'no reason given'}")
    return result
