"""Raw: landed batches parsed, checked and merged into ``raw.<feed>``.

A keyed feed keeps every version of every record: any order, split or repetition of deliveries ends in the same table.
A snapshot feed numbers identical rows inside a delivery and remembers the first and last snapshot that held each.
"""

import duckdb
import polars as pl

from pipelines import accounting, landing, quality
from pipelines.feeds.feed import Feed, conform
from pipelines.landing import Batch
from pipelines.settings import Settings


def prepare(con: duckdb.DuckDBPyConnection, feed: Feed) -> None:
    """Make ``raw.<feed>``, empty, if it is not there: a feed that never delivered still has its table."""
    declared = pl.DataFrame(schema={**feed.columns, "_extra": pl.String, "_row": pl.Int64})
    con.register("_declared", declared.to_arrow())
    seen = ", 0::bigint as _copy, '' as _first_snapshot, '' as _last_snapshot" if feed.kind == "snapshot" else ""
    con.execute(
        f"create table if not exists raw.{feed.name} as "
        f"select *, 0::ubigint as _row_hash, '' as _batch_id{seen} from _declared where false"
    )
    con.unregister("_declared")


def read(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, batch: Batch
) -> tuple[pl.DataFrame, quality.Verdict] | accounting.Accounting:
    """A batch's rows with their verdict, or the accounting of its refusal."""
    parts = landing.read(settings, batch)
    height = 0
    try:
        parsed = feed.parse(parts)
        height = parsed.height
        frame = _numbered(conform(feed, parsed))
    except Exception as error:  # foreign bytes may break a parser in any way; nothing of the batch is loaded
        message = f"{type(error).__name__}: {error}"[:2000]
        return accounting.of(batch, received=height, rejected=height, verdict="unreadable", message=message)
    if feed.kind == "snapshot" and not height and con.execute(f"from raw.{feed.name} limit 1").fetchall():
        return accounting.of(
            batch, verdict="rejected", message="an empty snapshot, after snapshots with rows: nothing changed"
        )
    return frame, quality.validate_rows(feed.name, frame)


def merge(con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch, accepted: pl.DataFrame) -> int:
    """Append what is new of a batch to ``raw.<feed>``; returns the number of new rows."""
    columns = ", ".join(f'"{name}"' for name in sorted(feed.columns))
    con.register("_accepted", accepted.to_arrow())
    con.execute(
        f"create or replace temp table _batch as select *, hash({columns}) as _row_hash, ? as _batch_id from _accepted",
        [batch.batch_id],
    )
    con.unregister("_accepted")
    merged = _merge_keyed(con, feed) if feed.kind == "keyed" else _merge_snapshot(con, feed, batch)
    con.execute("drop table _batch")
    return merged


def _merge_keyed(con: duckdb.DuckDBPyConnection, feed: Feed) -> int:
    same = " and ".join(f'held."{name}" is not distinct from fresh."{name}"' for name in feed.key)
    keys = ", ".join(f'"{name}"' for name in feed.key)
    con.execute(
        f"""
        insert into raw.{feed.name} by name
        with fresh as (
            select * from _batch qualify row_number() over (partition by _row_hash, {keys} order by _row) = 1
        )
        select fresh.* from fresh
        where not exists (select 1 from raw.{feed.name} held where held._row_hash = fresh._row_hash and {same})
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
        update raw.{feed.name} held
        set _first_snapshot = least(_first_snapshot, $1), _last_snapshot = greatest(_last_snapshot, $1)
        from _copies fresh where held._row_hash = fresh._row_hash and held._copy = fresh._copy
        """,
        [snapshot],
    )
    con.execute(
        f"""
        insert into raw.{feed.name} by name
        select fresh.*, $1 as _first_snapshot, $1 as _last_snapshot from _copies fresh
        where not exists (
            select 1 from raw.{feed.name} held where held._row_hash = fresh._row_hash and held._copy = fresh._copy
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


def quarantine(
    con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch, frame: pl.DataFrame, verdict: quality.Verdict
) -> None:
    """Keep the failing rows of a batch in ``ops.quarantine``, whole, with the rule that each broke and its reason."""
    if verdict.failures.is_empty():
        return
    content = frame.join(verdict.failures.select("_row").unique(), on="_row", how="semi").select(
        "_row", content=pl.struct(*feed.columns).struct.json_encode()
    )
    rows = verdict.failures.join(content, on="_row").select(
        feed=pl.lit(feed.name),
        batch_id=pl.lit(batch.batch_id),
        row_number="_row",
        expectation="expectation",
        reason="reason",
        content="content",
        suite_version=pl.lit(quality.suite_version(feed.name)),
    )
    con.register("_quarantined", rows.to_arrow())
    con.execute("insert into ops.quarantine by name select * from _quarantined")
    con.unregister("_quarantined")


def keep_checks(con: duckdb.DuckDBPyConnection, batch_id: str, feed: Feed, verdict: quality.Verdict) -> None:
    """Keep how many rows of a batch each expectation checked and failed, in ``ops.checks``."""
    con.register("_checks", verdict.results.with_columns(batch_id=pl.lit(batch_id), suite=pl.lit(feed.name)).to_arrow())
    con.execute("insert into ops.checks by name select * from _checks")
    con.unregister("_checks")


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_row_index("_row").with_columns(pl.col("_row").cast(pl.Int64))
