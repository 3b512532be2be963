"""Shifts of level: recognised within two weeks where chance does not hide them, and rarely where there is none."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import extremes, level_shifts
from tests.forecast.demand.conftest import MONDAY, line

DAYS, SHIFT = 600, 500
WEEK = np.array([1.0, 0.9, 1.0, 1.0, 1.1, 1.2, 0.8])


def series(rate: float, factor: float = 1.0, count: int = 1, days: int = DAYS) -> pl.DataFrame:
    """Series with a week's shape, from day ``SHIFT`` on ``factor`` times as high."""
    day = np.arange(days)
    expected = rate * WEEK[day % 7] * np.where(day < SHIFT, 1.0, factor)
    return pl.concat(line(np.random.default_rng(number).poisson(expected), number) for number in range(count))


def shifts(counts: pl.DataFrame, named_days: pl.Series | None = None) -> pl.DataFrame:
    return level_shifts.level_shifts(counts, extremes.extremes(counts, "D", named_days), named_days)


def delays(counts: pl.DataFrame) -> list[int]:
    """Days from the shift until it is known."""
    return [(day - MONDAY).days - SHIFT for day in shifts(counts)["known_on"]]


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_a_shift_of_thirty_percent_is_known_within_two_weeks(factor: float) -> None:
    days = delays(series(100, factor, 20))
    assert len(days) == 20 and all(0 <= delay < 14 for delay in days)
    few = delays(series(10, factor, 60))
    assert sum(0 <= delay < 14 for delay in few) >= 25, "at 10 a day half of them stand out from chance so soon"


def test_of_a_shift_the_direction_and_the_first_day_are_known() -> None:
    (up,) = shifts(series(200, 1.4)).to_dicts()
    assert up["is_up"] and abs((up["since"] - MONDAY).days - SHIFT) <= 2
    fell = shifts(series(200, 0.6))
    day = f"{fell['since'].item():%Y-%m-%d}"
    assert level_shifts.texts(fell)["shift"].item() == f"the level fell about {day}; forecasts follow within weeks"


def test_without_a_shift_there_is_at_most_one_false_alarm_in_five_series_years() -> None:
    years = 40 * 5
    alarms = sum(shifts(series(rate, count=20, days=5 * 365)).height for rate in (10.0, 40.0))
    assert alarms <= years / 5


def test_neither_one_extreme_day_nor_a_sparse_series_is_a_shift() -> None:
    day = pl.col("ds") == MONDAY + timedelta(days=SHIFT)
    extreme = series(30, count=5).with_columns(y=pl.when(day).then(100_000.0).otherwise("y"))
    assert shifts(extreme).is_empty()
    assert shifts(series(2, 3.0)).is_empty()


def test_holidays_and_unknown_days_are_left_out() -> None:
    counts = series(100)
    quiet = pl.col("ds").is_between(MONDAY + timedelta(days=SHIFT), MONDAY + timedelta(days=SHIFT + 9))
    holidays = pl.Series([date(2025, 1, 6) + timedelta(days=SHIFT + day) for day in range(10)])
    low = counts.with_columns(y=pl.when(quiet).then(20.0).otherwise("y"))
    assert shifts(low).height == 1
    assert shifts(low, holidays).is_empty()
    assert shifts(counts.filter(~quiet)).is_empty()
    assert shifts(counts.clear()).is_empty()


def test_an_alarm_uses_nothing_after_it_and_the_new_level_is_not_a_shift_again() -> None:
    counts = series(100, 1.5)
    (shift,) = shifts(counts).to_dicts()
    until = counts.filter(pl.col("ds") <= shift["known_on"])
    assert shifts(until).to_dicts() == [shift]
    assert shifts(until.filter(pl.col("ds") < shift["known_on"])).is_empty()
