"""Raw: checked chunks of batches merged into ``raw.<feed>``.

A keyed feed keeps every version of every record: any order, split or repetition of deliveries gives the same table. A
snapshot feed numbers identical rows inside a delivery and stores the first and last snapshot that contained each. A
batch reaches ``raw`` only once all of it is known: until then its accepted rows are in the temporary table ``_batch``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import duckdb
import polars as pl

from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed
from pipelines.ingest.chunks import Chunk
from pipelines.quality import corrections, schema_drift, suites
from pipelines.store.landing import Batch

LEAST_ROWS: Final = 100
"""In fewer rows, half of them may be equal, or gone, by chance."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A whole batch after its suite; its accepted rows are in the table ``_batch``.

    ``quarantined`` has the columns of ``ops.quarantine``, ``results`` those of `quality.RESULTS`, ``corrected`` those
    of `corrections.REPORT`, ``unknown`` those of `drift.UNKNOWN`.
    """

    received: int
    accepted: int
    quarantined: pl.DataFrame
    results: pl.DataFrame
    corrected: pl.DataFrame
    unknown: pl.DataFrame
    problem: str = ""

    @property
    def bad(self) -> int:
        """Return the number of rows that failed."""
        return self.received - self.accepted

    def counts(self, loaded: int) -> dict[str, int]:
        """Return the row accounting, given the number of new rows."""
        return {
            "received": self.received,
            "loaded": loaded,
            "unchanged": self.accepted - loaded,
            "quarantined": self.bad,
        }


def rules_version(feed: Feed) -> str:
    """Return a short text that changes with a feed's suite or corrections, so that quarantined rows are retried."""
    return "+".join(filter(None, [suites.suite_version(feed.suite), corrections.version(feed.name)]))


def prepare(con: duckdb.DuckDBPyConnection, feed: Feed) -> None:
    """Create an empty ``raw.<feed>`` if it does not exist: a feed that never delivered still has its table."""
    declared = pl.DataFrame(schema={**feed.columns, "_extra": pl.String, "_row": pl.Int64})
    con.register("_declared", declared.to_arrow())
    seen = ", 0::bigint as _copy, '' as _first_snapshot, '' as _last_snapshot" if feed.load_type == "snapshot" else ""
    con.execute(
        f'create table if not exists raw."{feed.name}" as '
        f"select *, 0::ubigint as _row_hash, '' as _batch_id{seen} from _declared where false"
    )
    con.unregister("_declared")


def gather(con: duckdb.DuckDBPyConnection, feed: Feed, batch_chunks: Iterable[Chunk]) -> Gathered:
    """Put the accepted rows of one batch into ``_batch`` and sum up the rest, up to the batch's last chunk.

    For a batch with a problem, ``received`` counts the rows of the whole delivery, 0 if they cannot be counted.
    """
    _empty_batch(con, feed)
    received = accepted = 0
    quarantined, results, problem = [pl.DataFrame(schema=_QUARANTINED)], [pl.DataFrame(schema=suites.RESULTS)], ""
    corrected, unknown = [pl.DataFrame(schema=corrections.REPORT)], [pl.DataFrame(schema=schema_drift.UNKNOWN)]
    for chunk in batch_chunks:
        if chunk.verdict is None:
            received, problem = chunk.unread, chunk.problem
            break
        received += chunk.frame.height
        accepted += chunk.verdict.accepted.height
        _append(con, feed, chunk.batch, chunk.verdict.accepted)
        quarantined.append(_quarantined(feed, chunk.batch, chunk.frame, chunk.verdict))
        results.append(chunk.verdict.results)
        corrected.append(chunk.corrected)
        unknown.append(schema_drift.unknown_columns(chunk.frame))
        if chunk.is_last:
            break
    return Gathered(
        received,
        accepted,
        pl.concat(quarantined),
        suites.summed(pl.concat(results)),
        pl.concat(corrected).group_by("key", "column", maintain_order=True).sum(),
        pl.concat(unknown).group_by("column", maintain_order=True).sum(),
        problem,
    )


def objection(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, batch: Batch, gathered: Gathered) -> str:
    """Return why a readable batch is not merged; empty if it is."""
    limit = settings.profile.feeds[feed.name].max_quarantine_share
    if gathered.bad > gathered.received * limit:
        return (
            f"{gathered.bad} of {gathered.received} rows fail the suite, more than {limit:.0%}: rejected whole"
            f"{_usual_reason(gathered.results)}"
        )
    is_empty = feed.load_type == "snapshot" and not gathered.received
    if is_empty and con.execute(f'from raw."{feed.name}" limit 1').fetchall():
        return "an empty snapshot, after snapshots with rows: nothing changed"
    return _lost(con, settings, feed, batch, gathered) or schema_drift.refusal(feed.suite, gathered.results)


def _lost(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, batch: Batch, gathered: Gathered) -> str:
    """Return why a snapshot with much fewer rows than the one before is not merged; empty if it is."""
    if feed.load_type != "snapshot":
        return ""
    before = con.execute(
        "select received from ops.batches where feed = ? and verdict = 'accepted' and window_end < ? "
        "and batch_type in ('delivery', 'acceptance') order by window_end desc limit 1",
        [feed.name, batch.window_end],
    ).fetchall()
    most = settings.profile.feeds[feed.name].max_lost_share
    if not before or before[0][0] < LEAST_ROWS or gathered.received >= (1 - most) * before[0][0]:
        return ""
    return (
        f"a snapshot of {gathered.received:,} rows after one of {before[0][0]:,}, which lacks more than {most:.0%}: "
        f"probably cut off, so that nothing changed; if so many are really gone, raise max_lost_share of "
        f"[feeds.{feed.name}] in the profile"
    )


def _usual_reason(results: pl.DataFrame) -> str:
    """Return the column, reason and rows of the rule that most rows of a rejected batch break."""
    broken = results.filter((pl.col("severity") == "critical") & (pl.col("failed") > 0))
    if broken.is_empty():
        return ""
    most = broken.sort("failed", "column", descending=[True, False]).row(0, named=True)
    return f"; most often {most['column']}: {most['reason']} ({most['failed']} rows)"


def repeats(con: duckdb.DuckDBPyConnection, feed: Feed) -> str:
    """Return a note if at least half of the accepted rows of a snapshot of records repeat another one; empty if not.

    Equal rows are records of their own in a table without ids, so a source that sends everything twice doubles its
    counts.
    """
    if feed.load_type != "snapshot" or feed.is_reference:
        return ""
    rows, distinct = con.execute("select count(*), count(distinct _row_hash) from _batch").fetchall()[0]
    if rows < LEAST_ROWS or 2 * distinct > rows:
        return ""
    return (
        f"{rows - distinct} of {rows} rows repeat another one in every column; without a row id each is a record: "
        "check whether the source sent them twice"
    )


def merge(con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch) -> int:
    """Append the new rows of ``_batch`` to ``raw.<feed>``; return their number."""
    merged = _merge_keyed(con, feed) if feed.load_type == "keyed" else _merge_snapshot(con, feed, batch)
    con.execute("drop table _batch")
    return merged


def keep_quarantined(con: duckdb.DuckDBPyConnection, gathered: Gathered) -> None:
    """Store the failing rows of a batch in ``ops.quarantine``, with the rule that each broke and its reason."""
    if gathered.quarantined.height:
        con.register("_quarantined", gathered.quarantined.to_arrow())
        con.execute("insert into ops.quarantine by name select * from _quarantined")
        con.unregister("_quarantined")


def keep_checks(con: duckdb.DuckDBPyConnection, batch: Batch, gathered: Gathered) -> None:
    """Store the check results of a batch, replacing those of an earlier attempt.

    In ``ops.checks`` (per expectation), ``ops.corrections`` and ``ops.drift``.
    """
    frames = {
        "checks": gathered.results.with_columns(suite=pl.lit(batch.feed)),
        "corrections": gathered.corrected.with_columns(feed=pl.lit(batch.feed)),
        "drift": gathered.unknown.with_columns(feed=pl.lit(batch.feed)),
    }
    for table, frame in frames.items():
        con.execute(f"delete from ops.{table} where batch_id = ?", [batch.batch_id])
        con.register("_frame", frame.with_columns(batch_id=pl.lit(batch.batch_id)).to_arrow())
        con.execute(f"insert into ops.{table} by name select * from _frame")
        con.unregister("_frame")


def forget(con: duckdb.DuckDBPyConnection, feed: Feed) -> None:
    """Empty a feed's raw table and all that is stored about its batches, so that it is replayed from landing.

    The cursor is removed too: before the replay is done, the feed shows missing records rather than none.
    """
    con.execute(f'delete from raw."{feed.name}"')
    con.execute(
        "delete from ops.checks where batch_id in (select batch_id from ops.batches where feed = ?)", [feed.name]
    )
    for table in ("batches", "cursors", "quarantine", "corrections", "drift"):
        con.execute(f"delete from ops.{table} where feed = ?", [feed.name])


_QUARANTINED = {
    "feed": pl.String,
    "batch_id": pl.String,
    "row_number": pl.Int64,
    "expectation": pl.String,
    "reason": pl.String,
    "content": pl.String,
    "suite_version": pl.String,
}


def _empty_batch(con: duckdb.DuckDBPyConnection, feed: Feed) -> None:
    columns = "* exclude (_copy, _first_snapshot, _last_snapshot)" if feed.load_type == "snapshot" else "*"
    con.execute(f'create or replace temp table _batch as select {columns} from raw."{feed.name}" where false')


def _append(con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch, accepted: pl.DataFrame) -> None:
    columns = ", ".join(f'"{name}"' for name in sorted(feed.columns))
    # Rows of a snapshot are identified only by their hash, and DuckDB's own hash collides for one text in twelve when
    # they differ in the last characters of two of their eight-byte blocks, as 20251225-11000023 may.
    row_hash = f"md5_number_lower(row({columns})::varchar)" if feed.load_type == "snapshot" else f"hash({columns})"
    con.register("_accepted", accepted.to_arrow(compat_level=pl.CompatLevel.newest()))
    con.execute(
        f"insert into _batch by name select *, {row_hash} as _row_hash, ? as _batch_id from _accepted",
        [batch.batch_id],
    )
    con.unregister("_accepted")


def _merge_keyed(con: duckdb.DuckDBPyConnection, feed: Feed) -> int:
    """Merge a batch of a keyed feed; only one with repeated rows, inside or from before, needs to compare rows.

    Whole rows are compared: DuckDB's hash collides too often for different text to represent a row.
    """
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
    same = " and ".join(f'stored."{name}" is not distinct from fresh."{name}"' for name in feed.columns)
    columns = ", ".join(f'"{name}"' for name in feed.columns)
    con.execute(
        f"""
        insert into raw."{feed.name}" by name
        with fresh as (
            select * from _batch qualify row_number() over (partition by _row_hash, {columns} order by _row) = 1
        ),
        stored as (select {columns}, _row_hash from raw."{feed.name}" semi join _batch using (_row_hash))
        select fresh.* from fresh
        where not exists (select 1 from stored where stored._row_hash = fresh._row_hash and {same})
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
        update raw."{feed.name}" stored
        set _first_snapshot = least(_first_snapshot, $1), _last_snapshot = greatest(_last_snapshot, $1)
        from _copies fresh where stored._row_hash = fresh._row_hash and stored._copy = fresh._copy
        """,
        [snapshot],
    )
    con.execute(
        f"""
        insert into raw."{feed.name}" by name
        select fresh.*, $1 as _first_snapshot, $1 as _last_snapshot from _copies fresh
        where not exists (
            select 1 from raw."{feed.name}" stored
            where stored._row_hash = fresh._row_hash and stored._copy = fresh._copy
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


def _quarantined(feed: Feed, batch: Batch, frame: pl.DataFrame, verdict: suites.Verdict) -> pl.DataFrame:
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
        suite_version=pl.lit(rules_version(feed)),
    )
