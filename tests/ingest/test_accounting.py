"""The accounting of batches: what the ledger says of them, and how far a feed is fetched without a gap."""

from dataclasses import replace
from datetime import datetime, timedelta

from pipelines.config.settings import Settings
from pipelines.ingest import accounting, load
from pipelines.ingest.accounting import Accounting
from pipelines.store import landing, ledger, warehouse
from tests.conftest import AS_OF, KEYED, delivery

DAY = timedelta(days=1)


def account(start: str | None, end: str, **known: object) -> Accounting:
    """The accepted accounting of a window of days of March 2026."""
    begin = f"2026-03-{start}T00:00:00+00:00" if start else None
    batch_id = f"{start} to {end}"
    return replace(Accounting(batch_id, "calls", "delivery", begin, f"2026-03-{end}T00:00:00+00:00"), **known)  # type: ignore[arg-type]


def through(*accounts: Accounting, backfills: frozenset[str] = frozenset()) -> int | None:
    instant = accounting.cursor(accounts, "calls", backfills)
    return instant.day if instant else None


def test_only_accepted_windows_of_the_feed_itself_move_its_cursor() -> None:
    first = account("01", "02")
    assert through(first, account("02", "03", verdict="rejected")) == 2
    assert through(first, account("02", "03", verdict="unreadable")) == 2
    assert through(first, account("02", "03", feed="reports")) == 2
    assert through(account("02", "03", verdict="rejected")) is None


def test_windows_that_overlap_or_lie_inside_one_another_never_move_the_cursor_back() -> None:
    assert through(account("01", "05"), account("02", "03")) == 5
    assert through(account("01", "05"), account("04", "07")) == 7


def test_a_snapshot_covers_everything_before_its_end() -> None:
    assert through(account(None, "02")) == 2
    assert through(account(None, "02"), account("09", "10")) == 2


def test_a_window_without_any_duration_has_fetched_nothing() -> None:
    assert through(account("03", "03")) is None


def test_a_backfill_closes_a_gap_and_alone_begins_no_chain() -> None:
    gap = account("02", "03")
    chain = [account("01", "02"), account("03", "04")]
    assert through(*chain) == 2
    assert through(*chain, gap, backfills=frozenset({gap.batch_id})) == 4
    assert through(gap, backfills=frozenset({gap.batch_id})) is None


def test_the_accounting_of_a_batch_begins_with_its_identity_and_window_and_no_row(settings: Settings) -> None:
    for start in (None, AS_OF - DAY):
        batch_id = landing.put(settings, "calls", delivery([], start, AS_OF))
        batch = next(batch for batch in landing.batches(settings) if batch.batch_id == batch_id)
        record = accounting.of(batch, rejected=2, verdict="rejected")
        assert (record.batch_id, record.feed, record.batch_type) == (batch_id, "calls", "delivery")
        assert (record.window_start, record.window_end) == (start.isoformat() if start else None, AS_OF.isoformat())
        assert (record.received, record.loaded, record.unchanged, record.quarantined, record.rejected) == (
            0,
            0,
            0,
            0,
            2,
        )


def test_the_accounting_of_a_delivery_that_lacks_something_states_what(settings: Settings) -> None:
    landing.put(settings, "calls", replace(delivery([], None, AS_OF), note="May was not read"))
    (batch,) = landing.batches(settings)
    assert (batch.note, accounting.of(batch).message) == ("May was not read",) * 2
    assert accounting.of(batch, message="too many bad rows").message == "too many bad rows"


def test_what_a_crash_kept_from_the_ledger_is_entered_once_by_the_next_run(settings: Settings) -> None:
    landing.put(settings, "calls", delivery([{"id": "A", "category": "theft", "updated": 1}], AS_OF - DAY, AS_OF))
    with warehouse.connect(settings) as con:
        (done,) = load.load_pending(con, settings, KEYED)
        whole = settings.ledger.read_bytes()
        # The last line is the accounting: without it the ledger is as a crash after the commit leaves it.
        settings.ledger.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
        assert accounting.acknowledged(settings) == []
        for _ in range(2):
            accounting.acknowledge(con, settings)
            assert accounting.acknowledged(settings) == [done]
    ledger.verify(settings.ledger)


def test_batches_fetched_out_of_turn_are_those_that_the_ledger_names(settings: Settings) -> None:
    assert accounting.backfilled(settings) == set()
    ledger.append(settings.ledger, "backfill", feed="calls", batch_ids=["a" * 64, "b" * 64])
    ledger.append(settings.ledger, "backfill", feed="calls", batch_ids=["c" * 64])
    assert accounting.backfilled(settings) == {"a" * 64, "b" * 64, "c" * 64}


def test_entering_a_batch_moves_the_cursor_of_its_feed_and_no_other(settings: Settings) -> None:
    landing.put(settings, "calls", delivery([], AS_OF - DAY, AS_OF))
    (batch,) = landing.batches(settings)
    with warehouse.connect(settings) as con:
        con.execute("insert into ops.cursors values ('reports', '2026-01-01 00:00:00Z')")
        entered = accounting.of(batch, received=1, loaded=1)
        assert accounting.enter_alone(con, settings, batch, entered) == entered
        cursors = dict(con.execute("select feed, fetched_through_at from ops.cursors").fetchall())
        (row,) = con.execute("select received, loaded, unchanged, verdict, _received_at from ops.batches").fetchall()
    assert cursors == {"reports": datetime.fromisoformat("2026-01-01T00:00:00+00:00"), "calls": AS_OF}
    assert row == (1, 1, 0, "accepted", batch.received_at)
