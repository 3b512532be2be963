"""A whole run on a small simulated city: run twice, kill, rebuild, destroy, lose a feed.

Slow: minutes in all. Every test works on a copy of one finished home.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import orjson
import pytest

from pipelines.config.errors import StepError
from pipelines.config.settings import Settings
from pipelines.ingest import accounting
from pipelines.release import manifest, reader
from pipelines.release.manifest import ManifestError
from pipelines.schema import dictionary
from pipelines.steps.backfill import backfill
from pipelines.steps.build import build
from pipelines.steps.check import check
from pipelines.steps.copies import drill, verify
from pipelines.steps.destroy import destroy
from pipelines.steps.publish import publish
from pipelines.steps.rebuild import rebuild
from pipelines.steps.run import run
from pipelines.steps.run_settings import settings_for
from pipelines.steps.status import status
from pipelines.store import landing, warehouse
from tests.conftest import unexpected_modes
from tests.places import small_city

pytestmark = pytest.mark.slow

AS_OF, NEXT = "2026-03-02", "2026-03-03"
CLOSED = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profile of a city of five districts."""
    return small_city(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def finished(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after one whole run."""
    settings = settings_for(tmp_path_factory.mktemp("finished") / "home", str(small), AS_OF)
    run(settings)
    return settings


@pytest.fixture
def copied(finished: Settings, tmp_path: Path) -> Settings:
    return copy_of(finished, tmp_path / "home")


def copy_of(finished: Settings, home: Path) -> Settings:
    """A separate home with its own release."""
    shutil.copytree(finished.home, home, symlinks=True)
    link = home / "published" / "current"
    name = link.resolve().name
    link.unlink()
    link.symlink_to(Path("releases") / name)
    return finished.model_copy(update={"home": home})


def hashes(settings: Settings) -> dict[str, str]:
    with warehouse.connect(settings) as con:
        return warehouse.hashes(con)


def next_day(settings: Settings) -> Settings:
    return settings_for(settings.home, None, NEXT)


def bongsu(settings: Settings, *arguments: str, as_of: str = AS_OF, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipelines.cli.main", *arguments, "--home", str(settings.home), "--as-of", as_of]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_a_finished_home_is_accessible_to_its_owner_only_except_for_its_releases(finished: Settings) -> None:
    assert unexpected_modes(finished.home) == {}


def test_every_row_received_is_accounted_for(finished: Settings) -> None:
    loads = accounting.acknowledged(finished)
    assert {a.feed for a in loads} == {"police_112", "police_112_keys", "fire_119", "investigation_cases"}
    assert all(a.received == a.loaded + a.unchanged + a.quarantined + a.rejected for a in loads)
    assert sum(a.quarantined for a in loads) > 0


def test_the_same_day_again_changes_nothing(copied: Settings) -> None:
    before, release = hashes(copied), copied.current.resolve().name
    run(copied)
    assert hashes(copied) == before
    assert [path.name for path in (copied.published / "releases").iterdir()] == [release]


def test_a_rebuild_from_landing_and_records_gives_the_same_hashes(copied: Settings) -> None:
    before = {name: value for name, value in hashes(copied).items() if not name.startswith("views.")}
    assert rebuild(copied) == before


def test_ten_builds_on_two_threads_give_one_hash(copied: Settings) -> None:
    distinct = set()
    for _ in range(10):
        build(copied)
        distinct.add(orjson.dumps(hashes(copied)))
    assert len(distinct) == 1


@pytest.fixture(scope="module")
def undisturbed(finished: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[int]]:
    """The finished home after another undisturbed day, and the rows that a concurrent reader counted."""
    settings = next_day(copy_of(finished, tmp_path_factory.mktemp("undisturbed") / "home"))
    counts: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.05):
            frame = reader.query(settings, "select count(*) as n from demand_forecast", "dispatch")
            counts.append(frame["n"][0])

    thread = threading.Thread(target=read)
    thread.start()
    try:
        run(settings)
    finally:
        done.set()
        thread.join()
    return settings, counts


def test_a_run_killed_repeatedly_converges_when_run_again(
    copied: Settings, undisturbed: tuple[Settings, list[int]]
) -> None:
    for seconds in (4.0, 8.0, 11.0):
        process = bongsu(copied, "run", as_of=NEXT)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    disturbed = next_day(copied)
    run(disturbed)
    assert hashes(disturbed) == hashes(undisturbed[0])
    assert disturbed.current.resolve().name == undisturbed[0].current.resolve().name


def test_readers_never_meet_a_lock_or_a_torn_release(undisturbed: tuple[Settings, list[int]]) -> None:
    _, counts = undisturbed
    assert len(counts) > 20
    assert len(set(counts)) == 1, "both releases hold as many rows, and no read saw fewer"


def test_destroyed_batches_leave_raw_and_a_rebuild_agrees(copied: Settings) -> None:
    first = min(b.window_end for b in landing.batches(copied, "police_112"))
    before = (first + timedelta(days=2)).astimezone(copied.profile.zone).date()
    assert destroy(copied, "police_112", before) >= 1
    verify(copied)
    after = {name: value for name, value in hashes(copied).items() if not name.startswith("views.")}
    with warehouse.connect(copied) as con:
        gone = {b.batch_id for b in landing.batches(copied) if b.is_destroyed}
        remaining = {row[0] for row in con.execute("select distinct _batch_id from raw.police_112").fetchall()}
    assert gone and not gone & remaining
    assert len(list((copied.published / "releases").iterdir())) == 1
    assert rebuild(copied) == after


@pytest.fixture
def without_fire(copied: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("BONGSU_URL_FIRE_119", CLOSED)
    later = next_day(copied)
    with pytest.raises(StepError, match="fire_119"):
        run(later)
    yield later


def test_one_failed_feed_stops_no_other_and_is_reported_everywhere(without_fire: Settings) -> None:
    report = status(without_fire, judged_at_as_of=True)
    states = dict(report.feeds.select("feed", "state").rows())
    assert states["police_112"] == "fresh"
    assert states["fire_119"].startswith("stale")
    assert report.problems
    manifest = orjson.loads((without_fire.current / "manifest.json").read_bytes())
    assert {state["feed"] for state in manifest["feeds"] if state["is_stale"]} == {"fire_119"}
    reported = reader.query(
        without_fire,
        "select service, bool_and(degraded_reason is not null) as d from demand_forecast group by 1",
        "dispatch",
    )
    degraded = {service for service, is_degraded in reported.rows() if is_degraded}
    assert degraded == {"fire", "rescue", "ems", "life_safety", "advice"}
    briefing = (without_fire.current / "audiences/dispatch/briefing/index.html").read_text("utf-8")
    assert "fire_119" in briefing and "stale" in briefing.lower()


def test_a_bad_forecast_is_left_out_and_named_and_the_rest_is_published(copied: Settings) -> None:
    build(copied)
    with warehouse.connect(copied) as con:
        con.execute("update forecast.demand set mean = -1")
    tables = manifest.read(publish(copied))["audiences"]["dispatch"]["tables"]
    assert tables.keys().isdisjoint({"demand_forecast", "staffing"}) and "demand_hourly" in tables
    with pytest.raises(StepError, match=r"demand_forecast is held back: quality gate failed for forecast\.demand"):
        check(copied)


def test_a_damaged_release_fails_the_check_until_it_is_published_again(copied: Settings) -> None:
    folder = copied.current.resolve()
    (folder / "audiences/dispatch/dispatch.duckdb").write_bytes(b"x")
    with pytest.raises(StepError, match=f"release {folder.name} is damaged: audiences/dispatch/dispatch.duckdb"):
        check(copied)
    with pytest.raises(ManifestError, match="is not what was written"):
        verify(copied)
    assert publish(copied) == folder
    assert verify(copied)["files of releases"] == sum(path.is_file() for path in folder.rglob("*"))
    check(copied)


def test_every_file_of_a_release_belongs_to_an_audience(finished: Settings) -> None:
    root = finished.current.resolve()
    outside = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] != "audiences"]
    assert [path.name for path in outside] == ["manifest.json"]


def test_a_backfilled_range_loads_nothing_new(copied: Settings) -> None:
    counts = backfill(copied, "fire_119", date(2026, 2, 1), date(2026, 2, 5))
    assert counts["received"] > 0
    assert counts["loaded"] == 0


def test_a_drill_restores_every_table(copied: Settings) -> None:
    assert drill(copied, None) > 30


ROOT = Path(__file__).parents[2]


def test_columns_with_a_list_of_values_have_no_others(finished: Settings) -> None:
    listed = {name: column.values for name, column in dictionary.load().columns.items() if column.values}
    for path in (finished.current / "audiences").glob("*/*.duckdb"):
        with duckdb.connect(path, read_only=True) as con:
            columns = con.execute(
                "select table_name, column_name from duckdb_columns() where schema_name = 'main' and not internal"
            )
            for table, column in [pair for pair in columns.fetchall() if pair[1] in listed]:
                values = {value for (value,) in con.execute(f'select distinct "{column}" from "{table}"').fetchall()}
                assert values <= {*listed[column], None}, f"{path.stem}: {table}.{column}"


def test_every_query_of_the_documentation_runs(finished: Settings) -> None:
    text = "\n".join((ROOT / page).read_text("utf-8") for page in ("README.md", "docs/queries.md"))
    queries = set(re.findall(r'(?m)^bongsu query "(.+)"(?: --audience (\w+))?$', text))
    assert len(queries) == 18
    # The documentation is about Seoul.
    for sql, audience in queries:
        assert reader.query(finished, sql.replace("'11'", "'29'"), audience or "public").width > 0


def test_every_command_is_documented_and_explains_itself() -> None:
    import typer

    from pipelines.cli import main as cli

    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        assert f"`{name}" in text or f"bongsu {name}" in text, f"docs/commands.md does not mention {name}"
        assert command.help, f"{name} has no help"
