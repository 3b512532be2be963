"""Paged JSON exports of changes: `{"page": 1, "pages": 3, "total": 12000, "<records>": […]}`, key in a header."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from pipelines.feeds import http
from pipelines.feeds.feed import FeedError, Request


def pages(request: Request, path: str, records: str, start: datetime, end: datetime) -> tuple[bytes, ...]:
    """Read all pages of the changes in [start, end), byte for byte.

    Raises:
        FeedError: a page is not what it says, or the pages together lack records that the source counted.
    """
    headers = {"X-API-Key": request.secret} if request.secret else None
    url = request.url.rstrip("/") + path
    parts: list[bytes] = []
    received, count, total = 0, 1, 0
    with http.session() as client:
        while len(parts) < count:
            wanted = {
                "updated_from": start.isoformat(),
                "updated_to": end.isoformat(),
                "page": len(parts) + 1,
                "page_size": request.source.page_size,
            }
            part = http.get(url, wanted, headers=headers, client=client)
            content = http.decode(part, http.place(url, wanted))
            page, count, total, found = _described(content, records, url)
            if page != len(parts) + 1:
                raise FeedError(f"{url} answered page {page} instead of {len(parts) + 1}: run again")
            received += found
            parts.append(part)
    if received != total:
        raise FeedError(f"{url} counts {total} records from {start} to {end} but sent {received}: run again")
    return tuple(parts)


def rows(parts: Sequence[bytes], records: str) -> pl.DataFrame:
    """The records of all pages, with whatever fields they bring; no records give an empty frame."""
    return unnested([pl.read_json(part, infer_schema_length=None)[records] for part in parts])


def unnested(lists: Sequence[pl.Series]) -> pl.DataFrame:
    """Lists of records, one per page, as one frame; a field that a page lacks is null there."""
    found = [
        pages.explode(empty_as_null=False, keep_nulls=False).struct.unnest()
        for pages in lists
        if isinstance(pages.dtype, pl.List) and isinstance(pages.dtype.inner, pl.Struct)
    ]
    return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()


def _described(content: dict[str, Any], records: str, url: str) -> tuple[int, int, int, int]:
    try:
        return int(content["page"]), int(content["pages"]), int(content["total"]), len(content[records])
    except (KeyError, TypeError, ValueError) as error:
        raise FeedError(
            f"{url} does not answer page, pages, total and {records} ({error!r}): the export's format changed"
        ) from error
