"""Homes: one profile, recorded at first use; other users can access only the path to a release."""

import logging
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from pipelines.config.profile import ProfileError, load
from pipelines.steps.run_settings import settings_for
from pipelines.store import landing, records, warehouse
from tests.conftest import delivery, unexpected_modes


def test_the_default_profile_is_korea_and_is_remembered(tmp_path: Path) -> None:
    assert settings_for(tmp_path).profile.name == "korea"
    assert settings_for(tmp_path, "korea").profile.name == "korea"


def test_another_profile_is_rejected_with_what_to_do(tmp_path: Path) -> None:
    settings_for(tmp_path, "toronto")
    assert settings_for(tmp_path).profile.name == "toronto"
    with pytest.raises(ProfileError, match="--home"):
        settings_for(tmp_path, "korea")


def test_an_unknown_profile_names_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="korea, toronto"):
        settings_for(tmp_path, "atlantis")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-12-01", "2020-12-01T10:15:00+00:00"),
        ("2020-07-01", "2020-07-01T09:15:00+00:00"),
        ("2020-12-01T00:00:00", "2020-12-01T05:00:00+00:00"),
        ("2020-12-01T00:00:00+00:00", "2020-12-01T00:00:00+00:00"),
    ],
)
def test_as_of_is_a_local_day_or_an_instant(text: str, expected: str) -> None:
    assert load("toronto").as_of(text, datetime.now(UTC)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-02T20:14:59+00:00", "2026-03-01T20:15:00+00:00"),
        ("2026-03-02T20:15:00+00:00", "2026-03-02T20:15:00+00:00"),
    ],
)
def test_without_as_of_it_is_the_last_run_time_past(now: str, expected: str) -> None:
    assert load("korea").as_of(None, datetime.fromisoformat(now)) == datetime.fromisoformat(expected)


def test_a_wrong_as_of_states_the_expected_format() -> None:
    with pytest.raises(ProfileError, match="neither a date"):
        load("korea").as_of("yesterday", datetime.now(UTC))


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    """A home of earlier versions: every user of the machine can read it."""
    home = tmp_path / "home"
    for name in (
        "profile",
        "ledger.jsonl",
        "keys/master.key",
        "work/warehouse.duckdb",
        "published/releases/a/x",
        "notes.txt",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("korea")
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return home


def mode_of(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_written_into_a_home_are_accessible_to_its_owner_only(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        settings = settings_for(tmp_path / "new" / "home")
        landing.put(settings, "police_112", delivery([], end=datetime(2026, 1, 1, tzinfo=UTC)))
        records.write(settings, "scores", "a", pl.DataFrame({"pinball": [0.2]}))
        with warehouse.connect(settings) as con:
            con.execute("create table ops.rows as select 1 as id")
    finally:
        os.umask(before)
    assert unexpected_modes(settings.home) == {}


def test_an_old_home_is_closed_at_its_next_use(old_home: Path) -> None:
    settings_for(old_home)
    assert {name: mode_of(old_home / name) for name in (".", "published", "published/releases")} == {
        ".": "0o711",
        "published": "0o711",
        "published/releases": "0o711",
    }
    assert {mode_of(old_home / name) for name in ("keys", "work")} == {"0o700"}
    assert {mode_of(old_home / name) for name in ("profile", "ledger.jsonl")} == {"0o600"}
    assert mode_of(old_home / "published/releases/a") == "0o750"
    assert mode_of(old_home / "notes.txt") == "0o644", "not a file of Bongsu"


def test_permissions_that_the_owner_removed_stay_removed(old_home: Path) -> None:
    old_home.chmod(0o700)
    (old_home / "published/releases").chmod(0o2710)
    settings_for(old_home)
    assert (mode_of(old_home), mode_of(old_home / "published/releases")) == ("0o700", "0o2710")


def test_reading_a_home_changes_no_mode(old_home: Path) -> None:
    settings_for(old_home, writes=False)
    assert mode_of(old_home) == "0o755"


def test_a_home_whose_modes_cannot_be_changed_is_used_with_a_warning(
    old_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(1, "not permitted", str(self))

    monkeypatch.setattr(Path, "chmod", refuse)
    with caplog.at_level(logging.WARNING):
        settings_for(old_home)
    (warning,) = caplog.messages
    assert warning.startswith("other users can open files here") and f" home={old_home} paths=" in warning


def test_a_home_of_another_user_points_to_the_files_of_its_release(
    old_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object) -> str:
        raise PermissionError(13, "not permitted", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ProfileError, match=r"belongs to another user; .* in .*/published/current"):
        settings_for(old_home, writes=False)
