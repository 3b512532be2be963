"""The list of all current 112 calls: `GET /v1/incident-keys`, paged JSON, same key as `police_112`.

Calls may disappear at the source without a withdrawal in the export of changes; only a list of the current calls shows
this. Grain: one row per number. A row is only the number, so an unchanged number costs a mark and no new row. The
period that a list covers is not stored: numbers consist of a day and a running number, and a list is taken to cover the
days after that of its first number, up to its last number. A list that was cut off at either end therefore implies
nothing about the calls it lost. It is dated by `listed_at`, the source's own time (the earliest of its pages), not by
the time of the request.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import polars as pl

from pipelines.config.profile import FeedSource
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.protocols import paged_json
from pipelines.schema.delivery import Delivery

PATH = "/v1/incident-keys"
RECORDS = "keys"
DEFAULT_SPAN_DAYS = 400


class Page(msgspec.Struct):
    """One page as received."""

    page: int
    total: int
    listed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    keys: list[str]


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the numbers of all current calls of the last ``span_days`` as one delivery."""
    end = request.window_end.astimezone(UTC)
    start = end - timedelta(days=request.source.span_days or DEFAULT_SPAN_DAYS)
    parts = paged_json.pages(request, PATH, RECORDS, start, end, names=("reported_from", "reported_to"), opening=b'"')
    yield Delivery(parts, None, min(page.listed_at for page in _read(parts)).astimezone(UTC))


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the numbers of all pages."""
    return pl.DataFrame({"incident_no": _listed(page.keys for page in _read(parts))}, schema=FEED.columns)


def inspect(parts: Sequence[bytes], source: FeedSource, start: datetime | None, end: datetime) -> None:
    """Reject an empty or incomplete list of call numbers: calls missing from it would be treated as withdrawn.

    Raises:
        FeedError: A page is missing or repeated, pages are of different lists, or a call number is repeated.
    """
    numbers: list[int] = []
    totals: set[int] = set()

    def noted() -> Iterator[list[str]]:
        for page in _read(parts):
            numbers.append(page.page)
            totals.add(page.total)
            yield page.keys

    keys = _listed(noted())
    if numbers != list(range(1, len(numbers) + 1)) or len(totals) > 1:
        raise FeedError(
            f"police_112_keys: pages {numbers} with totals {sorted(totals)} are not one complete "
            "list; no call is withdrawn because of it; the next run requests it again"
        )
    if keys.is_empty() or {len(keys)} != totals:
        raise FeedError(
            f"police_112_keys: the list states {sorted(totals)} numbers but has {len(keys)}: no call is withdrawn "
            "because "
            "of it; the next run requests it again"
        )
    if keys.n_unique() != len(keys):
        twice = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
        raise FeedError(
            f"police_112_keys: {len(twice)} numbers are repeated, first {twice[0]!r}: pages overlap; run again"
        )


def _listed(pages: Iterable[list[str]]) -> pl.Series:
    """Return all numbers as one column: as Python strings they would take five times the memory."""
    return pl.concat([pl.Series(dtype=pl.String), *(pl.Series(keys, dtype=pl.String) for keys in pages)])


def _read(parts: Sequence[bytes]) -> Iterator[Page]:
    """Yield the pages, one at a time."""
    try:
        for part in parts:
            yield msgspec.json.decode(part, type=Page, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FeedError(
            f"police_112_keys: a page lacks page, total, listed_at or keys ({error}): the format changed"
        ) from None


FEED = Feed(
    name="police_112_keys",
    agency="police",
    load_type="snapshot",
    columns={"incident_no": pl.String},
    fetch=fetch,
    parse=parse,
    inspect=inspect,
    is_reference=True,
)
