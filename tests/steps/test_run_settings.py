"""Which home, profile and instant a command is run with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.config.profile import ProfileError
from pipelines.monitoring import run_log
from pipelines.steps.run_settings import (
    settings_for,
    settings_of_dag_run,
    settings_of_last_run,
    settings_of_newest_run,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LAST_RUN_TIME = datetime(2026, 3, 1, 20, 15, tzinfo=UTC)
"""05:15 in Korea on the 2nd of March, the last one before ``NOW``."""


def test_without_an_as_of_a_run_is_judged_at_the_last_run_time(tmp_path: Path) -> None:
    assert settings_for(tmp_path / "home", now=NOW).as_of == LAST_RUN_TIME


def test_real_records_are_never_read_through_a_future_instant(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(ProfileError, match="--as-of 2026-03-04 is in the future"):
        settings_for(home, "toronto", "2026-03-04", NOW)
    assert not home.exists()
    assert settings_for(tmp_path / "simulated", "korea", "2026-03-04", NOW).as_of > NOW
    assert settings_for(home, "toronto", NOW.isoformat(), NOW).as_of == NOW


def test_a_command_that_only_reads_makes_no_home(tmp_path: Path) -> None:
    settings_for(tmp_path / "home", writes=False)
    assert not (tmp_path / "home").exists()


def test_a_home_keeps_the_profile_of_its_first_use(tmp_path: Path) -> None:
    settings_for(tmp_path, "toronto", now=NOW)
    assert settings_for(tmp_path, now=NOW).profile.name == "toronto"
    with pytest.raises(ProfileError, match="toronto"):
        settings_for(tmp_path, "korea", now=NOW)


def test_a_rebuild_is_judged_at_the_as_of_of_the_last_run_unless_one_is_given(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = settings_for(home, now=NOW)
    assert settings_of_last_run(home, as_of="2026-02-01").as_of == datetime(2026, 1, 31, 20, 15, tzinfo=UTC)
    earlier = first.model_copy(update={"as_of": LAST_RUN_TIME - timedelta(days=5)})
    for step in run_log.STEPS:
        run_log.keep(earlier, step, "", NOW, NOW, "")
    assert settings_of_last_run(home).as_of == settings_of_newest_run(home).as_of == earlier.as_of
    assert settings_of_last_run(home, as_of="2026-02-01").as_of != earlier.as_of
    assert settings_of_newest_run(home, as_of="2026-02-01").as_of == datetime(2026, 1, 31, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("conf", "follows_schedule", "as_of"),
    [
        (None, True, LAST_RUN_TIME),
        ({}, False, NOW),
        ({"as_of": "2026-02-01"}, True, datetime(2026, 1, 31, 20, 15, tzinfo=UTC)),
        ({"as_of": "2026-02-01"}, False, datetime(2026, 1, 31, 20, 15, tzinfo=UTC)),
    ],
)
def test_a_dag_run_is_judged_when_it_was_due_not_when_it_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    conf: dict[str, str] | None,
    follows_schedule: bool,
    as_of: datetime,
) -> None:
    monkeypatch.setenv("BONGSU_HOME", str(tmp_path / "home"))
    settings = settings_of_dag_run(SimpleNamespace(conf=conf, run_after=NOW), follows_schedule)
    assert (settings.home, settings.as_of, settings.profile.name) == (tmp_path / "home", as_of, "korea")
