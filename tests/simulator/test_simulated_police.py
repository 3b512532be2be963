"""The simulated police over weeks: vanished calls are withdrawn with the next list, and a stale feed is noticed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest

from pipelines import feeds, simulator
from pipelines.config import profile as profiles
from pipelines.config.errors import StepError
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Request
from pipelines.ingest import fetch, load
from pipelines.quality import suites
from pipelines.schema.delivery import Delivery
from pipelines.steps.watch import watch
from pipelines.store import warehouse
from pipelines.transform import build
from tests import places
from tests.feeds.test_police_112_keys import accept_all

pytestmark = pytest.mark.slow

FIRST = date(2026, 3, 2)
WEEK = timedelta(days=7)


def run(settings: Settings) -> pl.DataFrame:
    """Fetch and load the police's feeds and build staging; return the missing calls."""
    registered = feeds.of(settings.profile)
    with warehouse.connect(settings) as con:
        for feed in registered:
            fetch.fetch(settings, feed, lambda _: None)
            load.load_pending(con, settings, feed)
        build.write_reference(con, settings.profile, registered)
        build.stage(con, registered)
        assert con.execute("select bool_and(is_accepted) from staging.lists").fetchall() == [(True,)]
        still = "select count(*) from staging.incidents join staging.missing using (incident_id)"
        assert con.execute(still).fetchall() == [(0,)]
        return con.execute("select incident_id, missing_at from staging.missing").pl()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of the police's two feeds with a month of history, before its first run."""
    monkeypatch.setattr(suites, "validate_rows", accept_all)
    korea = profiles.load("korea")
    assert korea.simulator is not None
    small = places.with_feeds(
        korea, {name: korea.feeds[name] for name in ("police_112", "police_112_keys")}
    ).model_copy(
        update={
            "simulator": korea.simulator.model_copy(update={"history_days": 30}),
        }
    )
    return Settings(home=tmp_path / "home", profile=small, as_of=small.at(FIRST))


def test_vanished_calls_are_missing_since_the_next_list(settings: Settings) -> None:
    small = settings.profile
    assert run(settings).is_empty(), "what vanished before we ever heard of it cannot be missing"
    for weeks in (1, 2):
        missing = run(settings.model_copy(update={"as_of": small.at(FIRST + weeks * WEEK)}))
    truth = simulator.tables(small, FIRST - timedelta(days=40), FIRST + 2 * WEEK)["truth_vanished"]
    assert set(missing["missing_at"]) == {small.at(FIRST + WEEK), small.at(FIRST + 2 * WEEK)}
    with warehouse.connect(settings) as con:
        heard = {number for (number,) in con.execute("select incident_no from raw.police_112").fetchall()}
    gone = expected(truth, small) & heard
    assert len(gone) > 5
    assert set(missing["incident_id"].str.strip_prefix("police_112:")) == gone


def expected(truth: pl.DataFrame, profile: profiles.Profile) -> set[str]:
    """Numbers of the calls that vanished between the first run and the last."""
    first, last = (profile.at(day).astimezone(UTC) for day in (FIRST, FIRST + 2 * WEEK))
    return set(truth.filter(pl.col("vanished_at").is_between(first, last))["incident_no"])


def test_a_watch_between_runs_loads_records_changes_no_model_and_fails_on_a_feed_without_data(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(settings)
    with warehouse.connect(settings) as con:
        con.execute("create table reference.areas (area_id varchar)")
        before = warehouse.hashes(con, "staging", "reference")
        ((loaded,),) = con.execute("select count(*) from raw.police_112").fetchall()
    three, ten = (settings.model_copy(update={"as_of": settings.as_of + timedelta(hours=hours)}) for hours in (3, 10))
    watch(three)
    with warehouse.connect(settings) as con:
        assert con.execute(f"select count(*) > {loaded} from raw.police_112").fetchall() == [(True,)]
        assert warehouse.hashes(con, "staging", "reference") == before

    def silent(request: Request) -> Iterator[Delivery]:
        page = {"page": 1, "pages": 1, "total": 0, "incidents": []}
        yield Delivery((orjson.dumps(page),), request.window_start, request.window_end)

    cut = tuple(replace(feed, fetch=silent) if feed.name == "police_112" else feed for feed in feeds.FEEDS)
    monkeypatch.setattr(feeds, "FEEDS", cut)
    with pytest.raises(StepError, match="police_112: no data"):
        watch(ten)
