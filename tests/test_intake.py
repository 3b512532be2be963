"""What intake promises: no gap, no needless question, and each delivery landed as soon as it is there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipelines import intake, landing, loading, warehouse
from pipelines.feeds.feed import Delivery, FeedError, Request
from pipelines.settings import Settings
from tests.conftest import AS_OF, KEYED, SNAPSHOT, delivery

DAY = timedelta(days=1)


@pytest.fixture
def elsewhere(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Feeds that are not simulated."""
    for name in ("CALLS", "REPORTS"):
        monkeypatch.setenv(f"BONGSU_URL_{name}", "http://127.0.0.1:9")
    return settings


def test_a_run_reads_again_by_the_lag_behind_the_cursor(settings: Settings) -> None:
    start, end = intake.window(settings, KEYED, AS_OF - DAY)
    assert start is not None
    assert (AS_OF - DAY - start, end) == (timedelta(hours=24), AS_OF)


def test_a_snapshot_is_asked_for_whole(settings: Settings) -> None:
    feeds = settings.profile.feeds
    whole = {name: entry.model_copy(update={"window_days": None}) for name, entry in feeds.items()}
    changed = settings.model_copy(update={"profile": settings.profile.model_copy(update={"feeds": whole})})
    assert intake.window(changed, SNAPSHOT, None) == (None, AS_OF)


def test_what_came_before_a_failure_is_landed(elsewhere: Settings) -> None:
    def fetch(request: Request) -> Iterator[Delivery]:
        for days in (9, 6):
            yield delivery([], AS_OF - days * DAY, AS_OF - (days - 3) * DAY)
        raise FeedError("calls: down")

    with pytest.raises(FeedError):
        intake.fetch(elsewhere, replace(KEYED, fetch=fetch), lambda _: None)
    assert len(landing.batches(elsewhere)) == 2


def test_a_feed_that_was_read_through_as_of_is_not_asked_again(elsewhere: Settings) -> None:
    landing.put(elsewhere, "calls", delivery([{"id": "A", "category": "theft", "updated": 1}], AS_OF - DAY, AS_OF))
    with warehouse.connect(elsewhere) as con:
        loading.load_pending(con, elsewhere, KEYED)

    def fetch(request: Request) -> Iterator[Delivery]:
        raise AssertionError("asked again")

    assert intake.fetch(elsewhere, replace(KEYED, fetch=fetch), lambda _: None) == []


def test_a_rejected_batch_is_asked_for_again(elsewhere: Settings) -> None:
    landing.put(elsewhere, "calls", delivery([{"id": None, "category": "theft", "updated": 1}], AS_OF - DAY, AS_OF))
    with warehouse.connect(elsewhere) as con:
        loading.load_pending(con, elsewhere, KEYED)
    asked: list[datetime | None] = []

    def fetch(request: Request) -> Iterator[Delivery]:
        asked.append(request.window_start)
        yield delivery([], request.window_start, request.window_end)

    assert intake.fetch(elsewhere, replace(KEYED, fetch=fetch), lambda _: None)
    assert asked[0] is not None and asked[0] < AS_OF - DAY


def test_a_feed_that_is_asked_every_week_is_left_alone_for_six_days(elsewhere: Settings) -> None:
    feeds = elsewhere.profile.feeds
    weekly = {name: entry.model_copy(update={"every_days": 7, "window_days": None}) for name, entry in feeds.items()}
    profile = elsewhere.profile.model_copy(update={"feeds": weekly})
    asked = []

    def fetch(request: Request) -> Iterator[Delivery]:
        asked.append(request.window_end)
        yield delivery([{"category": "theft", "day": "monday"}], request.window_start, request.window_end)

    for day in range(9):
        settings = elsewhere.model_copy(update={"profile": profile, "as_of": AS_OF + day * DAY})
        intake.fetch(settings, replace(SNAPSHOT, fetch=fetch), lambda _: None)
        with warehouse.connect(settings) as con:
            loading.load_pending(con, settings, SNAPSHOT)
    assert asked == [AS_OF, AS_OF + 7 * DAY]
