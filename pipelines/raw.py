"""Raw: landed batches parsed, checked and merged into ``raw.<feed>``, with accounting that is exact and fixed for ever.

received = loaded + unchanged + quarantined + rejected, per batch. Rows, accounting and cursor move in one transaction.
A keyed feed keeps every version of every record: any order, split or repetition of deliveries ends in the same table.
A snapshot feed numbers identical rows inside a delivery and remembers the first and last snapshot that held each.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import duckdb
import polars as pl

from pipelines import landing, ledger, quality, warehouse
from pipelines.feeds.feed import Feed, FeedError, conform
from pipelines.landing import Batch
from pipelines.settings import Settings


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of one batch: numbers of rows, and the verdict ``accepted``, ``rejected`` or ``unreadable``."""

    batch_id: str
    feed: str
    kind: str
    window_start: str | None
    window_end: str
    received: int = 0
    loaded: int = 0
    unchanged: int = 0
    quarantined: int = 0
    rejected: int = 0
    verdict: str = "accepted"
    message: str = ""


def load_pending(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed) -> list[Accounting]:
    """Load every landed batch of a feed that the warehouse does not hold yet, and try quarantined rows again.

    Returns the accounting of the batches loaded now. Safe to kill at any point and to run again.
    """
    prepare(con, feed)
    acknowledge(con, settings)
    recorded = {a.batch_id: a for a in acknowledged(settings)}
    held = {row[0] for row in con.execute("select batch_id from ops.batches where feed = ?", [feed.name]).fetchall()}
    done = []
    for batch in landing.batches(settings, feed.name):
        if batch.batch_id in held:
            continue
        known = recorded.get(batch.batch_id)
        if batch.is_destroyed or (known is not None and known.verdict != "accepted"):
            _account(
                con,
                batch,
                known or _blank(batch, verdict="rejected", message="destroyed before it was loaded"),
            )
        else:
            done.append(_load(con, settings, feed, batch, known))
        con.execute("checkpoint warehouse")
    for retried in [
        a for a in recorded.values() if a.feed == feed.name and a.kind == "retry" and a.batch_id not in held
    ]:
        _insert_accounting(con, retried, None)
    done += _retry(con, settings, feed)
    acknowledge(con, settings)
    return done


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


def acknowledged(settings: Settings) -> list[Accounting]:
    """The accounting of every batch, from the ledger, in order."""
    names = Accounting.__dataclass_fields__
    return [
        Accounting(
            **{name: value for name, value in entry.items() if name in names and name != "kind"},
            kind=entry["load"],
        )
        for entry in ledger.read(settings.ledger, "load")
    ]


def acknowledge(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Write into the ledger what the warehouse committed and a crash may have kept from it."""
    written = {entry["batch_id"] for entry in ledger.read(settings.ledger, "load")}
    fields = [name for name in Accounting.__dataclass_fields__ if not name.startswith("window")]
    rows = con.execute(
        f"select {', '.join(fields)}, strftime(window_start, '%Y-%m-%dT%H:%M:%S+00:00') as window_start, "
        "strftime(window_end, '%Y-%m-%dT%H:%M:%S+00:00') as window_end from ops.batches order by _received_at, batch_id"
    ).pl()
    for row in rows.iter_rows(named=True):
        if row["batch_id"] not in written:
            ledger.append(settings.ledger, "load", load=row.pop("kind"), **row)


def cursor(loads: Iterable[Accounting], feed: str) -> datetime | None:
    """Up to when a feed has been fetched without a gap: the end of the accepted windows that join the earliest one.

    It does not depend on the order of the loads; a snapshot covers everything before its end.
    """
    windows = sorted(
        (a.window_start or "", a.window_end)
        for a in loads
        if a.feed == feed and a.kind != "retry" and a.verdict == "accepted"
    )
    through = ""
    for start, end in windows:
        if through and start > through:
            break
        through = max(through, end)
    return datetime.fromisoformat(through) if through else None


def _load(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, batch: Batch, known: Accounting | None
) -> Accounting:
    try:
        frame = _numbered(conform(feed, feed.parse(landing.read(settings, batch))))
    except (FeedError, pl.exceptions.PolarsError, ValueError, KeyError) as error:
        accounting = _blank(batch, verdict="unreadable", message=f"{type(error).__name__}: {error}"[:2000])
        return _account(con, batch, known or accounting)
    verdict = quality.validate_rows(feed.name, frame)
    limit = settings.profile.feeds[feed.name].max_quarantine_share
    bad = frame.height - verdict.accepted.height
    if frame.height and bad / frame.height > limit:
        message = f"{bad} of {frame.height} rows fail the suite, more than {limit:.0%}: the batch is rejected whole"
        accounting = _blank(batch, received=frame.height, rejected=frame.height, verdict="rejected", message=message)
        with warehouse.transaction(con):
            _keep_checks(con, batch.batch_id, feed, verdict)
            return _account_inside(con, batch, known or accounting)
    with warehouse.transaction(con):
        loaded = _merge(con, feed, batch, verdict.accepted)
        _quarantine(con, feed, batch, frame, verdict)
        _keep_checks(con, batch.batch_id, feed, verdict)
        accounting = _blank(
            batch,
            received=frame.height,
            loaded=loaded,
            unchanged=verdict.accepted.height - loaded,
            quarantined=bad,
        )
        return _account_inside(con, batch, known or accounting)


def _retry(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed) -> list[Accounting]:
    """Try quarantined rows again under the rules as they are now; what passes is a batch of its own, kind ``retry``."""
    version = quality.suite_version(feed.name)
    waiting = con.execute(
        "select batch_id, list(distinct row_number) from ops.quarantine where feed = ? and suite_version <> ? "
        "group by batch_id order by batch_id",
        [feed.name, version],
    ).fetchall()
    batches = {batch.batch_id: batch for batch in landing.batches(settings, feed.name)}
    done = []
    for batch_id, rows in waiting:
        batch = batches[batch_id]
        frame = _numbered(conform(feed, feed.parse(landing.read(settings, batch)))).filter(pl.col("_row").is_in(rows))
        verdict = quality.validate_rows(feed.name, frame)
        retry_id = hashlib.sha256(f"retry {batch_id} {version}".encode()).hexdigest()
        with warehouse.transaction(con):
            con.execute("delete from ops.quarantine where batch_id = ?", [batch_id])
            loaded = _merge(con, feed, batch, verdict.accepted)
            _quarantine(con, feed, batch, frame, verdict)
            if verdict.accepted.height:
                accounting = replace(
                    _blank(batch, received=verdict.accepted.height, loaded=loaded),
                    batch_id=retry_id,
                    kind="retry",
                    unchanged=verdict.accepted.height - loaded,
                    message=f"released from quarantine of batch {batch_id[:12]}",
                )
                _insert_accounting(con, accounting, batch.received_at)
                done.append(accounting)
    return done


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_row_index("_row").with_columns(pl.col("_row").cast(pl.Int64))


def _merge(con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch, accepted: pl.DataFrame) -> int:
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


def _quarantine(
    con: duckdb.DuckDBPyConnection, feed: Feed, batch: Batch, frame: pl.DataFrame, verdict: quality.Verdict
) -> None:
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


def _keep_checks(con: duckdb.DuckDBPyConnection, batch_id: str, feed: Feed, verdict: quality.Verdict) -> None:
    con.register("_checks", verdict.results.with_columns(batch_id=pl.lit(batch_id), suite=pl.lit(feed.name)).to_arrow())
    con.execute("insert into ops.checks by name select * from _checks")
    con.unregister("_checks")


def _blank(batch: Batch, **known: int | str) -> Accounting:
    blank = Accounting(
        batch_id=batch.batch_id,
        feed=batch.feed,
        kind="delivery",
        window_start=batch.window_start.isoformat() if batch.window_start else None,
        window_end=batch.window_end.isoformat(),
    )
    return replace(blank, **known)  # type: ignore[arg-type]


def _account(con: duckdb.DuckDBPyConnection, batch: Batch, accounting: Accounting) -> Accounting:
    with warehouse.transaction(con):
        return _account_inside(con, batch, accounting)


def _account_inside(con: duckdb.DuckDBPyConnection, batch: Batch, accounting: Accounting) -> Accounting:
    _insert_accounting(con, accounting, batch.received_at)
    held = [
        Accounting(*row)
        for row in con.execute(
            "select batch_id, feed, kind, strftime(window_start, '%Y-%m-%dT%H:%M:%S+00:00'), "
            "strftime(window_end, '%Y-%m-%dT%H:%M:%S+00:00'), received, loaded, unchanged, quarantined, rejected, "
            "verdict, message from ops.batches where feed = ?",
            [batch.feed],
        ).fetchall()
    ]
    con.execute("delete from ops.cursors where feed = ?", [batch.feed])
    con.execute("insert into ops.cursors values (?, ?)", [batch.feed, cursor(held, batch.feed)])
    return accounting


def _insert_accounting(con: duckdb.DuckDBPyConnection, accounting: Accounting, received_at: datetime | None) -> None:
    names = list(asdict(accounting))
    con.execute(
        f"insert into ops.batches ({', '.join(names)}, _received_at) values ({', '.join('?' * len(names))}, ?)",
        [*asdict(accounting).values(), received_at],
    )
