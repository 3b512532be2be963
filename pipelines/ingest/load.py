"""Load every landed batch into raw, once, with its verdict. Rows, accounting and cursor move in one transaction."""

from collections.abc import Iterable
from contextlib import closing

import duckdb

from pipelines.config import logs
from pipelines.config.errors import BongsuError
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed
from pipelines.ingest import accounting, chunks, merge, reprocess
from pipelines.ingest.chunks import Chunk
from pipelines.quality import corrections
from pipelines.store import landing, warehouse
from pipelines.store.landing import Batch

log = logs.logger(__name__)


class LoadError(BongsuError):
    """Report that a batch that was loaded before cannot be loaded now: which, and what to fix."""


def load_pending(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed) -> list[accounting.Accounting]:
    """Load every landed batch of a feed that is not in the warehouse yet, and retry quarantined rows.

    Returns the accounting of the batches loaded or released now. Safe to kill at any point and to run again. If a batch
    stops the load, those before it stay loaded.

    Raises:
        CorrectionError: The feed's corrections file is faulty; the feed is unchanged.
    """
    corrections.read(feed)
    merge.prepare(con, feed)
    accounting.acknowledge(con, settings)
    _forget_outdated(con, settings, feed)
    recorded = {a.batch_id: a for a in accounting.acknowledged(settings) if a.feed == feed.name}
    known_ids = {
        row[0] for row in con.execute("select batch_id from ops.batches where feed = ?", [feed.name]).fetchall()
    }
    pending = [batch for batch in landing.batches(settings, feed.name) if batch.batch_id not in known_ids]
    readable = []
    for batch in pending:
        known = recorded.get(batch.batch_id)
        if batch.is_destroyed or (known is not None and known.verdict != "accepted"):
            destroyed = accounting.of(batch, verdict="rejected", message="destroyed before it was loaded")
            accounting.enter_alone(con, settings, batch, known or destroyed)
        else:
            readable.append(batch)
    done = []
    with closing(chunks.read(settings, feed, readable)) as batch_chunks:
        for batch in readable:
            with logs.context(batch=batch.batch_id[:12]):
                account = _load(con, settings, feed, batch, batch_chunks, recorded.get(batch.batch_id))
                counts = (account.received, account.loaded, account.unchanged, account.quarantined, account.rejected)
                log.info(
                    "batch %s received=%d loaded=%d unchanged=%d quarantined=%d rejected=%d", account.verdict, *counts
                )
            done.append(account)
            con.execute("checkpoint warehouse")
    done += reprocess.retry_refused(con, settings, feed, recorded)
    done += reprocess.retry_quarantined(con, settings, feed, recorded)
    accounting.acknowledge(con, settings)
    return done


def refused(con: duckdb.DuckDBPyConnection, feed: Feed) -> list[str]:
    """Return messages of rejected batches whose window no accepted batch has covered since."""
    rows = con.execute(
        "select message from ops.batches left join ops.cursors using (feed) where feed = ? and verdict <> 'accepted' "
        "and (fetched_through_at is null or window_end > fetched_through_at) order by window_end",
        [feed.name],
    ).fetchall()
    return [message for (message,) in rows]


def _load(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    feed: Feed,
    batch: Batch,
    batch_chunks: Iterable[Chunk],
    known: accounting.Accounting | None,
) -> accounting.Accounting:
    """Load one batch, whose chunks are the next ones of ``batch_chunks``.

    A batch that the ledger lists as accepted is a replay: it is never rejected as a whole.
    """
    gathered = merge.gather(con, feed, batch_chunks)
    problem = gathered.problem or (merge.objection(con, settings, feed, batch, gathered) if known is None else "")
    if gathered.problem and known is not None:
        raise LoadError(
            f"{feed.name}: batch {batch.batch_id[:12]} was loaded with {known.loaded} rows and cannot be read now: "
            f"{gathered.problem}; fix pipelines/feeds/{feed.name}.py and run `bongsu rebuild` again"
        )
    with warehouse.transaction(con):
        if problem:
            verdict = "unreadable" if gathered.problem else "rejected"
            received = gathered.received
            account = accounting.of(batch, received=received, rejected=received, verdict=verdict, message=problem)
        else:
            note = "; ".join(filter(None, (batch.note, merge.repeats(con, feed))))
            loaded = merge.merge(con, feed, batch)
            merge.keep_quarantined(con, gathered)
            account = known or accounting.of(batch, message=note, **gathered.counts(loaded))
        merge.keep_checks(con, batch, gathered)
        return accounting.enter(con, settings, batch, account)


def _forget_outdated(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed) -> None:
    """Empty a feed that must be replayed from landing.

    It has rows of destroyed batches, after a crash during a destruction, or rows read under other corrections.
    """
    destroyed = {batch.batch_id for batch in landing.batches(settings, feed.name) if batch.is_destroyed}
    loaded_ids = {row[0] for row in con.execute(f'select distinct _batch_id from raw."{feed.name}"').fetchall()}
    version = corrections.version(feed.name)
    read_under = con.execute("select version from ops.corrected where feed = ?", [feed.name]).fetchall()
    has_new_corrections = [(version,)] != (read_under or [("",)])
    if not (destroyed & loaded_ids or has_new_corrections):
        return
    with warehouse.transaction(con):
        merge.forget(con, feed)
        con.execute("delete from ops.corrected where feed = ?", [feed.name])
        con.execute("insert into ops.corrected values (?, ?)", [feed.name, version])
