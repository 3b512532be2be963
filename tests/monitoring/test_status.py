"""Status for the engineer on duty: failures, unfinished steps, a release of another day, old batches."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines.cli import main as cli
from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.monitoring import run_log
from pipelines.monitoring import status as monitoring
from pipelines.release import manifest
from pipelines.steps.status import current_release
from pipelines.store import landing
from tests.conftest import AS_OF, delivery


@pytest.fixture
def korea(settings: Settings) -> Settings:
    return settings.model_copy(update={"profile": profiles.load("korea")})


def home_status(settings: Settings, at: datetime) -> monitoring.Status:
    return monitoring.status(settings, at, current_release(settings))


def problems(settings: Settings) -> list[str]:
    return monitoring.problems(settings, current_release(settings))


def end(settings: Settings, step: str, message: str = "", feed: str = "") -> None:
    run_log.keep(settings, step, feed, AS_OF, AS_OF + timedelta(seconds=2), message)


def publish(settings: Settings, as_of: datetime = AS_OF) -> None:
    release = settings.published / "releases" / "one"
    release.mkdir(parents=True)
    manifest.write(release, {"as_of": as_of.isoformat(), "feeds": [], "files": {}})
    settings.current.symlink_to("releases/one")


def test_the_last_try_of_a_step_counts(korea: Settings) -> None:
    for step in run_log.STEPS:
        end(korea, step)
    end(korea, "forecast_fit", "RuntimeError: no memory")
    assert run_log.failures(korea) == ["forecast_fit: RuntimeError: no memory"]
    end(korea, "forecast_fit")
    assert run_log.failures(korea) == []


def test_a_step_that_left_no_outcome_is_a_failure(korea: Settings) -> None:
    for step in sorted(set(run_log.STEPS) - {"forecast_fit", "publish"}):
        end(korea, step)
    assert [line.split(":")[0] for line in run_log.failures(korea)] == ["forecast_fit", "publish"]


def test_yesterdays_release_is_not_todays(korea: Settings) -> None:
    publish(korea, AS_OF - timedelta(days=1))
    for step in run_log.STEPS:
        end(korea, step)
    assert any("none of 2026-03-03 05:15 yet" in line for line in problems(korea))


def test_a_run_that_crosses_the_run_time_is_checked_at_its_own_as_of(korea: Settings) -> None:
    publish(korea)
    for step in run_log.STEPS:
        end(korea, step)
    newest = CliRunner().invoke(cli.app, ["status", "--newest-run", "--home", str(korea.home)])
    printed = " ".join(newest.output.split())
    assert "judged at 2026-03-03 05:15" in printed
    assert "the current release is of" not in printed


def test_a_failed_step_belongs_to_the_newest_run(korea: Settings) -> None:
    end(korea, "build")
    end(korea.model_copy(update={"as_of": AS_OF + timedelta(days=1)}), "fetch", "FeedError: no answer", "police_112")
    assert run_log.newest_as_of(korea) == AS_OF + timedelta(days=1)


def test_a_missing_release_is_reported_with_what_to_do(korea: Settings) -> None:
    assert f"nothing is published in {korea.home} yet: run `bongsu run`" in home_status(korea, AS_OF).problems


def test_batches_past_their_retention_are_reported(korea: Settings) -> None:
    landing.put(korea, "police_112", delivery([], end=AS_OF - timedelta(days=2000)))
    assert any("past their retention of 1825 days" in line for line in home_status(korea, AS_OF).problems)


def test_batches_are_overdue_at_the_instant_at_which_they_are_destroyed(korea: Settings) -> None:
    landing.put(korea, "police_112", delivery([], end=AS_OF - timedelta(days=1825)))
    assert any("past their retention" in line for line in home_status(korea, AS_OF).problems)


def test_an_alarm_of_the_newest_watch_stays_until_a_later_watch_or_run(korea: Settings) -> None:
    def watch(minutes: int, message: str) -> datetime:
        at = AS_OF + timedelta(minutes=minutes)
        run_log.keep(korea.model_copy(update={"as_of": at}), "watch", "", at, at, message)
        return at

    def watch_lines(at: datetime) -> list[str]:
        return [line for line in home_status(korea, at).problems if line.startswith("watch")]

    end(korea, "build")
    first = watch(30, "StepError: fire_119: down\npolice_112: no data")
    expected = ["watch at 2026-03-03 05:45: fire_119: down", "watch at 2026-03-03 05:45: police_112: no data"]
    assert watch_lines(first + timedelta(hours=9)) == expected
    assert watch_lines(AS_OF) == [] and not any("watch" in line for line in problems(korea))
    assert watch_lines(watch(90, "")) == []
    third = watch(150, "StepError: fire_119: down")
    assert len(watch_lines(third)) == 1
    run_log.keep(korea, "build", "", third, third + timedelta(minutes=1), "")
    assert watch_lines(third) == []


def test_the_last_run_is_known_without_opening_a_file(korea: Settings) -> None:
    assert run_log.last_as_of(korea) is None
    end(korea, "build")
    assert run_log.last_as_of(korea) == AS_OF


def test_a_weekly_feed_is_stale_only_when_it_is_due(korea: Settings) -> None:
    def state(days: int) -> str:
        later = korea.model_copy(update={"as_of": AS_OF + timedelta(days=days)})
        return monitoring._state(later, "police_112_keys", AS_OF, None, later.as_of)

    assert [state(days)[:5] for days in (0, 1, 6, 7)] == ["fresh", "fresh", "fresh", "stale"]


def test_a_feed_without_any_record_is_stale_once_a_release_says_so(korea: Settings) -> None:
    def state(data_as_of: dict[str, datetime | None]) -> str:
        published = monitoring.Published("one", AS_OF, data_as_of, [])
        states = monitoring._feed_states(korea, AS_OF, published)
        return str(states.filter(pl.col("feed") == "police_112")["state"].item())

    assert state({"police_112": None}) == "stale: no record yet"
    assert state({}) == "stale: never loaded"


def test_a_feed_whose_newest_record_is_too_old_is_stale_with_its_age_and_limit(korea: Settings) -> None:
    limit = timedelta(hours=korea.profile.feeds["police_112"].freshness_hours)

    def state(age: timedelta) -> str:
        return monitoring._state(korea, "police_112", AS_OF, AS_OF - age, AS_OF)

    hours = limit / timedelta(hours=1)
    assert state(limit) == "fresh"
    assert state(limit + timedelta(hours=2)) == f"stale: newest record is {hours + 2:.0f} h old, limit {hours:.0f} h"
    assert monitoring._state(korea, "police_112", None, None, AS_OF) == "stale: never loaded"
