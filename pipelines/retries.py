"""Retries: what was kept out is tried again under the parser and the rules as they are now, and accounted for."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import duckdb

from pipelines import accounting, landing, pieces, quality, raw, warehouse
from pipelines.feeds.feed import Feed
from pipelines.landing import Batch
from pipelines.settings import Settings

RELEASED = "released from quarantine of batch "


def retry_refused(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, recorded: Mapping[str, accounting.Accounting]
) -> list[accounting.Accounting]:
    """Try refused batches again, under the parser and the rules as they are now."""
    refusals = con.execute(
        "select batch_id from ops.batches where feed = ? and verdict <> 'accepted' order by window_end", [feed.name]
    ).fetchall()
    batches = {batch.batch_id: batch for batch in landing.batches(settings, feed.name) if not batch.is_destroyed}
    done = []
    for batch in [batches[batch_id] for (batch_id,) in refusals if batch_id in batches]:
        retry_id = _retry_id(batch.batch_id, "refused")
        if _holds(con, retry_id):
            continue
        gathered = raw.gather(con, feed, pieces.pieces(settings, feed, [batch]))
        if gathered.problem or (retry_id not in recorded and raw.objection(con, settings, feed, gathered)):
            continue
        with warehouse.transaction(con):
            counts = gathered.counts(raw.merge(con, feed, batch))
            raw.keep_quarantined(con, gathered)
            message = f"accepted now: refused batch {batch.batch_id}"
            fresh = replace(accounting.of(batch, **counts), batch_id=retry_id, kind="retry", message=message)
            done.append(accounting.enter(con, settings, batch, recorded.get(retry_id, fresh)))
    return done


def retry_quarantined(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, recorded: Mapping[str, accounting.Accounting]
) -> list[accounting.Accounting]:
    """Try quarantined rows again under the rules as they are now; what passes is a batch of its own, kind ``retry``.

    In a replay the rows pass at once, since the rules of now are applied; the retries that the ledger knows, and
    those that nobody has accounted for yet, are entered all the same.
    """
    version = quality.suite_version(feed.suite)
    done = [_release(con, settings, feed, batch, version) for batch in _waiting(con, settings, feed, version)]
    for retried in recorded.values():
        if retried.kind == "retry" and not _holds(con, retried.batch_id):
            accounting.insert(con, retried, None)
    accounted = con.execute(
        """
        select batch_id, quarantined
            - coalesce((select sum(received) from ops.batches r where r.message = $1 || b.batch_id), 0)
            - (select count(distinct row_number) from ops.quarantine q where q.batch_id = b.batch_id) as missing
        from ops.batches b where feed = $2 and quarantined > 0 and missing > 0
        """,
        [RELEASED, feed.name],
    ).fetchall()
    batches = {batch.batch_id: batch for batch in landing.batches(settings, feed.name)}
    for batch_id, missing in accounted:
        if batch_id in batches and not batches[batch_id].is_destroyed:
            late = _released(batches[batch_id], version, missing, missing)
            accounting.insert(con, late, batches[batch_id].received_at)
            done.append(late)
    return [account for account in done if account is not None]


def _waiting(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, version: str) -> list[Batch]:
    rows = con.execute(
        "select distinct batch_id from ops.quarantine where feed = ? and suite_version <> ?", [feed.name, version]
    ).fetchall()
    waiting = {batch_id for (batch_id,) in rows}
    return [batch for batch in landing.batches(settings, feed.name) if batch.batch_id in waiting]


def _release(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, batch: Batch, version: str
) -> accounting.Accounting | None:
    rows = con.execute("select distinct row_number from ops.quarantine where batch_id = ?", [batch.batch_id]).fetchall()
    gathered = raw.gather(con, feed, pieces.pieces(settings, feed, [batch], only=[row for (row,) in rows]))
    if gathered.problem:
        return None
    with warehouse.transaction(con):
        con.execute("delete from ops.quarantine where batch_id = ?", [batch.batch_id])
        loaded = raw.merge(con, feed, batch)
        raw.keep_quarantined(con, gathered)
        if not gathered.accepted:
            return None
        account = _released(batch, version, gathered.accepted, loaded)
        accounting.insert(con, account, batch.received_at)
        return account


def _released(batch: Batch, version: str, received: int, loaded: int) -> accounting.Accounting:
    return replace(
        accounting.of(batch, received=received, loaded=loaded),
        batch_id=_retry_id(batch.batch_id, version),
        kind="retry",
        unchanged=received - loaded,
        message=f"{RELEASED}{batch.batch_id}",
    )


def _retry_id(batch_id: str, why: str) -> str:
    return hashlib.sha256(f"retry {batch_id} {why}".encode()).hexdigest()


def _holds(con: duckdb.DuckDBPyConnection, batch_id: str) -> bool:
    return bool(con.execute("select 1 from ops.batches where batch_id = ?", [batch_id]).fetchall())
