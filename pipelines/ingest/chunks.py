"""Pieces: landed batches read, held against what their feed declares, corrected and checked, some rows at a time.

While one piece is stored, the next is checked and the one after read and parsed, in threads of their own: memory is
bounded by a few pieces and the bytes of a delivery or two, whatever the number of batches. A part of a delivery is
never cut: one that comes as a single file is a single piece, however large.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed, conform
from pipelines.feeds.protocols import byte_checks
from pipelines.quality import coordinates, corrections, future_dates, suites
from pipelines.store import landing
from pipelines.store.landing import Batch

PIECE_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a batch in the feed's declared columns, numbered through the batch in ``_row``, and their verdict.

    The last piece of a batch says so (``is_last``): who reads a batch to its end need not wait for the one after it,
    nor meet that one's errors. A batch that cannot be read ends with a piece that has no rows and no verdict but a
    ``problem``, and the number of rows in the whole delivery (``unread``). ``corrected`` is what `corrections.report`
    says of it.
    """

    batch: Batch
    frame: pl.DataFrame
    verdict: suites.Verdict | None = None
    is_last: bool = False
    problem: str = ""
    unread: int = 0
    corrected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=corrections.REPORT))


def pieces(
    settings: Settings, feed: Feed, batches: Iterable[Batch], only: Sequence[int] | None = None
) -> Generator[Piece]:
    """The pieces of batches in order, checked; ``only`` some rows of them, if given."""
    read = _ahead(piece for batch in batches for piece in _pieces(settings, feed, batch))
    return _ahead(checked(feed, piece, settings.profile.zone, only) for piece in read)


def checked(feed: Feed, piece: Piece, zone: ZoneInfo, only: Sequence[int] | None = None) -> Piece:
    """A piece with the verdict of its feed's suite, and on days that lie ahead of its delivery."""
    if piece.problem:
        return piece
    frame = piece.frame if only is None else piece.frame.filter(pl.col("_row").is_in(only))
    verdict = suites.validate_rows(feed.suite, frame)
    return replace(piece, frame=frame, verdict=future_dates.check(feed, frame, verdict, piece.batch.window_end, zone))


def _pieces(settings: Settings, feed: Feed, batch: Batch) -> Iterator[Piece]:
    source = settings.profile.feeds[feed.name]
    parts = landing.read(settings, batch)
    slices = list(_slices(parts))
    rows, is_inspected = 0, False
    try:
        for number, part in enumerate(parts, 1):
            content_type = source.result_type or feed.content_type
            byte_checks.inspect(part, content_type, feed.encoding, f"{feed.name}, part {number} of {len(parts)}")
        if feed.inspect:
            feed.inspect(parts, source, batch.window_start, batch.window_end)
        is_inspected = True
        for number, some in enumerate(slices, 1):
            frame = conform(feed, feed.parse(some))
            coordinates.check(frame, feed, source, settings.profile.bounds)
            corrected = corrections.report(feed, frame)
            frame = corrections.apply(feed, frame)
            numbered = frame.with_columns(_row=pl.int_range(rows, rows + frame.height, dtype=pl.Int64))
            yield Piece(batch, numbered, is_last=number == len(slices), corrected=corrected)
            rows += frame.height
    except corrections.CorrectionError:  # a faulty file is no fault of the batch
        raise
    except Exception as error:  # foreign bytes may break a parser in any way; nothing of the batch is loaded
        nothing = pl.DataFrame(schema={"_row": pl.Int64})
        said = f"{type(error).__name__}: {error}"[:2000]
        yield Piece(batch, nothing, is_last=True, problem=said, unread=_rows(feed, slices) if is_inspected else 0)


def _rows(feed: Feed, slices: Iterable[Sequence[bytes]]) -> int:
    """The rows of a delivery, understood or not; 0 if any of it cannot be parsed, however it is sliced."""
    try:
        return sum(feed.parse(some).height for some in slices)
    except Exception:  # foreign bytes, as above
        return 0


def _ahead(made: Iterator[Piece]) -> Generator[Piece]:
    """Each piece is made in a thread of its own while the one before is in use."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, made, None)
        while (piece := following.result()) is not None:
            following = pool.submit(next, made, None)
            yield piece


def _slices(parts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Consecutive whole parts, shared out about equally: each at most `PIECE_BYTES` without its last part."""
    total = sum(len(part) for part in parts)
    share = total / max(1, -(-total // PIECE_BYTES))
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= share:
            yield held
            held, size = [], 0
    if held or not parts:
        yield held
