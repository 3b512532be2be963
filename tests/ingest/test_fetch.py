"""Fetch: no gap, no needless request, and each delivery landed as soon as it is received."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipelines.config.settings import Settings
from pipelines.feeds.feed import FeedError, Request
from pipelines.ingest import fetch as intake
from pipelines.ingest import load
from pipelines.schema.delivery import Delivery
from pipelines.store import landing, ledger, warehouse
from tests.conftest import AS_OF, KEYED, SNAPSHOT, delivery

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def elsewhere(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Feeds that are not simulated."""
    for name in ("CALLS", "REPORTS"):
        monkeypatch.setenv(f"BONGSU_URL_{name}", "http://127.0.0.1:9")
    return settings


def test_a_run_reads_again_from_the_cursor_less_the_lag(settings: Settings) -> None:
    start, end = intake.window(settings, KEYED, AS_OF - DAY)
    assert start is not None
    assert (AS_OF - DAY - start, end) == (timedelta(hours=24), AS_OF)


def test_a_snapshot_is_requested_as_a_whole(settings: Settings) -> None:
    feeds = settings.profile.feeds
    whole = {name: entry.model_copy(update={"window_days": None}) for name, entry in feeds.items()}
    changed = settings.model_copy(update={"profile": settings.profile.model_copy(update={"feeds": whole})})
    assert intake.window(changed, SNAPSHOT, None) == (None, AS_OF)


def test_deliveries_before_a_failure_are_landed(elsewhere: Settings) -> None:
    def fetch(request: Request) -> Iterator[Delivery]:
        for days in (9, 6):
            yield delivery([], AS_OF - days * DAY, AS_OF - (days - 3) * DAY)
        raise FeedError("calls: down")

    with pytest.raises(FeedError):
        intake.fetch(elsewhere, replace(KEYED, fetch=fetch), lambda _: None)
    assert len(landing.batches(elsewhere)) == 2


def test_a_feed_that_was_read_through_as_of_is_not_requested_again(elsewhere: Settings) -> None:
    landing.put(elsewhere, "calls", delivery([{"id": "A", "category": "theft", "updated": 1}], AS_OF - DAY, AS_OF))
    with warehouse.connect(elsewhere) as con:
        load.load_pending(con, elsewhere, KEYED)

    def fetch(request: Request) -> Iterator[Delivery]:
        raise AssertionError("requested again")

    assert intake.fetch(elsewhere, replace(KEYED, fetch=fetch), lambda _: None) == []


def test_a_rejected_batch_is_requested_again(elsewhere: Settings) -> None:
    landing.put(elsewhere, "calls", delivery([{"id": None, "category": "theft", "updated": 1}], AS_OF - DAY, AS_OF))
    with warehouse.connect(elsewhere) as con:
        load.load_pending(con, elsewhere, KEYED)
    starts: list[datetime | None] = []

    def fetch(request: Request) -> Iterator[Delivery]:
        starts.append(request.window_start)
        yield delivery([], request.window_start, request.window_end)

    assert intake.fetch(elsewhere, replace(KEYED, fetch=fetch), lambda _: None)
    assert starts[0] is not None and starts[0] < AS_OF - DAY


def test_a_weekly_feed_is_not_requested_for_six_days(elsewhere: Settings) -> None:
    feeds = elsewhere.profile.feeds
    weekly = {name: entry.model_copy(update={"every_days": 7, "window_days": None}) for name, entry in feeds.items()}
    profile = elsewhere.profile.model_copy(update={"feeds": weekly})
    ends = []

    def fetch(request: Request) -> Iterator[Delivery]:
        ends.append(request.window_end)
        yield delivery([{"category": "theft", "day": "monday"}], request.window_start, request.window_end)

    for day in range(9):
        settings = elsewhere.model_copy(update={"profile": profile, "as_of": AS_OF + day * DAY})
        intake.fetch(settings, replace(SNAPSHOT, fetch=fetch), lambda _: None)
        with warehouse.connect(settings) as con:
            load.load_pending(con, settings, SNAPSHOT)
    assert ends == [AS_OF, AS_OF + 7 * DAY]


class Source:
    """A source that records the windows requested, and may answer badly."""

    def __init__(self) -> None:
        self.requests: list[tuple[datetime | None, datetime]] = []
        self.row: dict[str, object] = {"id": "A", "category": "theft", "updated": 1}

    def fetch(self, request: Request) -> Iterator[Delivery]:
        self.requests.append((request.window_start, request.window_end))
        yield delivery([self.row], request.window_start, request.window_end)


def read(settings: Settings, source: Source, at: datetime, how: str = "fetch") -> None:
    """A run (or a watch) at an instant: fetch and load."""
    chosen = settings.model_copy(update={"as_of": at})
    getattr(intake, how)(chosen, replace(KEYED, fetch=source.fetch), lambda _: None)
    with warehouse.connect(chosen) as con:
        load.load_pending(con, chosen, KEYED)


@pytest.fixture
def source(elsewhere: Settings) -> Source:
    """A source that a run has read through AS_OF."""
    source = Source()
    landing.put(elsewhere, "calls", delivery([source.row], AS_OF - 9 * DAY, AS_OF))
    with warehouse.connect(elsewhere) as con:
        load.load_pending(con, elsewhere, KEYED)
    return source


@pytest.mark.parametrize("watched_at", [AS_OF + DAY - HOUR, AS_OF + DAY, AS_OF + DAY + HOUR / 2])
def test_a_watch_does_not_shorten_a_runs_lag(elsewhere: Settings, source: Source, watched_at: datetime) -> None:
    read(elsewhere, source, watched_at, "watch")
    read(elsewhere, source, AS_OF + DAY)
    assert source.requests == [(AS_OF, watched_at), (AS_OF - DAY, AS_OF + DAY)]
    read(elsewhere, source, AS_OF + DAY)
    assert len(source.requests) == 2, "what a run has read is not requested again"


def test_a_watch_continues_from_the_last_one(elsewhere: Settings, source: Source) -> None:
    for hours in (1, 2, 2):
        read(elsewhere, source, AS_OF + hours * HOUR, "watch")
    assert source.requests == [(AS_OF, AS_OF + HOUR), (AS_OF + HOUR, AS_OF + 2 * HOUR)]


def test_a_rejected_watch_that_is_accepted_later_is_still_not_a_run(
    elsewhere: Settings, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.row = {"id": None, "category": "theft", "updated": 1}
    watched_at = AS_OF + DAY + HOUR
    read(elsewhere, source, watched_at, "watch")
    feeds = elsewhere.profile.feeds
    lenient = {name: entry.model_copy(update={"max_quarantine_share": 1.0}) for name, entry in feeds.items()}
    profile = elsewhere.profile.model_copy(update={"feeds": lenient})
    later = elsewhere.model_copy(update={"profile": profile, "as_of": watched_at})
    with warehouse.connect(later) as con:
        assert [account.batch_type for account in load.load_pending(con, later, KEYED)] == ["acceptance"]
    assert intake.read_by_runs(later, "calls") == AS_OF


def test_a_feed_that_no_run_has_loaded_is_not_watched(elsewhere: Settings) -> None:
    with pytest.raises(FeedError, match="bongsu run"):
        intake.watch(elsewhere, KEYED, lambda _: None)


def test_a_backfill_up_to_as_of_does_not_shorten_a_runs_lag(elsewhere: Settings, source: Source) -> None:
    later = elsewhere.model_copy(update={"as_of": AS_OF + DAY})
    feed = replace(KEYED, fetch=source.fetch)
    intake.fetch_window(later, feed, (AS_OF - HOUR, AS_OF + DAY), lambda _: None, out_of_turn="backfill")
    with warehouse.connect(later) as con:
        load.load_pending(con, later, KEYED)
    read(elsewhere, source, AS_OF + DAY)
    assert source.requests[-1] == (AS_OF - DAY, AS_OF + DAY)


def test_an_interrupted_backfill_has_recorded_what_it_landed(elsewhere: Settings) -> None:
    def fetch(request: Request) -> Iterator[Delivery]:
        yield delivery([], AS_OF - 9 * DAY, AS_OF - 8 * DAY)
        raise FeedError("calls: down")

    backfill = (AS_OF - 9 * DAY, AS_OF)
    with pytest.raises(FeedError):
        intake.fetch_window(elsewhere, replace(KEYED, fetch=fetch), backfill, lambda _: None, out_of_turn="backfill")
    (noted,) = ledger.read(elsewhere.ledger, "backfill")
    assert noted["batch_ids"] == [batch.batch_id for batch in landing.batches(elsewhere)]
