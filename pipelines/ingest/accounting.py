"""Row accounting: exact, immutable counts of the rows of every batch, and each feed's cursor.

received = loaded + unchanged + quarantined + rejected. The counts are in ``ops.batches``, written in one transaction
with the rows, and then in the ledger, which outlives the warehouse.
"""

from collections.abc import Iterable, Set
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum

import duckdb

from pipelines.config.settings import Settings
from pipelines.store import ledger, record_upgrades, warehouse
from pipelines.store.landing import Batch


class BatchType(StrEnum):
    """What a batch is: a delivery, or a retry of one under changed rules or corrections, which names it.

    A retry accepts a rejected batch, releases quarantined rows, or quarantines rows that had been accepted.
    """

    DELIVERY = "delivery"
    ACCEPTANCE = "acceptance"
    RELEASE = "release"
    REQUARANTINE = "requarantine"


@dataclass(frozen=True, slots=True)
class Accounting:
    """Accounting of one batch: row counts, and the verdict ``accepted``, ``rejected`` or ``unreadable``.

    ``retried_batch_id`` is the delivery that a retry is of.
    """

    batch_id: str
    feed: str
    batch_type: str
    window_start: str | None
    window_end: str
    received: int = 0
    loaded: int = 0
    unchanged: int = 0
    quarantined: int = 0
    rejected: int = 0
    verdict: str = "accepted"
    message: str = ""
    retried_batch_id: str | None = None


def acknowledged(settings: Settings) -> list[Accounting]:
    """Return the accounting of every batch, from the ledger, in order."""
    names = Accounting.__dataclass_fields__
    return [
        Accounting(**{name: value for name, value in record_upgrades.load_entry(entry).items() if name in names})
        for entry in ledger.read(settings.ledger, "load")
    ]


def acknowledge(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Write into the ledger what the warehouse committed and a crash may have kept out of it."""
    written = {entry["batch_id"] for entry in ledger.read(settings.ledger, "load")}
    fields = [name for name in Accounting.__dataclass_fields__ if not name.startswith("window")]
    rows = con.execute(
        f"select {', '.join(fields)}, strftime(window_start, '%Y-%m-%dT%H:%M:%S+00:00') as window_start, "
        "strftime(window_end, '%Y-%m-%dT%H:%M:%S+00:00') as window_end from ops.batches order by _received_at, batch_id"
    ).pl()
    for row in rows.iter_rows(named=True):
        if row["batch_id"] not in written:
            ledger.append(settings.ledger, "load", **row)


def backfilled(settings: Settings) -> set[str]:
    """Return the batches of backfills."""
    return {batch_id for entry in ledger.read(settings.ledger, "backfill") for batch_id in entry["batch_ids"]}


def cursor(loads: Iterable[Accounting], feed: str, backfills: Set[str] = frozenset()) -> datetime | None:
    """Return how far a feed is fetched without a gap: the end of the accepted windows that join the earliest one.

    The result does not depend on the order of the loads; a snapshot covers everything before its end. A backfill may
    close a gap but never begins the chain, because one of an older year would move the cursor back.
    """
    accepted = [a for a in loads if a.feed == feed and a.verdict == "accepted"]
    scheduled = [a.window_start or "" for a in accepted if a.batch_id not in backfills]
    if not scheduled:
        return None
    through = begin = min(scheduled)
    for start, end in sorted((a.window_start or "", a.window_end) for a in accepted):
        if start > through:
            break
        through = max(through, end)
    return datetime.fromisoformat(through) if through > begin else None


def of(batch: Batch, **known: int | str) -> Accounting:
    """Return the accounting of a delivery: its identity, window and note, with only the given counts."""
    blank = Accounting(
        batch_id=batch.batch_id,
        feed=batch.feed,
        batch_type=BatchType.DELIVERY,
        window_start=batch.window_start.isoformat() if batch.window_start else None,
        window_end=batch.window_end.isoformat(),
        message=batch.note,
    )
    return replace(blank, **known)  # type: ignore[arg-type]


def enter_alone(con: duckdb.DuckDBPyConnection, settings: Settings, batch: Batch, account: Accounting) -> Accounting:
    """Run `enter` in its own transaction."""
    with warehouse.transaction(con):
        return enter(con, settings, batch, account)


def enter(con: duckdb.DuckDBPyConnection, settings: Settings, batch: Batch, account: Accounting) -> Accounting:
    """Record a batch and move its feed's cursor, inside the caller's transaction; return the accounting."""
    insert(con, account, batch.received_at)
    recorded = [
        Accounting(*row)
        for row in con.execute(
            "select batch_id, feed, batch_type, strftime(window_start, '%Y-%m-%dT%H:%M:%S+00:00'), "
            "strftime(window_end, '%Y-%m-%dT%H:%M:%S+00:00'), received, loaded, unchanged, quarantined, rejected, "
            "verdict, message, retried_batch_id from ops.batches where feed = ?",
            [batch.feed],
        ).fetchall()
    ]
    con.execute("delete from ops.cursors where feed = ?", [batch.feed])
    con.execute(
        "insert into ops.cursors values (?, ?)", [batch.feed, cursor(recorded, batch.feed, backfilled(settings))]
    )
    return account


def insert(con: duckdb.DuckDBPyConnection, account: Accounting, received_at: datetime | None) -> None:
    """Record a batch that does not move a cursor."""
    names = list(asdict(account))
    con.execute(
        f"insert into ops.batches ({', '.join(names)}, _received_at) values ({', '.join('?' * len(names))}, ?)",
        [*asdict(account).values(), received_at],
    )
