"""Shifts of the police: their hours, and the share of incidents in them."""

from datetime import UTC, datetime, time

import numpy as np
import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.config.profile import Shift
from pipelines.forecast.risk.history import ALWAYS, Grid
from pipelines.forecast.risk.patrol import shift_hours
from pipelines.forecast.risk.patrol.shift_hours import ShiftTimes

KOREA = profiles.load("korea")
SHIFTS = {"night": Shift(services=(), begins=time(20), hours=12), "late": Shift(services=(), begins=time(23), hours=2)}


def placed(*spans: tuple[datetime | None, datetime | None]) -> pl.DataFrame:
    schema = {"occurred_at": pl.Datetime("us", "UTC"), "occurred_until": pl.Datetime("us", "UTC")}
    frame = pl.DataFrame(list(spans), schema=schema, orient="row").with_row_index("day")
    return frame.with_columns(
        pl.lit("theft").alias("category"), pl.lit(0).alias("cell"), pl.lit(0).alias("known_from"),
        pl.lit(ALWAYS).alias("known_until"),
    )  # fmt: skip


def at(hour: int, minute: int = 0) -> datetime:
    """A local time of 3 March in Seoul, as an instant."""
    return datetime(2026, 3, 3, hour, minute, tzinfo=KOREA.zone).astimezone(UTC)


def test_a_shift_past_midnight_has_its_hours_on_both_sides_of_it() -> None:
    rows = placed((at(19, 59), None), (at(20), None), (at(23, 30), None), (at(0, 59), None), (at(8), None))
    times = shift_hours.times(rows, SHIFTS, KOREA.time_zone)["theft"]
    assert times.inside[:, 0].tolist() == [False, True, True, True, False]
    assert times.inside[:, 1].tolist() == [False, False, True, True, False]


def test_incidents_whose_time_is_not_known_to_two_hours_are_in_no_shift() -> None:
    rows = placed((at(20), at(22)), (at(20), at(23)), (None, None))
    assert shift_hours.times(rows, SHIFTS, KOREA.time_zone)["theft"].day.tolist() == [0]


def test_the_shifts_are_those_of_the_police_and_assumed_without_any() -> None:
    assert list(shift_hours.of_police(KOREA.demand)) == ["police_day", "police_night"]
    assert shift_hours.of_police(profiles.load("toronto").demand) == shift_hours.DEFAULT


def shares(inside: np.ndarray, cells: int = 9) -> np.ndarray:
    """Shares of a shift where all incidents are in cell 4, the middle."""
    count = len(inside)
    known = np.full(count, 0), np.full(count, ALWAYS)
    seen = ShiftTimes(np.full(count, 4), np.arange(count), *known, inside[:, None])
    y, x = np.divmod(np.arange(cells), 3)
    return shift_hours.shares(Grid.of(x * 100, y * 100, 100), seen, count, np.array([0.5]))[:, 0]


def test_without_incidents_a_shift_has_its_share_of_the_day() -> None:
    assert shares(np.zeros(0, bool)) == pytest.approx(np.full(9, 0.5))


def test_a_cell_with_many_incidents_follows_its_own_hours_more_than_its_neighbours_do() -> None:
    share = shares(np.ones(500, bool))
    assert share[4] == share.max() > 0.95
    assert 0.5 < share[0] < share[4]
