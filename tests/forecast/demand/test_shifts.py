"""Forecasts by shift add up from hours and days, across midnight and clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from pydantic import ValidationError

from pipelines.config import profile_checks
from pipelines.config.profile import Shift
from pipelines.forecast.demand import issued, nightly, shifts
from pipelines.forecast.demand.hierarchy import reconciliation
from tests.forecast.demand.test_nightly import AS_OF, KOREA, hourly

SEOUL = ZoneInfo("Asia/Seoul")
PATTERN = {
    "day": Shift(services=("ems",), begins=time(9), hours=9),
    "night": Shift(services=("ems",), begins=time(18), hours=15),
    "duty": Shift(services=("ems",), begins=time(9), hours=24),
}
LISTED = shifts.of_services(PATTERN)


def series(start: datetime, values: list[float], every: timedelta = timedelta(hours=1)) -> pl.DataFrame:
    """One series, its id 0, of ambulances."""
    ds = [start + every * i for i in range(len(values))]
    columns = {"series_id": 0, "service": "ems", "ds": pl.Series(ds, dtype=pl.Datetime("us")), "mean": values}
    return pl.DataFrame(columns)


def test_a_night_contains_the_hours_after_midnight_of_its_date() -> None:
    start = datetime(2026, 3, 2)
    hours = series(start, [1.0] * 48).rename({"series_id": "unique_id", "mean": "y"})
    named = hours.select("unique_id", "service").unique()
    result = shifts.counts(hours.drop("service"), named, LISTED)
    assert result.select("shift", "ds", "y").rows() == [
        ("day", start, 9.0),
        ("day", start + timedelta(days=1), 9.0),
        ("duty", start, 24.0),
        ("night", start, 15.0),
    ], "the first night is known from midnight only, the last one until midnight: both are unknown"


def test_the_next_whole_shifts_are_ahead_and_the_one_that_runs_is_not() -> None:
    result = shifts.ahead(LISTED, AS_OF, 2, SEOUL).filter(pl.col("shift") == "night")
    assert result["target_start"].to_list() == [datetime(2026, 3, day, 9, tzinfo=UTC) for day in (3, 4)]
    assert (result["target_end"] - result["target_start"]).unique().to_list() == [timedelta(hours=15)]
    at_nine = shifts.ahead(LISTED, datetime(2026, 3, 3, 0, 30, tzinfo=UTC), 1, SEOUL)
    begun = dict(at_nine.select("shift", "target_start").iter_rows())
    assert begun["day"] == begun["duty"] == datetime(2026, 3, 4, 0, tzinfo=UTC)


def test_a_night_of_a_clock_change_is_an_hour_shorter() -> None:
    toronto = ZoneInfo("America/Toronto")
    result = shifts.ahead(LISTED, datetime(2026, 3, 7, 12, tzinfo=UTC), 1, toronto).filter(pl.col("shift") == "night")
    assert (result["target_end"] - result["target_start"]).item() == timedelta(hours=14)


def test_a_shift_is_the_sum_of_its_hours_and_beyond_them_its_part_of_the_day() -> None:
    start = datetime(2026, 3, 3, 6)
    hours = series(start, [float(i % 24 + 1) for i in range(168)])
    days = series(datetime(2026, 3, 4), [600.0] * 20, timedelta(days=1))
    result = {(shift, ds): mean for _, shift, ds, mean in shifts.means(hours, days, LISTED).iter_rows()}
    assert result["day", datetime(2026, 3, 3)] == sum(range(4, 13))
    assert result["night", datetime(2026, 3, 3)] == sum([*range(13, 25), 1, 2, 3])
    # Hours end on the morning of the 10th: its day shift is nine hours' part of a day of 600.
    assert result["day", datetime(2026, 3, 10)] == pytest.approx(600 * sum(range(4, 13)) / 300)
    beyond = [result[name, datetime(2026, 3, 15)] for name in ("day", "night", "duty")]
    assert beyond[0] + beyond[1] == pytest.approx(beyond[2]) == pytest.approx(600)
    assert ("duty", datetime(2026, 3, 23)) not in result, "its morning is beyond the days"


TURNS = shifts.of_services(
    {
        name: Shift(services=("ems",), begins=time(at), hours=8)
        for name, at in (("early", 6), ("late", 14), ("night", 22))
    }
)


def test_a_week_with_an_hour_that_clocks_leave_out_still_divides_every_day_into_its_shifts() -> None:
    whole = series(datetime(2026, 3, 8), [1.0] * 168)
    hours = whole.filter(pl.col("ds") != datetime(2026, 3, 8, 2))
    days = series(datetime(2026, 3, 8), [24.0] * 29, timedelta(days=1))
    result = shifts.means(hours, days, TURNS)
    assert result.group_by("shift").len().sort("shift").rows() == [("early", 29), ("late", 29), ("night", 28)]
    assert result.filter(pl.col("shift") != "night")["mean"].to_list() == pytest.approx([8.0] * 58)
    before = series(datetime(2026, 3, 2), [1.0] * 168).filter(pl.col("ds") != datetime(2026, 3, 8, 2))
    ahead = shifts.periods(before["ds"], "ems", TURNS)
    night = ahead.filter(pl.col("shift") == "night", pl.col("period") == datetime(2026, 3, 7))
    assert night["times"].sum() == 7, "the night of the change is an hour shorter and not lost"
    assert ahead.filter(pl.col("frequency") == "D")["period"].n_unique() == 7


def test_a_day_or_shift_of_which_the_first_hour_is_past_is_not_whole() -> None:
    ds = series(datetime(2026, 3, 2, 1), [1.0] * 29)["ds"]
    result = shifts.periods(ds, "ems", TURNS).select("frequency", "shift", "period").unique().sort("shift")
    monday = datetime(2026, 3, 2)
    assert result.rows() == [("S", name, monday) for name in ("early", "late", "night")]


def test_fewer_hours_than_a_week_divide_the_weekdays_that_they_do_not_hold_as_the_others() -> None:
    hours = series(datetime(2026, 3, 3, 6), [float(i % 24 + 1) for i in range(48)])
    days = series(datetime(2026, 3, 4), [300.0] * 20, timedelta(days=1))
    result = shifts.means(hours, days, LISTED).filter(pl.col("shift") == "duty")
    assert result["ds"].to_list() == [datetime(2026, 3, 3) + timedelta(days=i) for i in range(20)]
    assert result.filter(pl.col("ds") > datetime(2026, 3, 5))["mean"].to_list() == pytest.approx([300.0] * 17)


def test_shifts_are_issued_in_sums_and_scored_once_due() -> None:
    frame = hourly({("11010", "ems"): 0.6}, days=150)
    profile = KOREA.model_copy(update={"demand": KOREA.demand.model_copy(update={"shifts": PATTERN})})
    forecasts = nightly.forecast_demand(frame, AS_OF, profile).forecasts
    result = forecasts.filter(pl.col("frequency") == "S")
    assert result.group_by("shift", "area_id", "is_baseline").len()["len"].to_list() == [84] * 12
    hours = forecasts.filter(pl.col("frequency") == "h", ~pl.col("is_baseline"), pl.col("area_id") == "11010")
    first = result.filter(pl.col("shift") == "day", ~pl.col("is_baseline"), pl.col("area_id") == "11010").row(
        0, named=True
    )
    inside = hours.filter(pl.col("target_start").is_between(first["target_start"], first["target_end"], closed="left"))
    assert inside.height == 9 and inside["mean"].sum() == pytest.approx(first["mean"])
    assert first["q0.05"] <= first["mean"] <= first["q0.95"] and first["method"] == reconciliation.METHOD
    far = result.filter(~pl.col("is_baseline"), pl.col("target_start") > AS_OF + timedelta(days=20))
    assert dict(far.select("area_id", "model").unique().iter_rows()) == {
        "11": reconciliation.MODEL,
        "11010": shifts.MODEL,
    }
    ahead = timedelta(days=7)
    later = frame.with_columns(pl.col("hour_start_at") + ahead, pl.col("local_date") + ahead)
    outcomes = issued.Outcomes.of(later, AS_OF, PATTERN)
    scores = issued.score_issued(forecasts, outcomes, AS_OF + ahead, profile, {})
    naive = scores.filter(
        pl.col("frequency") == "S", pl.col("model") == "seasonal_naive", pl.col("area_level") == "district"
    )
    # Last week again is right; seven day and duty shifts and nights begin, of which one of each long kind still runs.
    assert naive.select("targets", "mae").rows() == [(7 + 6 + 6, 0.0)]


def test_a_shift_begins_on_the_hour_and_has_known_services() -> None:
    with pytest.raises(ValidationError, match="on the hour"):
        Shift(services=("ems",), begins=time(8, 30), hours=12)
    shifts = {"day": Shift(services=("coastguard",), begins=time(8), hours=12)}
    profile = KOREA.model_copy(update={"demand": KOREA.demand.model_copy(update={"shifts": shifts})})
    wrong = {("demand", "shifts", "day"): "coastguard: not among demand.services; add it there"}
    assert dict(profile_checks.problems(profile)) == wrong
