"""Pages by offset, read so that no row is lost unnoticed while the source changes.

Each page begins with the last row of the page before it: a row that was added or deleted before that place shifts the
rows, and the page begins with another one. A source that changes is read again; one that never holds still is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pipelines.feeds.feed import FeedError

ATTEMPTS: Final = 3
"""How often a source is read that changes meanwhile."""

Result = TypeVar("Result")


class Changed(FeedError):
    """Report that the source changed while it was read."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as received, and the ids of its rows in order; ``has_more`` where the source states that more follow."""

    body: bytes
    ids: Sequence[Any]
    has_more: bool = False


def unchanged(read: Callable[[], Result]) -> Result:
    """Return the result of the first attempt during which the source did not change.

    Raises:
        FeedError: It changed in every attempt, or ``read`` raises it.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return read()
        except Changed:
            continue
    try:
        return read()
    except Changed as error:
        raise FeedError(f"{error}, in each of {ATTEMPTS} attempts; nothing was stored, run again") from None


def pages(ask: Callable[[int], Page], rows: int, size: int, where: str) -> Iterator[tuple[Page, int]]:
    """Yield pages and how many of their rows are new, until all rows are there or no more come.

    Args:
        ask: Returns the page at an offset; it may be shorter than ``size``.
        rows: Number of rows that the source states.
        size: Rows requested per page.
        where: The source, for messages.

    Raises:
        Changed: Rows moved between pages, or one came twice.
        FeedError: The source ignores offsets, or sends pages without end.
    """
    seen: set[Any] = set()
    first = last = None
    offset, has_gaps = 0, False
    for _ in range(2 * rows // size + 10):
        overlap = int(last is not None and not has_gaps and size > 1)
        page = ask(offset - overlap)
        begins = page.ids[0] if page.ids else None
        if seen and begins == first and begins != last:
            raise FeedError(f"{where} begins each page with the same row: it ignores offsets and cannot be read whole")
        if overlap and begins != last:
            raise Changed(f"{where}: rows moved between pages at row {offset}")
        fresh = page.ids[overlap:]
        if not seen.isdisjoint(fresh):
            raise Changed(f"{where} sent a row twice, at row {offset}")
        seen.update(fresh)
        yield page, len(fresh)
        if len(seen) >= rows or not (fresh or page.has_more):
            return
        # An empty page that is not the last hides rows that the source leaves out of pages and counts in offsets.
        has_gaps = has_gaps or not fresh
        offset += size - overlap if has_gaps else len(fresh)
        first, last = (begins if first is None else first), page.ids[-1] if page.ids else last
    raise FeedError(f"{where} sends pages without end for {rows} rows: check the url in the profile")
