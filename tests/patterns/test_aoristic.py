"""The aoristic chart: every incident weighs one, wherever it may have happened."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.patterns import aoristic

END = date(2026, 3, 3)
MONDAY = datetime(2026, 2, 16)
HOUR = timedelta(hours=1)


def points(*spans: tuple[datetime | None, datetime | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"occurred_from": [start for start, _ in spans], "occurred_until": [end for _, end in spans]},
        schema={"occurred_from": pl.Datetime("us"), "occurred_until": pl.Datetime("us")},
    ).with_columns(pl.lit("burglary").alias("category"), pl.lit(MONDAY.date()).alias("occurrence_date"))


def weights(frame: pl.DataFrame) -> dict[tuple[int, int], Decimal]:
    return {(d, h): w for d, h, w in frame.select("weekday", "hour", "weight").iter_rows() if w}


def test_a_span_is_spread_over_its_hours_by_their_part_of_it() -> None:
    chart = aoristic.aoristic(points((MONDAY + 1.5 * HOUR, MONDAY + 4 * HOUR)), END)
    assert weights(chart) == {(1, 1): Decimal("0.2"), (1, 2): Decimal("0.4"), (1, 3): Decimal("0.4")}
    assert chart.height == 168 and chart["category_share"].sum() == 1


def test_a_sunday_night_continues_into_monday() -> None:
    sunday = MONDAY + timedelta(days=6, hours=23)
    assert weights(aoristic.aoristic(points((sunday, sunday + 2 * HOUR)), END)) == {
        (7, 23): Decimal("0.5"),
        (1, 0): Decimal("0.5"),
    }


def test_a_start_alone_and_a_span_that_ends_before_it_starts_count_in_the_hour_of_the_start() -> None:
    late = MONDAY + 13.9 * HOUR
    chart = aoristic.aoristic(points((late, None), (late, late), (late, late - HOUR)), END)
    assert weights(chart) == {(1, 13): Decimal(3)}
    assert chart["start_only_incidents"].unique().to_list() == [3]


def test_spans_over_a_week_and_missing_times_are_counted_separately() -> None:
    week = timedelta(days=7)
    chart = aoristic.aoristic(points((MONDAY, MONDAY + week), (MONDAY, MONDAY + week + HOUR), (None, MONDAY)), END)
    assert len(weights(chart)) == 168 and chart["weight"].sum() == 1
    counted = ("incidents", "start_only_incidents", "too_long_incidents", "untimed_incidents")
    assert chart.select(counted).unique().rows() == [(1, 0, 1, 1)]


def test_a_day_from_midnight_to_midnight_is_a_date_without_a_time() -> None:
    chart = aoristic.aoristic(points((MONDAY, MONDAY + 24 * HOUR), (MONDAY + HOUR, MONDAY + 25 * HOUR)), END)
    assert chart.select("incidents", "untimed_incidents").unique().rows() == [(1, 1)]


def test_without_times_the_share_is_null() -> None:
    chart = aoristic.aoristic(points((None, None)), END)
    assert chart["category_share"].null_count() == 168 and chart["weight"].sum() == 0
    assert aoristic.aoristic(points(), END).schema == pl.Schema(aoristic.TYPES) == chart.schema


seconds = st.integers(0, aoristic.LONGEST_SECONDS)


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=30))
def test_weights_sum_to_the_incidents_exactly(
    spans: list[tuple[int, int]],
) -> None:
    second = timedelta(seconds=1)
    chart = aoristic.aoristic(points(*[(MONDAY + a * second, MONDAY + (a + b) * second) for a, b in spans]), END)
    assert chart["weight"].sum() == len(spans)
    exact = [Fraction(0)] * 168
    for begin, length in spans:
        for hour in range(begin // 3600, (begin + max(length, 1) - 1) // 3600 + 1):
            inside = min(begin + max(length, 1), (hour + 1) * 3600) - max(begin, hour * 3600)
            exact[hour % 168] += Fraction(inside, max(length, 1))
    for weight, expected in zip(chart["weight"], exact, strict=True):
        # A millionth for each time that a span meets the hour: twice where a week ends in the hour it began in.
        assert abs(Fraction(weight) - expected) < Fraction(2 * len(spans), aoristic.PARTS)
