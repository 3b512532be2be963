"""Pieces: landed batches read, held against what their feed declares, corrected and checked, some rows at a time.

While one piece is stored, the next is checked and the one after read and parsed, in threads of their own: memory is
bounded by the size of a piece and of a delivery, whatever the number of batches.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import polars as pl

from pipelines import corrections, landing, quality
from pipelines.areas import coordinates
from pipelines.feeds import inspection
from pipelines.feeds.feed import Feed, conform
from pipelines.landing import Batch
from pipelines.settings import Settings

PIECE_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a batch in the feed's declared columns, numbered through the batch in ``_row``, and their verdict.

    A batch that cannot be read ends with a piece that has no rows and no verdict but a ``problem``, and the number of
    rows that were found and not understood (``unread``). ``corrected`` is what `corrections.report` says of it.
    """

    batch: Batch
    frame: pl.DataFrame
    verdict: quality.Verdict | None = None
    problem: str = ""
    unread: int = 0
    corrected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=corrections.REPORT))


def pieces(
    settings: Settings, feed: Feed, batches: Iterable[Batch], only: Sequence[int] | None = None
) -> Iterator[Piece]:
    """The pieces of batches in order, checked; ``only`` some rows of them, if given."""
    read = _ahead(piece for batch in batches for piece in _pieces(settings, feed, batch))
    return _ahead(checked(feed, piece, only) for piece in read)


def checked(feed: Feed, piece: Piece, only: Sequence[int] | None = None) -> Piece:
    """A piece with the verdict of its feed's suite."""
    if piece.problem:
        return piece
    frame = piece.frame if only is None else piece.frame.filter(pl.col("_row").is_in(only))
    return replace(piece, frame=frame, verdict=quality.validate_rows(feed.suite, frame))


def _pieces(settings: Settings, feed: Feed, batch: Batch) -> Iterator[Piece]:
    source = settings.profile.feeds[feed.name]
    parts = landing.read(settings, batch)
    corrections.read(feed)  # a faulty file is no fault of the batch
    rows = parsed = 0
    try:
        for number, part in enumerate(parts, 1):
            media = source.result_type or feed.media
            inspection.inspect(part, media, feed.encoding, f"{feed.name}, part {number} of {len(parts)}")
        if feed.inspect:
            feed.inspect(parts, source, batch.window_start, batch.window_end)
        for some in _slices(parts):
            found = feed.parse(some)
            parsed = found.height
            frame = conform(feed, found)
            coordinates.hold(frame, feed, source, settings.profile.bounds)
            corrected = corrections.report(feed, frame)
            frame = corrections.apply(feed, frame)
            numbered = frame.with_columns(_row=pl.int_range(rows, rows + parsed, dtype=pl.Int64))
            yield Piece(batch, numbered, corrected=corrected)
            rows, parsed = rows + parsed, 0
    except corrections.CorrectionError:
        raise
    except Exception as error:  # foreign bytes may break a parser in any way; nothing of the batch is loaded
        nothing = pl.DataFrame(schema={"_row": pl.Int64})
        said = f"{type(error).__name__}: {error}"[:2000]
        yield Piece(batch, nothing, problem=said, unread=parsed)


def _ahead(made: Iterator[Piece]) -> Iterator[Piece]:
    """Each piece is made in a thread of its own while the one before is in use."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, made, None)
        while (piece := following.result()) is not None:
            following = pool.submit(next, made, None)
            yield piece


def _slices(parts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Consecutive parts of about equal size in all, none much larger than `PIECE_BYTES`."""
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
