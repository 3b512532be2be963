"""Which records of a forecast a run reads: by the run's as_of, first issue first, and no further back than scored."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.store import issues, records
from tests.conftest import AS_OF


def issue(settings: Settings, days_ago: float, value: int = 0, kind: str = "demand_forecasts") -> str:
    """Record one frame as of so many days before the run; returns its path."""
    at = AS_OF - timedelta(days=days_ago)
    return records.write(settings, kind, issues.stamp(at), pl.DataFrame({"reference_at": [at], "value": [value]}))


def values(settings: Settings, entries: list[dict[str, object]]) -> list[int]:
    return [frame["value"].item() for frame in issues.frames(settings, entries)]


def test_a_stamp_reads_back_as_the_instant_to_the_minute() -> None:
    assert issues.stamp(AS_OF) == "20260302T2015Z"
    assert issues.instant("20260302T2015Z") == AS_OF == datetime(2026, 3, 2, 20, 15, tzinfo=UTC)


def test_an_issue_is_scored_for_its_longest_horizon_and_a_week_of_late_records(settings: Settings) -> None:
    assert settings.profile.horizons.daily_days == 84
    assert AS_OF - issues.scored_since(settings) == timedelta(days=84 + 7)


def test_an_issue_of_risk_is_scored_to_its_last_day_where_demand_looks_less_far_ahead(settings: Settings) -> None:
    horizons = settings.profile.horizons.model_copy(update={"daily_days": 7})
    short = settings.model_copy(update={"profile": settings.profile.model_copy(update={"horizons": horizons})})
    assert AS_OF - issues.scored_since(short) == timedelta(days=29 + 7)


def test_past_issues_are_the_first_of_every_earlier_run_oldest_first(settings: Settings) -> None:
    for days, value in ((1, 10), (2, 20), (1, 11), (0, 30), (-1, 40), (92, 50), (91, 60)):
        issue(settings, days, value)
    issue(settings, 3, 70, "risk_forecasts")
    assert values(settings, issues.past(settings, "demand")) == [60, 20, 10]


def test_the_newest_record_of_an_as_of_is_the_last_one_written(settings: Settings) -> None:
    assert issues.newest(settings, "demand_forecasts") is None
    for days, value in ((0, 1), (0, 2), (1, 3), (-1, 4)):
        issue(settings, days, value)
    newest = issues.newest(settings, "demand_forecasts")
    assert newest is not None and newest["value"].to_list() == [2]


@pytest.mark.parametrize("seconds", [1, 59])
def test_a_record_of_another_second_of_the_same_minute_is_passed_over(settings: Settings, seconds: int) -> None:
    issue(settings, 0, 1)
    issue(settings, -seconds / 86_400, 2)
    newest = issues.newest(settings, "demand_forecasts")
    assert newest is not None and newest["value"].to_list() == [1]
    later = settings.model_copy(update={"as_of": AS_OF + timedelta(seconds=30)})
    assert issues.newest(later, "demand_forecasts") is None


def test_the_record_before_is_the_last_one_of_the_last_earlier_run(settings: Settings) -> None:
    for days, value in ((0, 1), (-1, 2)):
        issue(settings, days, value)
    assert issues.before(settings, "demand_forecasts") is None
    for days, value in ((1, 3), (1, 4), (2, 5)):
        issue(settings, days, value)
    before = issues.before(settings, "demand_forecasts")
    assert before is not None and before["value"].to_list() == [4]


def test_scores_are_in_the_order_of_their_runs_then_of_writing_and_never_of_a_later_run(settings: Settings) -> None:
    for days, value in ((0, 1), (2, 2), (-1, 3), (1, 4), (2, 5)):
        issue(settings, days, value, "risk_scores")
    assert values(settings, issues.scores(settings, "risk")) == [2, 5, 4, 1]
    assert issues.scores(settings, "demand") == []
