"""Input checks of the demand models, slots and targets."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.forecast.demand import series
from pipelines.forecast.demand.series import SeriesError

TORONTO = ZoneInfo("America/Toronto")


def rows(**overrides: object) -> pl.DataFrame:
    good = {"unique_id": ["a", "a"], "ds": [datetime(2026, 1, 1), datetime(2026, 1, 1, 1)], "y": [1, 2]}
    return pl.DataFrame(good | overrides)


def test_text_times_and_whole_numbers_are_understood() -> None:
    checked = series.check(rows(ds=["2026-01-01T01:00:00", "2026-01-01T00:00:00"]), "h")
    assert checked["ds"].to_list() == [datetime(2026, 1, 1), datetime(2026, 1, 1, 1)]
    assert checked["y"].to_list() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("frame", "freq", "message"),
    [
        (rows().drop("y"), "h", "lacks y"),
        (rows(), "W", "give 'h'"),
        (rows().clear(), "h", "no rows"),
        (rows(ds=[1, 2]), "h", "give dates or times"),
        (rows(ds=[datetime(2026, 1, 1, tzinfo=UTC)] * 2), "h", "time zone"),
        (rows(y=[1, None]), "h", "may not be empty"),
        (rows(y=[1.0, float("nan")]), "h", "may not be empty"),
        (rows(ds=["soon", "later"]), "h", "may not be empty"),
        (rows(y=[1, -1]), "h", "negative"),
        (rows(), "D", "start of an hour"),
        (rows(ds=[datetime(2026, 1, 1)] * 2), "h", "same ds twice"),
    ],
)
def test_an_unusable_series_reports_what_to_change(frame: pl.DataFrame, freq: str, message: str) -> None:
    with pytest.raises(SeriesError, match=message):
        series.check(frame, freq)  # type: ignore[arg-type]


def test_the_week_begins_on_monday_at_midnight() -> None:
    frame = pl.DataFrame({"ds": [datetime(2026, 11, 23), datetime(2026, 11, 29, 23)]})
    assert frame.select(series.slot("h")).to_series().to_list() == [0, 167]
    assert frame.select(series.slot("D")).to_series().to_list() == [0, 6]


def test_a_day_with_unknown_hours_is_unknown() -> None:
    hours = [datetime(2026, 1, 1) + timedelta(hours=i) for i in range(24 + 20)]
    daily = series.daily(pl.DataFrame({"unique_id": 1, "ds": hours, "y": 1.0}))
    assert daily.rows() == [(1, datetime(2026, 1, 1), 24.0)]


def test_hours_ahead_begin_with_the_first_whole_hour() -> None:
    ahead = series.hours_ahead(datetime(2026, 11, 22, 20, 15, tzinfo=UTC), 7, ZoneInfo("Asia/Seoul"))
    assert ahead.height == 168
    assert ahead["target_start"][0] == datetime(2026, 11, 22, 21, tzinfo=UTC)
    assert ahead["ds"][0] == datetime(2026, 11, 23, 6)


def test_hours_ahead_from_a_full_hour_begin_at_once() -> None:
    as_of = datetime(2026, 11, 22, 20, tzinfo=UTC)
    assert series.hours_ahead(as_of, 1, TORONTO)["target_start"][0] == as_of


def test_an_hour_that_clocks_repeat_is_two_targets_of_one_wall_clock_hour() -> None:
    ahead = series.hours_ahead(datetime(2026, 11, 1, 4, tzinfo=UTC), 1, TORONTO)
    assert ahead["ds"].to_list()[1:3] == [datetime(2026, 11, 1, 1)] * 2
    assert ahead["target_start"].n_unique() == 24


def test_days_ahead_are_whole_local_days_from_tomorrow() -> None:
    ahead = series.days_ahead(datetime(2026, 10, 31, 9, 15, tzinfo=UTC), 2, TORONTO)
    hours = (ahead["target_end"] - ahead["target_start"]).dt.total_hours().to_list()
    assert ahead["ds"].dt.date().to_list() == [date(2026, 11, 1), date(2026, 11, 2)]
    assert hours == [25, 24]
