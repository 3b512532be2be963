"""What steps say when they cannot do their work, and what they do when nothing was recorded yet."""

import logging
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from pipelines import feeds, simulator
from pipelines.config import profile as profiles
from pipelines.config.errors import StepError
from pipelines.config.profile import ProfileError
from pipelines.config.settings import Settings
from pipelines.continuity import replicas
from pipelines.ingest import load as ingest
from pipelines.simulator import Written
from pipelines.steps import copies, rebuild, run, simulate, watch
from pipelines.steps.load import load
from pipelines.store import landing, warehouse
from tests.conftest import AS_OF, KEYED, delivery


@pytest.fixture
def korea(settings: Settings) -> Settings:
    return settings.model_copy(update={"profile": profiles.load("korea")})


def test_a_feed_that_the_profile_lacks_is_answered_with_those_it_has(korea: Settings) -> None:
    with pytest.raises(ProfileError, match=r"profile korea has no feed 'fire_911'; it has \['fire_119'"):
        feeds.named(korea.profile, "fire_911")


def test_a_watch_before_the_first_run_says_so(korea: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.ingest.fetch.watch", lambda *_: [])
    with pytest.raises(StepError, match="nothing is built yet: run `bongsu run`"):
        watch.watch(korea)


def test_loading_a_refused_batch_fails_until_it_is_understood(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "named", lambda _profile, _name: KEYED)
    landing.put(settings, "calls", delivery([{"id": "A1", "klass": "theft", "updated": 1}]))
    for _ in range(2):
        with pytest.raises(StepError, match=r"calls: 1 batches rejected; first: .*lacks the columns"):
            load(settings, "calls")
    landing.put(settings, "calls", delivery([{"id": "A1", "category": "theft", "updated": 1}], None, AS_OF))
    assert load(settings, "calls")["loaded"] == 1


@pytest.mark.parametrize(("error", "is_logged"), [(ValueError("defect"), True), (StepError("expected"), False)])
def test_a_defect_in_one_feed_is_logged_with_its_traceback_and_stops_no_other(
    korea: Settings, caplog: pytest.LogCaptureFixture, error: Exception, is_logged: bool
) -> None:
    tried = []

    def step(_settings: Settings, feed: str, _progress: object) -> None:
        tried.append(feed)
        if feed == "police_112":
            raise error

    with caplog.at_level(logging.ERROR):
        failures = run.ingest(korea, steps={"fetch": step})
    assert failures == [f"fetch police_112: {error}"] and len(tried) == len(korea.profile.feeds)
    assert [record.exc_info is not None for record in caplog.records] == [True] * is_logged


def test_a_rebuild_without_recorded_forecasts_scores_and_forecasts_again(
    korea: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name in ("build", "patterns", "score", "dispatch"):
        monkeypatch.setattr(rebuild, name, lambda _settings, name=name: order.append(name))
    monkeypatch.setattr(rebuild.forecast, "forecast", lambda _settings, _progress: order.append("forecast"))
    monkeypatch.setattr(rebuild.forecast, "write_tables", lambda *_: order.append("write"))
    monkeypatch.setattr(ingest, "load_pending", lambda *_: [])
    reported: list[str] = []
    rebuild.rebuild(korea, reported.append)
    assert order == ["build", "patterns", "score", "forecast", "dispatch"]
    assert [text for text in reported if not text.startswith("load ")] == order
    order.clear()
    monkeypatch.setattr(rebuild, "issued_forecasts", lambda _: {"demand_forecasts": pl.DataFrame()})
    rebuild.rebuild(korea)
    assert order == ["build", "patterns", "write", "dispatch"]


def test_a_drill_names_the_tables_that_differ_after_the_restore(
    korea: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "replicate", lambda *_: 0)
    monkeypatch.setattr(replicas, "restore", lambda *_: None)
    with warehouse.connect(korea) as con:
        warehouse.write_frame(con, "marts", "one", pl.DataFrame({"a": [1]}))
        ours = {name: digest for name, digest in warehouse.hashes(con).items() if not name.startswith("views.")}
    monkeypatch.setattr(copies, "rebuild", lambda *_: ours | {"marts.one": "other"})
    with pytest.raises(StepError, match=f"1 of {len(ours)} tables differ after the restore: marts.one"):
        copies.drill(korea, None)
    monkeypatch.setattr(copies, "rebuild", lambda *_: ours | {"views.more": "not compared"})
    assert copies.drill(korea, "copy") == len(ours)


def test_replicating_without_a_url_copies_nothing(korea: Settings) -> None:
    assert copies.replicate(korea, None) == 0


def test_a_simulation_writes_the_days_before_as_of_and_reports_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = []

    def archive(_profile: object, *arguments: object) -> list[Written]:
        windows.append(arguments[:3])
        return [Written(0.5, 10), Written(1.0, 25)]

    monkeypatch.setattr(simulator, "archive", archive)
    shown: list[tuple[float, int]] = []
    profile = simulate.simulated("korea", 0.01, ("11",))
    rows = simulate.simulate(profile, "2026-03-02", 3, tmp_path / "out", lambda *step: shown.append(step))
    assert windows == [(tmp_path / "out", date(2026, 2, 27), date(2026, 3, 2))]
    assert rows == 25 and shown == [(0.5, 10), (1.0, 25)]


def test_a_simulation_is_served_until_interrupted_and_reports_where(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def wait(self) -> None:
            raise KeyboardInterrupt

    reported: list[str] = []
    monkeypatch.setattr(simulate.threading, "Event", Interrupted)
    with monkeypatch.context() as patch:
        patch.setattr(simulator, "serve", _served)
        with pytest.raises(KeyboardInterrupt):
            simulate.serve(simulate.simulated("korea", None, ()), "2026-03-02", reported.append)
    assert reported == [
        f"police at http://127.0.0.1:1, fire at http://127.0.0.1:1/fire, key {simulator.KEY!r}; Ctrl-C ends it"
    ]


class _served:
    """A fake of the server."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> str:
        return "http://127.0.0.1:1"

    def __exit__(self, *_: object) -> None: ...
