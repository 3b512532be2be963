"""Raw: landed batches parsed, checked and merged into ``raw.<feed>``.

A keyed feed keeps every version of every record: any order, split or repetition of deliveries ends in the same table.
A snapshot feed numbers identical rows inside a delivery and remembers the first and last snapshot that held each.

A batch goes in pieces of bounded size: while one is stored, the next is checked and the one after read and parsed, in
threads of their own. Nothing of a batch reaches ``raw`` before all of it is known: till then its accepted rows wait
in the temporary table ``_batch``.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import duckdb
import polars as pl

from pipelines import landing, quality
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
    rows that were found and not understood (``unread``).
    """

    batch: Batch
    frame: pl.DataFrame
    verdict: quality.Verdict | None = None
    problem: str = ""
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Gathered:
    """A whole batch held against its suite; what was accepted of it is in the table ``_batch``.

    ``quarantined`` has the columns of ``ops.quarantine``, ``results`` those of `quality.RESULTS`.
    """

    received: int
    accepted: int
    quarantined: pl.DataFrame
    results: pl.DataFrame
    problem: str = ""

    @property
    def bad(self) -> int:
        """The number of rows that failed."""
        return self.received - self.accepted

    def counts(self, loaded: int) -> dict[str, int]:
        """The accounting of its rows once so many of them were new."""
        return {
            "received": self.received,
            "loaded": loaded,
            "unchanged": self.accepted - loaded,
            "quarantined": self.bad,
        }


def prepare(con: duckdb.DuckDBPyConnection, feed: Feed) -> None:
    """Make ``raw.<feed>``, empty, if it is not there: a feed that never delivered still has its table."""
    declared = pl.DataFrame(schema={**feed.columns, "_extra": pl.String, "_row": pl.Int64})
    con.register("_declared", declared.to_arrow())
    seen = ", 0::bigint as _copy, '' as _first_snapshot, '' as _last_snapshot" if feed.kind == "snapshot" else ""
    con.execute(
        f'create table if not exists raw."{feed.name}" as '
        f"select *, 0::ubigint as _row_hash, '' as _batch_id{seen} from _declared where false"
    )
    con.unregister("_declared")


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


def gather(con: duckdb.DuckDBPyConnection, feed: Feed, found: Iterable[Piece]) -> Gathered:
    """Put what the suite accepts of one batch into ``_batch`` and add up the rest.

    Stops at a piece with a problem: ``received`` then counts the rows that could be read.
    """
    _empty_batch(con, feed)
    received = accepted = 0
    quarantined, results, problem = [pl.DataFrame(schema=_QUARANTINED)], [pl.DataFrame(schema=quality.RESULTS)], ""
    for piece in found:
        received += piece.frame.height + piece.unread
        if piece.verdict is None:
            problem = piece.problem
            break
        accepted += piece.verdict.accepted.height
        _append(con, feed, piece.batch, piece.verdict.accepted)
        quarantined.append(_quarantined(feed, piece.batch, piece.frame, piece.verdict))
        results.append(piece.verdict.results)
    return Gathered(received, accepted, pl.concat(quarantined), quality.summed(pl.concat(results)), problem)


def objection(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, gathered: Gathered) -> str:
    """Why a batch that could be read is not merged all the same; empty if nothing speaks against it."""
    limit = settings.profile.feeds[feed.name].max_quarantine_share
    if gathered.bad > gathered.received * limit:
        return f"{gathered.bad} of {gathered.received} rows fail the suite, more than {limit:.0%}: rejected whole"
    is_empty = feed.kind == "snapshot" and not gathered.received
    if is_empty and con.execute(f'from raw."{feed.name}" limit 1').fetchall():
        return "an empty snapshot, after snapshots with rows: nothing changed"
    return ""


def merge(con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch) -> int:
    """Append what is new of ``_batch`` to ``raw.<feed>``; returns the number of new rows."""
    merged = _merge_keyed(con, feed) if feed.kind == "keyed" else _merge_snapshot(con, feed, batch)
    con.execute("drop table _batch")
    return merged


def keep_quarantined(con: duckdb.DuckDBPyConnection, gathered: Gathered) -> None:
    """Keep the failing rows of a batch in ``ops.quarantine``, whole, with the rule that each broke and its reason."""
    if gathered.quarantined.height:
        con.register("_quarantined", gathered.quarantined.to_arrow())
        con.execute("insert into ops.quarantine by name select * from _quarantined")
        con.unregister("_quarantined")


def keep_checks(con: duckdb.DuckDBPyConnection, batch: Batch, gathered: Gathered) -> None:
    """Keep how many rows of a batch each expectation checked and failed, in ``ops.checks``."""
    named = gathered.results.with_columns(batch_id=pl.lit(batch.batch_id), suite=pl.lit(batch.feed))
    con.register("_checks", named.to_arrow())
    con.execute("insert into ops.checks by name select * from _checks")
    con.unregister("_checks")


_QUARANTINED = {
    "feed": pl.String,
    "batch_id": pl.String,
    "row_number": pl.Int64,
    "expectation": pl.String,
    "reason": pl.String,
    "content": pl.String,
    "suite_version": pl.String,
}


def _pieces(settings: Settings, feed: Feed, batch: Batch) -> Iterator[Piece]:
    source = settings.profile.feeds[feed.name]
    parts = landing.read(settings, batch)
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
            yield Piece(batch, frame.with_columns(_row=pl.int_range(rows, rows + parsed, dtype=pl.Int64)))
            rows, parsed = rows + parsed, 0
    except Exception as error:  # foreign bytes may break a parser in any way; nothing of the batch is loaded
        nothing = pl.DataFrame(schema={"_row": pl.Int64})
        yield Piece(batch, nothing, problem=f"{type(error).__name__}: {error}"[:2000], unread=parsed)


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


def _empty_batch(con: duckdb.DuckDBPyConnection, feed: Feed) -> None:
    given = "* exclude (_copy, _first_snapshot, _last_snapshot)" if feed.kind == "snapshot" else "*"
    con.execute(f'create or replace temp table _batch as select {given} from raw."{feed.name}" where false')


def _append(con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch, accepted: pl.DataFrame) -> None:
    columns = ", ".join(f'"{name}"' for name in sorted(feed.columns))
    # Rows of a snapshot have nothing but their hash to be known by, and DuckDB's own gives one text in twelve the same
    # number when they differ in the last characters of two of their eight-byte blocks, as 20251225-11000023 may.
    own = f"md5_number_lower(row({columns})::varchar)" if feed.kind == "snapshot" else f"hash({columns})"
    con.register("_accepted", accepted.to_arrow(compat_level=pl.CompatLevel.newest()))
    con.execute(
        f"insert into _batch by name select *, {own} as _row_hash, ? as _batch_id from _accepted",
        [batch.batch_id],
    )
    con.unregister("_accepted")


def _merge_keyed(con: duckdb.DuckDBPyConnection, feed: Feed) -> int:
    """Only batches that repeat something, inside or from before, pay for looking at keys."""
    (repeats,) = con.execute(
        f"""
        select
            (select count(*) - count(distinct _row_hash) from _batch)
            + (select count(*) from raw."{feed.name}" semi join _batch using (_row_hash))
        """
    ).fetchall()[0]
    if not repeats:
        con.execute(f'insert into raw."{feed.name}" by name select * from _batch')
        return _changed(con)
    same = " and ".join(f'held."{name}" is not distinct from fresh."{name}"' for name in feed.key)
    keys = ", ".join(f'"{name}"' for name in feed.key)
    con.execute(
        f"""
        insert into raw."{feed.name}" by name
        with fresh as (
            select * from _batch qualify row_number() over (partition by _row_hash, {keys} order by _row) = 1
        ),
        held as (select {keys}, _row_hash from raw."{feed.name}" semi join _batch using (_row_hash))
        select fresh.* from fresh
        where not exists (select 1 from held where held._row_hash = fresh._row_hash and {same})
        """
    )
    return _changed(con)


def _merge_snapshot(con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch) -> int:
    snapshot = f"{batch.window_end.isoformat()}/{batch.batch_id}"
    con.execute(
        "create or replace temp table _copies as "
        "select *, row_number() over (partition by _row_hash order by _row) as _copy from _batch"
    )
    con.execute(
        f"""
        update raw."{feed.name}" held
        set _first_snapshot = least(_first_snapshot, $1), _last_snapshot = greatest(_last_snapshot, $1)
        from _copies fresh where held._row_hash = fresh._row_hash and held._copy = fresh._copy
        """,
        [snapshot],
    )
    con.execute(
        f"""
        insert into raw."{feed.name}" by name
        select fresh.*, $1 as _first_snapshot, $1 as _last_snapshot from _copies fresh
        where not exists (
            select 1 from raw."{feed.name}" held where held._row_hash = fresh._row_hash and held._copy = fresh._copy
        )
        """,
        [snapshot],
    )
    changed = _changed(con)
    con.execute("drop table _copies")
    return changed


def _changed(con: duckdb.DuckDBPyConnection) -> int:
    (count,) = con.fetchall()[0]
    return int(count)


def _quarantined(feed: Feed, batch: Batch, frame: pl.DataFrame, verdict: quality.Verdict) -> pl.DataFrame:
    if verdict.failures.is_empty():
        return pl.DataFrame(schema=_QUARANTINED)
    content = frame.join(verdict.failures.select("_row").unique(), on="_row", how="semi").select(
        "_row", content=pl.struct(*feed.columns).struct.json_encode()
    )
    return verdict.failures.join(content, on="_row").select(
        feed=pl.lit(feed.name),
        batch_id=pl.lit(batch.batch_id),
        row_number="_row",
        expectation="expectation",
        reason="reason",
        content="content",
        suite_version=pl.lit(quality.suite_version(feed.suite)),
    )
