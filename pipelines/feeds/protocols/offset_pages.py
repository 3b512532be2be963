"""Pages by offset or by number, read so that no row is lost unnoticed while the source changes.

Under offsets, each page begins with the last row of the page before it: a row that was added or deleted before that
place shifts the rows, and the page begins with another one. Numbered pages cannot overlap: each must state its number
and the same total, and no row may be on two of them. A source that changes is read again; one that never holds still is
refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar

import numpy as np

from pipelines.feeds.feed import FeedError, TooLarge

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


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """A page as received, a hash of each of its rows, the total and, where the source states it, the page's number."""

    body: bytes
    rows: Sequence[int]
    total: int
    number: int | None


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
        raise FeedError(
            f"{error}, in each of {ATTEMPTS} attempts; nothing was stored, run again; if it persists, ask the source"
        ) from None


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
    offset, has_gaps, limit = 0, False, 0
    for number in count(1):
        overlap = int(last is not None and not has_gaps and size > 1)
        page = ask(offset - overlap)
        if None in page.ids:
            raise FeedError(f"{where} sent a row without an id: a missing row would not be noticed; nothing was stored")
        begins = page.ids[0] if page.ids else None
        if seen and begins == first and begins != last:
            raise FeedError(f"{where} begins each page with the same row: it ignores offsets and cannot be read whole")
        if overlap and begins != last:
            raise Changed(f"{where}: rows moved between pages at row {offset}")
        fresh = page.ids[overlap:]
        if len(set(fresh)) < len(fresh) or not seen.isdisjoint(fresh):
            raise Changed(f"{where} sent a row twice, at row {offset}")
        seen.update(fresh)
        yield page, len(fresh)
        if len(seen) >= rows or not (fresh or page.has_more):
            return
        # A source may send fewer rows than requested, of which the overlap takes one.
        limit = limit or _most_pages(rows, min(size, len(page.ids) or size) - 1)
        if number >= limit:
            raise _endless(where, rows)
        # An empty page that is not the last hides rows that the source leaves out of pages and counts in offsets.
        has_gaps = has_gaps or not fresh
        offset += size - overlap if has_gaps else len(fresh)
        first, last = (begins if first is None else first), page.ids[-1] if page.ids else last


def bounded(total: int, most: int, where: str) -> None:
    """Check that a source that is read as a whole has at most the ``max_rows`` of its feed.

    Raises:
        FeedError: It has more; nothing was read.
    """
    if total > most:
        raise FeedError(
            f"{where} states {total:,} rows, more than the {most:,} of max_rows: raise max_rows of the feed in the "
            "profile"
        )


def numbered(ask: Callable[[int], NumberedPage], most: int, where: str) -> tuple[bytes, ...]:
    """Return all pages of a source that numbers them from 1 and states its total on each.

    Rows without an id are known by their content. A source that itself lists a row twice sends it on the same two pages
    when it is read again; only then are both accepted.

    Args:
        ask: Returns the page of a number.
        most: Number of rows that one delivery may hold.
        where: The source, for messages.

    Raises:
        TooLarge: The source counts more rows; only its first page was read.
        FeedError: Pages contradict each other in every attempt, or the source sends pages without end.
    """
    repeated: list[list[Sequence[int]]] = []

    def read() -> tuple[bytes, ...]:
        pages_read = list(_in_turn(ask, most, where))
        rows = [page.rows for page in pages_read]
        if _are_shared(rows) and rows not in repeated:
            repeated.append(rows)
            raise Changed(f"{where} sent records on two pages, other ones each time")
        return tuple(page.body for page in pages_read)

    return unchanged(read)


def _in_turn(ask: Callable[[int], NumberedPage], most: int, where: str) -> Iterator[NumberedPage]:
    """Yield pages until all rows are there.

    Raises:
        TooLarge, Changed, FeedError: As `numbered`.
    """
    first = ask(1)
    if first.total > most:
        raise TooLarge(f"{where} counts {first.total:,} rows, more than the {most:,} of max_rows", first.total)
    _check_number(first, 1, where)
    yield first
    earlier, received, limit = [first.rows], len(first.rows), _most_pages(first.total, len(first.rows))
    for number in count(2):
        if received >= first.total or not earlier[-1]:
            break
        if number > limit:
            raise _endless(where, first.total)
        page = ask(number)
        _check_number(page, number, where)
        if page.total != first.total:
            raise Changed(f"{where} counted {first.total} rows and then {page.total}: it changed while it was read")
        if page.rows in earlier:
            raise Changed(f"{where} returned page {earlier.index(page.rows) + 1} again instead of {number}")
        if page.rows and page.rows[0] in earlier[-1]:
            raise Changed(f"{where} repeated records of page {number - 1} on page {number}: records moved meanwhile")
        yield page
        received += len(page.rows)
        earlier.append(page.rows)
    if received != first.total:
        raise Changed(f"{where} counts {first.total} rows but sent {received}")


def _check_number(page: NumberedPage, number: int, where: str) -> None:
    if page.number not in (None, number):
        raise Changed(f"{where} returned page {page.number} instead of {number}")


def _most_pages(rows: int, per_page: int) -> int:
    """Return how many pages a source may send for its rows: later pages may be shorter than the first."""
    return 2 * rows // max(1, per_page) + 10


def _endless(where: str, rows: int) -> FeedError:
    return FeedError(f"{where} sends pages without end for {rows} rows: check the url in the profile")


def _are_shared(pages_rows: Sequence[Sequence[int]]) -> bool:
    """Return whether any two pages have a row in common."""
    distinct = [np.unique(np.asarray(rows, dtype=np.int64)) for rows in pages_rows]
    return sum(map(len, distinct)) != len(np.unique(np.concatenate(distinct)))
