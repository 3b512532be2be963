"""Days that the calendar names: holidays of a place."""

from datetime import date

import polars as pl

from pipelines.forecast.demand.named_days import Place, named_days

KOREA = Place("KR")


def names(place: Place | None, first: date, last: date) -> dict[date, str]:
    return dict(named_days(place, first, last).select("day", "name").iter_rows())


def test_a_holiday_and_the_days_around_it_have_names_and_a_holiday_one_in_its_own_language_too() -> None:
    assert named_days(KOREA, date(2025, 12, 20), date(2025, 12, 31)).rows() == [
        (date(2025, 12, 24), "day before Christmas Day", None, False),
        (date(2025, 12, 25), "Christmas Day", "기독탄신일", True),
        (date(2025, 12, 26), "day after Christmas Day", None, False),
        (date(2025, 12, 31), "day before New Year's Day", None, False),
    ]


def test_a_day_within_a_long_holiday_is_called_by_its_own_name() -> None:
    seollal = named_days(KOREA, date(2025, 1, 26), date(2025, 1, 31))
    assert seollal.filter("is_holiday")["name"].to_list() == [
        "Temporary Public Holiday",
        "The day preceding Korean New Year",
        "Korean New Year",
        "The second day of Korean New Year",
    ]
    assert seollal.row(-1)[1] == "day after The second day of Korean New Year"


def test_elections_of_all_kinds_have_one_name() -> None:
    days = {**names(KOREA, date(2022, 3, 9), date(2022, 3, 9)), **names(KOREA, date(2024, 4, 10), date(2024, 4, 10))}
    assert set(days.values()) == {"Election Day"}


def test_holidays_depend_on_the_subdivision() -> None:
    day = date(2025, 11, 4)
    assert names(Place("US", "NY"), day, day) == {day: "Election Day"}
    assert names(Place("US", "CA"), day, day) == {}


def test_without_a_place_no_day_has_a_name() -> None:
    empty = named_days(None, date(2025, 1, 1), date(2025, 12, 31))
    assert empty.is_empty() and empty.columns == ["day", "name", "local_name", "is_holiday"]


def test_each_day_has_one_row() -> None:
    days = named_days(KOREA, date(2020, 1, 1), date(2027, 12, 31))
    assert not days["day"].is_duplicated().any()
    assert days.filter(pl.col("name").str.contains(";")).height, "Buddha's birthday on Children's Day"
