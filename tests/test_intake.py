"""What intake promises: no gap, no needless question, and each delivery landed as soon as it is there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

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


def test_windows_cover_the_time_without_gap_or_overlap() -> None:
    found = intake.split(AS_OF - 10 * DAY, AS_OF, 4)
    assert [(end - start).days for start, end in found] == [4, 4, 2]
    assert all(before[1] == after[0] for before, after in pairwise(found))


def test_a_run_reads_again_by_the_lag_behind_the_cursor(settings: Settings) -> None:
    ((start, end),) = intake.windows(settings, KEYED, AS_OF - DAY)
    assert (AS_OF - DAY - start, end) == (timedelta(hours=24), AS_OF)


def test_a_snapshot_is_asked_for_whole(settings: Settings) -> None:
    feeds = settings.profile.feeds
    whole = {name: entry.model_copy(update={"window_days": None}) for name, entry in feeds.items()}
    changed = settings.model_copy(update={"profile": settings.profile.model_copy(update={"feeds": whole})})
    assert intake.windows(changed, SNAPSHOT, None) == [(None, AS_OF)]


def test_what_came_before_a_failure_is_landed(elsewhere: Settings) -> None:
    def fetch(request: Request) -> Iterator[Delivery]:
        if request.window_start is not None and request.window_start > AS_OF - 150 * DAY:
            raise FeedError("calls: down")
        yield delivery([], request.window_start, request.window_end)

    with pytest.raises(FeedError):
        intake.fetch(elsewhere, replace(KEYED, fetch=fetch), lambda _: None)
    assert len(landing.batches(elsewhere)) == 3


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
