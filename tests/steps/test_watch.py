"""A watch: it reads the feeds that declare it, one feed's failure stops no other, and failures are reported."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from pipelines import feeds
from pipelines.config.environment import Environment
from pipelines.config.errors import StepError
from pipelines.config.settings import Settings
from pipelines.feeds.feed import FeedError, Request
from pipelines.ingest import load
from pipelines.monitoring import feed_volume
from pipelines.schema.delivery import Delivery
from pipelines.steps.status import status
from pipelines.steps.watch import watch
from pipelines.store import landing, warehouse
from pipelines.transform import build
from tests.conftest import AS_OF, KEYED, SNAPSHOT, delivery

LATER = AS_OF + timedelta(hours=3)
GOOD: dict[str, object] = {"id": "A", "category": "theft", "updated": 1}


class Place:
    """Four feeds that a run has read through AS_OF; the answers to a watch can be set, and requests are recorded."""

    def __init__(self, settings: Settings) -> None:
        source = settings.profile.feeds["calls"]
        self.rows = dict.fromkeys(("calls", "more_calls", "unwatched", "reports"), GOOD)
        self.broken: Exception | None = None
        self.requested: list[str] = []
        sources = {name: source.model_copy(update={"watched": name != "unwatched"}) for name in self.rows}
        profile = settings.profile.model_copy(update={"feeds": sources})
        keyed = replace(KEYED, template="calls")
        self.feeds = tuple(
            replace(kind, name=name, fetch=self.answer_of(name))
            for name, kind in zip(self.rows, (keyed, keyed, keyed, SNAPSHOT), strict=True)
        )
        self.read = settings.model_copy(update={"profile": profile})
        self.watched = self.read.model_copy(update={"as_of": LATER, "environment": Environment(lock_timeout_seconds=0)})

    def answer_of(self, name: str) -> Callable[[Request], Iterator[Delivery]]:
        def fetch(request: Request) -> Iterator[Delivery]:
            self.requested.append(name)
            with warehouse.connect(self.watched):  # fails while a watch holds the warehouse
                pass
            if name == "calls" and self.broken:
                raise self.broken
            yield delivery([self.rows[name]], request.window_start, request.window_end)

        return fetch

    def loaded(self, feed: str) -> int:
        with warehouse.connect(self.watched) as con:
            return len(con.execute(f"from raw.{feed}").fetchall())


@pytest.fixture
def place(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(settings)
    for name in place.rows:
        monkeypatch.setenv(f"BONGSU_URL_{name.upper()}", "http://127.0.0.1:9")
    monkeypatch.setattr(feeds, "of", lambda _: place.feeds)
    monkeypatch.setattr(build, "stage", lambda *_: {})
    monkeypatch.setattr(feed_volume, "judge_feeds", lambda *_: pl.DataFrame(schema=feed_volume.SCHEMA))
    with warehouse.connect(place.read) as con:
        con.execute("create table reference.areas (area_id varchar)")
        for feed in place.feeds[:3]:
            landing.put(place.read, feed.name, delivery([], AS_OF - timedelta(days=1), AS_OF))
            load.load_pending(con, place.read, feed)
    return place


def test_only_keyed_feeds_that_declare_it_are_watched_and_fetched_while_the_warehouse_is_free(place: Place) -> None:
    assert watch(place.watched) == ["calls", "more_calls"]
    assert place.requested == ["calls", "more_calls"]
    assert place.loaded("calls") == place.loaded("more_calls") == 1


def test_a_feed_that_cannot_be_read_fails_a_watch(place: Place) -> None:
    place.rows["calls"] = GOOD | {"id": None}
    with pytest.raises(StepError, match="calls: batch rejected: 1 of 1 rows fail"):
        watch(place.watched)
    assert place.loaded("more_calls") == 1


@pytest.mark.parametrize("error", [FeedError("down"), RuntimeError("a defect")])
def test_any_error_of_one_feed_stops_no_other(place: Place, error: Exception) -> None:
    place.broken = error
    with pytest.raises(StepError, match=f"calls: {error}"):
        watch(place.watched)
    assert place.loaded("more_calls") == 1


def test_status_shows_the_result_of_the_newest_watch(place: Place) -> None:
    place.broken = FeedError("down")
    with pytest.raises(StepError):
        watch(place.watched)
    assert "watch at 2026-03-03 08:15: calls: down" in status(place.watched, judged_at_as_of=True).problems


def test_a_place_without_watched_feeds_watches_none(place: Place) -> None:
    none = {name: source.model_copy(update={"watched": False}) for name, source in place.watched.profile.feeds.items()}
    profile = place.watched.profile.model_copy(update={"feeds": none})
    assert watch(place.watched.model_copy(update={"profile": profile})) == []
    assert place.requested == []
