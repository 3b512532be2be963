"""The list of all 112 calls that stand with the police: `GET /v1/incident-keys`, paged JSON, key as for `police_112`.

Calls may vanish at the source without a withdrawal in the export of changes; only a list of what stands can tell.
Grain: one row per number. A row is the number and nothing else, so that the same list next week costs a mark and no new
row. What span of time a list speaks of is not kept beside it: the numbers are days and running numbers, and a list is
taken to speak of the days after its first number's, up to its last number. A list that was cut off at an end so says
nothing of what it lost there. It is dated by `listed_at`, the source's own instant (the earliest of its pages), not by
when it was asked.
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
    """One page as it is answered."""

    page: int
    total: int
    listed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    keys: list[str]


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the numbers of all calls of the last ``span_days`` that stand, as one delivery."""
    end = request.window_end.astimezone(UTC)
    start = end - timedelta(days=request.source.span_days or DEFAULT_SPAN_DAYS)
    parts = paged_json.pages(request, PATH, RECORDS, start, end, names=("reported_from", "reported_to"), opening=b'"')
    yield Delivery(parts, None, min(page.listed_at for page in _read(parts)).astimezone(UTC))


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """The numbers of all pages."""
    return pl.DataFrame({"incident_no": _listed(page.keys for page in _read(parts))}, schema=FEED.columns)


def inspect(parts: Sequence[bytes], source: FeedSource, start: datetime | None, end: datetime) -> None:
    """Refuse a list that is empty or not whole: what it lacks would be taken for withdrawn.

    Raises:
        FeedError: pages are missing, repeated or of different lists, or a number comes twice.
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
            f"police_112_keys: pages {numbers} with totals {sorted(totals)} are not one whole "
            "list; nothing is withdrawn by it; the next run asks again"
        )
    if keys.is_empty() or {len(keys)} != totals:
        raise FeedError(
            f"police_112_keys: the list counts {sorted(totals)} numbers and holds {len(keys)}: nothing is withdrawn by "
            "it; the next run asks again"
        )
    if keys.n_unique() != len(keys):
        twice = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
        raise FeedError(
            f"police_112_keys: {len(twice)} numbers come twice, {twice[0]!r} first: pages overlap; run again"
        )


def _listed(pages: Iterable[list[str]]) -> pl.Series:
    """All numbers as one column: as Python's strings they would take five times the memory."""
    return pl.concat([pl.Series(dtype=pl.String), *(pl.Series(keys, dtype=pl.String) for keys in pages)])


def _read(parts: Sequence[bytes]) -> Iterator[Page]:
    """The pages, one at a time."""
    try:
        for part in parts:
            yield msgspec.json.decode(part, type=Page, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FeedError(
            f"police_112_keys: a page does not answer page, total, listed_at and keys ({error}): its format changed"
        ) from None


FEED = Feed(
    name="police_112_keys",
    agency="police",
    kind="snapshot",
    columns={"incident_no": pl.String},
    fetch=fetch,
    parse=parse,
    inspect=inspect,
    is_reference=True,
)
