"""Paged JSON exports of changes: `{"page": 1, "pages": 3, "total": 12000, "<records>": […]}`, key in a header."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import polars as pl

from pipelines.feeds.feed import FeedError, Request, TooLarge
from pipelines.feeds.protocols import http

SHIFTED = "records moved between pages while they were read and one may be missing; nothing was kept, run again"


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

    ``names`` are those of the window's two ends; ``opening`` is the sign with which each record begins.

    Raises:
        TooLarge: the window holds more records than one delivery may; nothing but its first page was read.
        FeedError: a page is not what it says, or the pages together lack records that the source counted.
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
            said = _described(part, records, opening, http.place(url, wanted))
            found = getattr(said, records)
            total = total if parts else said.total
            if total > request.source.max_rows:
                raise TooLarge(f"{url} counts {total:,} records from {start} to {end}", total)
            if said.page != len(parts) + 1:
                raise FeedError(f"{url} answered page {said.page} instead of {len(parts) + 1}: run again")
            if said.total != total:
                raise FeedError(f"{url} counted {total} records, then {said.total}: it changed while read; run again")
            if found and is_again(bytes(found[0]), parts):
                raise FeedError(f"{url} sent the last records of a page again on page {said.page}: {SHIFTED}")
            received += len(found)
            parts.append(part)
            if not found:
                break
    if received != total:
        raise FeedError(f"{url} counts {total} records from {start} to {end} but sent {received}: run again")
    return tuple(parts)


def is_again(first: bytes, parts: Sequence[bytes]) -> bool:
    """Whether a page begins with a record of the page before it.

    So pages look when a record was put in before them while they were read; the total may stay as it was if another
    went. Only the page before is searched: a source may list a record twice, and pages are many.
    """
    return bool(parts) and first in parts[-1]


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


def checked(found: Sequence[msgspec.Raw], opening: bytes = b"{") -> Sequence[msgspec.Raw]:
    """The records of a page, each of which must begin so.

    Raises:
        msgspec.ValidationError: one is of another kind.
    """
    if wrong := next((record for record in found if memoryview(record)[:1] != opening), None):
        raise msgspec.ValidationError(f"a record begins {bytes(wrong)[:20]!r}, not {opening!r}")
    return found


@cache
def _envelope(records: str) -> type[msgspec.Struct]:
    # Raw: records are checked and counted as they stand, and no object is made of them.
    fields: list[tuple[str, Any]] = [("page", int), ("total", int), (records, list[msgspec.Raw])]
    return msgspec.defstruct("Envelope", fields)


def _described(part: bytes, records: str, opening: bytes, where: str) -> Any:
    try:
        said = msgspec.json.decode(part.removeprefix(http.BOM), type=_envelope(records), strict=False)
        checked(getattr(said, records), opening)
        return said
    except msgspec.ValidationError as error:
        raise FeedError(
            f"{where} does not answer page, total and {records} ({error}): the export's format changed"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedError(f"{where}: expected JSON, but the answer begins {part[:80]!r} ({error})") from None
