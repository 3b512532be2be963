"""Slots and targets of the demand models."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.forecast.demand import series

TORONTO = ZoneInfo("America/Toronto")


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
