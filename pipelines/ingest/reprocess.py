"""Reprocess quarantined rows and rejected batches under the current parser and rules, and account for them.

The accounting of a delivery is immutable, so later changes of its rows are recorded by retries, batches that name
it in ``retried_batch_id``: a rejected batch that is accepted, rows released from quarantine, and rows that a replay
quarantines although they were accepted before, because the rules or the corrections changed. For every batch, rows
quarantined minus rows released always equals its rows in ``ops.quarantine``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import duckdb

from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed
from pipelines.ingest import accounting, chunks, merge
from pipelines.ingest.accounting import BatchType
from pipelines.store import landing, warehouse
from pipelines.store.landing import Batch

MESSAGES: Final[Mapping[BatchType, str]] = {
    BatchType.ACCEPTANCE: "accepted under the current rules",
    BatchType.RELEASE: "released from quarantine",
    BatchType.REQUARANTINE: "quarantined since the rules or corrections changed",
}
"""What a retry says to people."""


def retry_refused(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, recorded: Mapping[str, accounting.Accounting]
) -> list[accounting.Accounting]:
    """Retry rejected batches under the current parser and rules, and store the results of each attempt."""
    refusals = con.execute(
        "select batch_id from ops.batches where feed = ? and verdict <> 'accepted' order by window_end", [feed.name]
    ).fetchall()
    batches = {batch.batch_id: batch for batch in landing.batches(settings, feed.name) if not batch.is_destroyed}
    done = []
    for batch in [batches[batch_id] for (batch_id,) in refusals if batch_id in batches]:
        retry_id = _retry_id(batch.batch_id, "refused")
        if _exists(con, retry_id):
            continue
        gathered = merge.gather(con, feed, chunks.read(settings, feed, [batch]))
        with warehouse.transaction(con):
            merge.keep_checks(con, batch, gathered)
            is_new = retry_id not in recorded
            if gathered.problem or (is_new and merge.objection(con, settings, feed, batch, gathered)):
                continue
            counts = gathered.counts(merge.merge(con, feed, batch))
            merge.keep_quarantined(con, gathered)
            fresh = _retry(batch, retry_id, BatchType.ACCEPTANCE, counts)
            done.append(accounting.enter(con, settings, batch, recorded.get(retry_id, fresh)))
    return done


def retry_quarantined(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, recorded: Mapping[str, accounting.Accounting]
) -> list[accounting.Accounting]:
    """Retry quarantined rows under the current rules; those that pass become a new batch, a release.

    In a replay, rows pass or are quarantined at once, under the current rules and corrections. The retries in the
    ledger are recorded all the same, and a difference not yet accounted for is accounted for here: rows that pass now
    as released, rows that are quarantined now although they passed before as received and quarantined once more.
    """
    version = merge.rules_version(feed)
    batches = {batch.batch_id: batch for batch in landing.batches(settings, feed.name) if not batch.is_destroyed}
    for retried in recorded.values():
        # A rejected batch once accepted that cannot be read now stays rejected, and every load reports it.
        is_refused = retried.batch_type == BatchType.ACCEPTANCE and retried.retried_batch_id in batches
        is_retry = retried.batch_type != BatchType.DELIVERY
        if is_retry and not is_refused and not _exists(con, retried.batch_id):
            accounting.insert(con, retried, None)
    done = [_release(con, settings, feed, batch, version) for batch in _waiting(con, settings, feed, version)]
    for batch_id, released in _unaccounted(con, feed):
        if batch_id in batches:
            batch = batches[batch_id]
            counts = {"loaded": released} if released > 0 else {"quarantined": -released}
            batch_type = BatchType.RELEASE if released > 0 else BatchType.REQUARANTINE
            done.append(_enter(con, batch, version, batch_type, counts))
    return [account for account in done if account is not None]


def _unaccounted(con: duckdb.DuckDBPyConnection, feed: Feed) -> list[tuple[str, int]]:
    """Return batches with more or fewer rows in quarantine than accounted for, and how many fewer."""
    return con.execute(
        """
        with accounted as (
            select
                coalesce(retried_batch_id, batch_id) as origin,
                sum(if(batch_type = 'release', -received, quarantined)) as quarantined,
                bool_or(verdict = 'accepted' and batch_type in ('delivery', 'acceptance')) as is_accepted
            from ops.batches where feed = $feed group by all
        ),
        in_quarantine as (
            select batch_id as origin, count(distinct row_number) as rows
            from ops.quarantine where feed = $feed group by all
        )
        select origin, (quarantined - coalesce(rows, 0))::bigint as released
        from accounted left join in_quarantine using (origin)
        where is_accepted and released <> 0 order by origin
        """,
        {"feed": feed.name},
    ).fetchall()


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
    gathered = merge.gather(con, feed, chunks.read(settings, feed, [batch], only=[row for (row,) in rows]))
    if gathered.problem:
        return None
    with warehouse.transaction(con):
        con.execute("delete from ops.quarantine where batch_id = ?", [batch.batch_id])
        loaded = merge.merge(con, feed, batch)
        merge.keep_quarantined(con, gathered)
        if not gathered.accepted:
            return None
        return _enter(
            con, batch, version, BatchType.RELEASE, {"loaded": loaded, "unchanged": gathered.accepted - loaded}
        )


def _enter(
    con: duckdb.DuckDBPyConnection, batch: Batch, version: str, batch_type: BatchType, counts: Mapping[str, int]
) -> accounting.Accounting:
    """Record a retry of some rows of a batch. Rules may change back, so its id counts the retries before it."""
    ((before,),) = con.execute(
        "select count(*) from ops.batches where retried_batch_id = ?", [batch.batch_id]
    ).fetchall()
    retry_id = _retry_id(batch.batch_id, f"{version} {before}")
    account = _retry(batch, retry_id, batch_type, {"received": sum(counts.values()), **counts})
    accounting.insert(con, account, batch.received_at)
    return account


def _retry(batch: Batch, retry_id: str, batch_type: BatchType, counts: Mapping[str, int]) -> accounting.Accounting:
    """Return the accounting of a retry: the window of its batch, an id of its own."""
    return replace(
        accounting.of(batch, **counts),
        batch_id=retry_id,
        batch_type=batch_type,
        message=MESSAGES[batch_type],
        retried_batch_id=batch.batch_id,
    )


def _retry_id(batch_id: str, why: str) -> str:
    return hashlib.sha256(f"retry {batch_id} {why}".encode()).hexdigest()


def _exists(con: duckdb.DuckDBPyConnection, batch_id: str) -> bool:
    return bool(con.execute("select 1 from ops.batches where batch_id = ?", [batch_id]).fetchall())
