"""What a home promises: one profile, recorded at first use."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines import steps
from pipelines.profile import ProfileError, load


def test_the_default_profile_is_korea_and_is_remembered(tmp_path: Path) -> None:
    assert steps.settings_for(tmp_path).profile.name == "korea"
    assert steps.settings_for(tmp_path, "korea").profile.name == "korea"


def test_another_profile_is_refused_with_the_way_out(tmp_path: Path) -> None:
    steps.settings_for(tmp_path, "toronto")
    assert steps.settings_for(tmp_path).profile.name == "toronto"
    with pytest.raises(ProfileError, match="--home"):
        steps.settings_for(tmp_path, "korea")


def test_an_unknown_profile_names_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="korea, toronto"):
        steps.settings_for(tmp_path, "atlantis")


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


def test_a_wrong_as_of_says_what_is_expected() -> None:
    with pytest.raises(ProfileError, match="neither a date"):
        load("korea").as_of("yesterday", datetime.now(UTC))
