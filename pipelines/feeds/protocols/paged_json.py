"""Paged JSON exports of changes: `{"page": 1, "pages": 3, "total": 12000, "<records>": […]}`, key in a header."""

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import polars as pl

from pipelines.feeds.feed import FeedError, Request
from pipelines.feeds.protocols import http
from pipelines.feeds.protocols.offset_pages import NumberedPage, numbered


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
        FeedError: A page is not what it states, or the pages contradicted each other in every attempt.
    """
    headers = {"X-API-Key": request.secret} if request.secret else None
    url = request.url.rstrip("/") + path
    window = {names[0]: start.isoformat(), names[1]: end.isoformat()}
    with http.session() as client:

        def ask(number: int) -> NumberedPage:
            wanted = {**window, "page": number, "page_size": request.source.page_size}
            part = http.get(url, wanted, headers=headers, client=client)
            page = _described(part, records, opening, http.place(url, wanted))
            return NumberedPage(part, hashes(getattr(page, records)), page.total, page.page)

        if request.first_page:
            return (ask(1).body,)
        return numbered(ask, request.source.max_rows, http.place(url, window))


def hashes(records: Iterable[msgspec.Raw]) -> Sequence[int]:
    """Return a hash of each record's bytes, in the memory of a list of numbers: a list of keys has millions."""
    return array("q", (hash(bytes(record)) for record in records))


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
