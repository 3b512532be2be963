"""Days on which crime is unknown: found, closed up and opened again."""

from datetime import date, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.patterns import unknown_days

END = date(2026, 3, 3)
GAPS = {"category": pl.String, "from_date": pl.Date, "until_date": pl.Date}


def ago(days: int) -> date:
    return END - timedelta(days=days)


def gaps(*rows: tuple[str, int | None, int]) -> pl.DataFrame:
    """Gaps of a category, from so many days ago (None: ever before) to so many days ago."""
    spans = [(name, None if first is None else ago(first), ago(end)) for name, first, end in rows]
    return pl.DataFrame(spans, schema=GAPS, orient="row")


def crime(**each_day: int) -> pl.DataFrame:
    """So many incidents of each category on each of the last thousand days."""
    rows = [(name, ago(day)) for name, number in each_day.items() for day in range(1, 1001) for _ in range(number)]
    return pl.DataFrame(rows, schema={"category": pl.String, "occurrence_date": pl.Date}, orient="row")


def days(unknown: pl.DataFrame, category: str) -> list[int]:
    """How many days ago each unknown day was."""
    return [(END - day).days for day in unknown.filter(pl.col("category") == category)["day"]]


def test_the_sum_is_unknown_where_much_of_it_is() -> None:
    seen = crime(theft=8, assault=3, homicide=1)
    unknown = unknown_days.unknown_days(gaps(("homicide", 9, 5), ("assault", 4, 2)), seen, END)
    assert (days(unknown, "homicide"), days(unknown, "assault"), days(unknown, "theft")) == ([9, 8, 7, 6], [4, 3], [])
    assert days(unknown, "all") == [4, 3]


def test_records_begin_after_what_is_unknown_ever_before() -> None:
    unknown = unknown_days.unknown_days(gaps(("theft", None, 400)), crime(theft=1), END)
    assert unknown_days.first_known(unknown, END) == ago(400)
    assert (
        unknown_days.first_known(unknown_days.unknown_days(gaps(("theft", None, 0)), crime(theft=1), END), END) is None
    )


def test_a_gap_of_a_category_without_crime_is_left_out() -> None:
    assert unknown_days.unknown_days(gaps(("arson", 9, 5)), crime(theft=1), END).is_empty()


@given(st.sets(st.integers(1, 60), max_size=40))
def test_what_is_closed_up_is_opened_to_the_same_dates(lacking: set[int]) -> None:
    """All known days come one after the other up to the end, and each comes back as itself."""
    unknown = pl.DataFrame(
        {"category": ["all"] * len(lacking), "day": sorted(map(ago, lacking))}, schema=unknown_days.SCHEMA
    )
    dated = pl.DataFrame({"window_start_date": [ago(day) for day in range(1, 91)]})
    closed = unknown_days.closed(dated, ["window_start_date"], unknown)
    assert closed["window_start_date"].to_list() == [ago(day) for day in range(1, 91 - len(lacking))]
    opened = unknown_days.opened(closed, ["window_start_date", "window_end_date"], unknown, END)
    assert opened["window_start_date"].to_list() == [ago(day) for day in range(1, 91) if day not in lacking]
    end = pl.DataFrame({"window_end_date": [END]})
    (last,) = unknown_days.opened(end, ["window_end_date"], unknown, END)["window_end_date"]
    assert last == ago(min(set(range(1, 91)) - lacking) - 1), "the day after the last known one"


def test_a_window_begins_no_earlier_than_the_records() -> None:
    unknown = unknown_days.unknown_days(gaps(("theft", None, 60)), crime(theft=1), END)
    window = pl.DataFrame({"window_start_date": [ago(365), ago(30)], "window_end_date": [END, END]})
    opened = unknown_days.opened(window, ["window_start_date", "window_end_date"], unknown, END)
    assert opened.rows() == [(ago(60), END), (ago(30), END)]


def spans(*rows: tuple[str, int, int | None]) -> pl.DataFrame:
    """So many incidents of a category, each between two instants that many days apart (None: only a start)."""
    start = datetime(2026, 2, 1)
    every = [
        (name, start.date(), start, None if days is None else start + timedelta(days=days))
        for name, number, days in rows
        for _ in range(number)
    ]
    schema = {"category": pl.String, "occurrence_date": pl.Date, **dict.fromkeys(
        ("occurred_from", "occurred_until"), pl.Datetime("us")
    )}  # fmt: skip
    return pl.DataFrame(every, schema=schema, orient="row")


def test_a_category_is_undated_if_a_tenth_of_it_is_not_dated_to_a_week() -> None:
    monthly, few = ("theft", 5, 28), ("robbery", 1, 28)
    points = spans(monthly, few, ("robbery", 10, 7), ("assault", 3, None), ("arson", 9, 0), ("arson", 1, 8))
    assert unknown_days.undated(points) == ["arson", "theft"]


def test_every_day_of_an_undated_category_is_unknown_and_of_the_sum_if_it_is_a_tenth() -> None:
    none = unknown_days.unknown_days(gaps(), spans(), END)
    for others, listed in ((1000, {"theft"}), (10, {"theft", "all"})):
        points = spans(("theft", 5, 28), ("assault", others, 0))
        unknown = unknown_days.with_undated(none, points, END)
        assert set(unknown["category"]) == listed
        assert days(unknown, "theft")[-3:] == [3, 2, 1] and len(days(unknown, "theft")) == unknown_days.YEARS * 366
    dated = spans(("assault", 10, 0))
    assert unknown_days.with_undated(none, dated, END).is_empty()
