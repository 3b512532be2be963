"""Chunks: landed batches, checked against the feed's declaration, corrected and checked by its suite, chunk by chunk.

While one chunk is stored, the next is checked and the one after read and parsed, in separate threads: memory is bounded
by a few chunks and the bytes of one or two deliveries, whatever the number of batches. A part of a delivery is never
split: a delivery in a single file is a single chunk, however large.
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

CHUNK_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a batch in the feed's declared columns, numbered through the batch in ``_row``, and their verdict.

    The last chunk of a batch has ``is_last``: a reader of one batch need not wait for the next one or meet its errors.
    A batch that cannot be read ends with a chunk without rows and verdict but with a ``problem``, and the number of
    rows in the whole delivery (``unread``). ``corrected`` is the result of `corrections.report`.
    """

    batch: Batch
    frame: pl.DataFrame
    verdict: suites.Verdict | None = None
    is_last: bool = False
    problem: str = ""
    unread: int = 0
    corrected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=corrections.REPORT))


def read(
    settings: Settings, feed: Feed, batches: Iterable[Batch], only: Sequence[int] | None = None
) -> Generator[Chunk]:
    """Yield the chunks of batches in order, checked; only the rows ``only``, if given."""
    read = _ahead(chunk for batch in batches for chunk in _chunks(settings, feed, batch))
    return _ahead(checked(feed, chunk, settings.profile.zone, only) for chunk in read)


def checked(feed: Feed, chunk: Chunk, zone: ZoneInfo, only: Sequence[int] | None = None) -> Chunk:
    """Return a chunk with the verdict of its feed's suite, including future-dated records."""
    if chunk.problem:
        return chunk
    frame = chunk.frame if only is None else chunk.frame.filter(pl.col("_row").is_in(only))
    verdict = suites.validate_rows(feed.suite, frame)
    return replace(chunk, frame=frame, verdict=future_dates.check(feed, frame, verdict, chunk.batch.window_end, zone))


def _chunks(settings: Settings, feed: Feed, batch: Batch) -> Iterator[Chunk]:
    source = settings.profile.feeds[feed.name]
    parts = landing.read(settings, batch)
    slices = list(_slices(parts))
    rows, is_inspected = 0, False
    try:
        for number, part in enumerate(parts, 1):
            content_type = source.result_type or feed.content_type
            if content_type != "binary":
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
            yield Chunk(batch, numbered, is_last=number == len(slices), corrected=corrected)
            rows += frame.height
    except corrections.CorrectionError:  # a faulty corrections file is not a fault of the batch
        raise
    except Exception as error:  # foreign bytes may break a parser in any way; the batch is not loaded
        nothing = pl.DataFrame(schema={"_row": pl.Int64})
        problem = f"{type(error).__name__}: {error}"[:2000]
        yield Chunk(batch, nothing, is_last=True, problem=problem, unread=_rows(feed, slices) if is_inspected else 0)


def _rows(feed: Feed, slices: Iterable[Sequence[bytes]]) -> int:
    """Return the number of rows of a delivery; 0 if any part of it cannot be parsed, however it is sliced."""
    try:
        return sum(feed.parse(some).height for some in slices)
    except Exception:  # foreign bytes, as above
        return 0


def _ahead(chunks: Iterator[Chunk]) -> Generator[Chunk]:
    """Yield chunks, reading each in a separate thread while the one before is in use."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, chunks, None)
        while (chunk := following.result()) is not None:
            following = pool.submit(next, chunks, None)
            yield chunk


def _slices(parts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield runs of whole parts of about equal size: each at most `CHUNK_BYTES` without its last part."""
    total = sum(len(part) for part in parts)
    share = total / max(1, -(-total // CHUNK_BYTES))
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= share:
            yield gathered
            gathered, size = [], 0
    if gathered or not parts:
        yield gathered
