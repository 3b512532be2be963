"""Paged JSON exports of changes: `{"page": 1, "pages": 3, "total": 12000, "<records>": […]}`, key in a header."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import polars as pl

from pipelines.feeds.feed import FeedError, Request, TooLarge
from pipelines.feeds.protocols import http

SHIFTED = "records moved between pages while they were read and one may be missing; nothing was stored, run again"


def pages(
    request: Request,
    path: str,
    records: str,
    start: datetime,
    end: datetime,
    *,
    names: tuple[str, str] = ("updated_from", "updated_to"),
    opening: bytes = b"{",
) -> tuple[bytes, ...]:
    """Read all pages of the changes in [start, end), byte for byte.

    ``names`` are the parameters of the window's two ends; ``opening`` is the byte with which each record begins.

    Raises:
        TooLarge: The window has more records than one delivery may hold; only its first page was read.
        FeedError: A page is not what it states, or the pages lack records that the source counted.
    """
    headers = {"X-API-Key": request.secret} if request.secret else None
    url = request.url.rstrip("/") + path
    parts: list[bytes] = []
    received, total = 0, 1
    with http.session() as client:
        while received < total:
            wanted = {
                names[0]: start.isoformat(),
                names[1]: end.isoformat(),
                "page": len(parts) + 1,
                "page_size": request.source.page_size,
            }
            part = http.get(url, wanted, headers=headers, client=client)
            page = _described(part, records, opening, http.place(url, wanted))
            page_records = getattr(page, records)
            total = total if parts else page.total
            if total > request.source.max_rows:
                raise TooLarge(f"{url} counts {total:,} records from {start} to {end}", total)
            if page.page != len(parts) + 1:
                raise FeedError(f"{url} returned page {page.page} instead of {len(parts) + 1}: run again")
            if page.total != total:
                raise FeedError(
                    f"{url} counted {total} records, then {page.total}: it changed while it was read; run again"
                )
            if page_records and is_again(bytes(page_records[0]), parts):
                raise FeedError(f"{url} repeated the last records of a page on page {page.page}: {SHIFTED}")
            received += len(page_records)
            parts.append(part)
            if not page_records:
                break
    if received != total:
        raise FeedError(f"{url} counts {total} records from {start} to {end} but sent {received}: run again")
    return tuple(parts)


def is_again(first: bytes, parts: Sequence[bytes]) -> bool:
    """Return whether a page begins with a record of the page before it.

    This happens when a record is inserted before them while they are read; the total may stay the same if another was
    removed. Only the previous page is searched: a source may list a record twice, and there are many pages.
    """
    return bool(parts) and first in parts[-1]


def rows(parts: Sequence[bytes], records: str) -> pl.DataFrame:
    """Parse the records of all pages with all their fields; without records, return an empty frame."""
    return unnested([pl.read_json(part, infer_schema_length=None)[records] for part in parts])


def unnested(lists: Sequence[pl.Series]) -> pl.DataFrame:
    """Combine lists of records, one per page, into one frame; a field that a page lacks is null."""
    frames = [
        pages.explode(empty_as_null=False, keep_nulls=False).struct.unnest()
        for pages in lists
        if isinstance(pages.dtype, pl.List) and isinstance(pages.dtype.inner, pl.Struct)
    ]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def checked(records: Sequence[msgspec.Raw], opening: bytes = b"{") -> Sequence[msgspec.Raw]:
    """Return the records of a page after checking that each begins with `opening`.

    Raises:
        msgspec.ValidationError: A record begins differently.
    """
    if wrong := next((record for record in records if memoryview(record)[:1] != opening), None):
        raise msgspec.ValidationError(f"a record begins {bytes(wrong)[:20]!r}, not {opening!r}")
    return records


@cache
def _envelope(records: str) -> type[msgspec.Struct]:
    # Raw: records are checked and counted without building objects.
    fields: list[tuple[str, Any]] = [("page", int), ("total", int), (records, list[msgspec.Raw])]
    return msgspec.defstruct("Envelope", fields)


def _described(part: bytes, records: str, opening: bytes, where: str) -> Any:
    try:
        page = msgspec.json.decode(part.removeprefix(http.BOM), type=_envelope(records), strict=False)
        checked(getattr(page, records), opening)
        return page
    except msgspec.ValidationError as error:
        raise FeedError(
            f"{where} returned no page, total or {records} ({error}): the export's format changed"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedError(f"{where}: expected JSON, but the answer begins {part[:80]!r} ({error})") from None
