"""Paged JSON exports of changes: `{"page": 1, "pages": 3, "total": 12000, "<records>": […]}`, key in a header."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import polars as pl

from pipelines.feeds import http
from pipelines.feeds.feed import FeedError, Request, TooLarge


class Record(msgspec.Struct):
    """A record: its JSON is checked and counted, and no object made of it."""


def pages(
    request: Request,
    path: str,
    records: str,
    start: datetime,
    end: datetime,
    *,
    names: tuple[str, str] = ("updated_from", "updated_to"),
    record: type = Record,
) -> tuple[bytes, ...]:
    """Read all pages of the changes in [start, end), byte for byte; ``names`` are those of the window's two ends.

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
            said = _described(part, records, record, http.place(url, wanted))
            total = total if parts else said.total
            if total > request.source.max_rows:
                raise TooLarge(f"{url} counts {total:,} records from {start} to {end}", total)
            if said.page != len(parts) + 1:
                raise FeedError(f"{url} answered page {said.page} instead of {len(parts) + 1}: run again")
            if said.total != total:
                raise FeedError(f"{url} counted {total} records, then {said.total}: it changed while read; run again")
            received += len(getattr(said, records))
            parts.append(part)
            if not getattr(said, records):
                break
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


@cache
def _envelope(records: str, record: type) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any]] = [("page", int), ("total", int), (records, list[record])]  # type: ignore[valid-type]
    return msgspec.defstruct("Envelope", fields)


def _described(part: bytes, records: str, record: type, where: str) -> Any:
    try:
        return msgspec.json.decode(part.removeprefix(http.BOM), type=_envelope(records, record), strict=False)
    except msgspec.ValidationError as error:
        raise FeedError(
            f"{where} does not answer page, total and {records} ({error}): the export's format changed"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedError(f"{where}: expected JSON, but the answer begins {part[:80]!r} ({error})") from None
