"""The weekly comparison: same days of other years, like with like, unknown never zero."""

from datetime import date, timedelta

import polars as pl
import pytest

from pipelines.patterns import control_chart, unknown_days, weekly
from pipelines.patterns.statistics import rollups
from pipelines.patterns.statistics.e_test import e_test

END = date(2026, 3, 3)
NO_GAPS = pl.DataFrame(
    schema={"category": pl.String, "area_id": pl.String, "from_date": pl.Date, "until_date": pl.Date}
)
AREAS = pl.DataFrame({"area_id": ["11", "A", "B"], "area_level": ["region", "district", "district"]})
WEIGHTS = pl.DataFrame({"category": ["theft", "robbery"], "harm": [1.0, 10.0]})


def points(*rows: tuple[str, str, date, int]) -> pl.DataFrame:
    """Incidents: district, category, day, and how many days later they were reported."""
    frame = pl.DataFrame(
        [(area, category, day, day + timedelta(days=delay)) for area, category, day, delay in rows],
        schema={
            "admin_area_id": pl.String,
            "category": pl.String,
            "occurrence_date": pl.Date,
            "report_date": pl.Date,
        },
        orient="row",
    )
    return rollups.by_area(rollups.with_all_categories(frame), AREAS, "11")


def table(frame: pl.DataFrame, *gaps: tuple[date, date], end: date = END) -> pl.DataFrame:
    """The weekly table; in the gaps, from first day to end, all crime is unknown."""
    unknown = pl.concat(
        [
            pl.DataFrame({"day": pl.date_range(*gap, closed="left", eager=True)}).select(
                pl.lit(category).alias("category"), "day"
            )
            for gap in gaps
            for category in ("theft", "robbery", "all")
        ]
        or [pl.DataFrame(schema=unknown_days.SCHEMA)]
    )
    unknown = unknown_days.by_area(unknown, NO_GAPS, AREAS, end)
    chart = control_chart.control_chart(frame, unknown, end)
    return weekly.weekly(frame, AREAS, WEIGHTS, chart, unknown, end)


def single(frame: pl.DataFrame, area: str, category: str, span: str) -> dict[str, object]:
    chosen = (pl.col("area_id") == area) & (pl.col("category") == category) & (pl.col("span") == span)
    (row,) = frame.filter(chosen).to_dicts()
    return row


def days(years: int, *days_before: int) -> list[date]:
    return [END.replace(year=END.year - years) - timedelta(days=day) for day in days_before]


def test_this_year_is_compared_with_last_year_and_the_mean_of_five() -> None:
    seen = [("A", "theft", day, 0) for day in days(0, 1, 7, 8, 28, 29)]
    seen += [("A", "theft", day, 0) for day in days(1, 0, 1, 7, 7, 8)]
    seen += [("A", "theft", day, 0) for day in days(4, 3)]
    built = table(points(*seen))
    week = single(built, "A", "theft", "7 days")
    assert (week["incidents"], week["incidents_year_before"], week["difference"]) == (2, 3, -1)
    assert week["change_share"] == pytest.approx(-1 / 3) and week["e_test_p"] == pytest.approx(e_test(2, 3))
    assert (week["mean_before"], week["years_before"]) == (pytest.approx(4 / 5), 5)
    assert single(built, "A", "theft", "28 days")["incidents"] == 4
    assert single(built, "A", "theft", "year to date")["incidents"] == 5
    assert single(built, "B", "theft", "7 days")["incidents"] == 0
    assert single(built, "11", "all", "7 days")["incidents"] == 2


def test_reports_after_the_span_are_not_counted() -> None:
    seen = [("A", "theft", day, delay) for years in (0, 1) for delay in (0, 1, 2) for day in days(years, 2)]
    week = single(table(points(*seen)), "A", "theft", "7 days")
    assert (week["incidents"], week["incidents_year_before"]) == (2, 2)


def test_a_year_before_the_records_is_unknown() -> None:
    built = table(points(("A", "theft", days(0, 1)[0], 0)), (date(2015, 1, 1), date(2025, 2, 20)))
    week, month, year = (single(built, "A", "theft", span) for span in weekly.SPANS)
    assert (week["incidents_year_before"], week["years_before"]) == (0, 1)
    assert (month["incidents_year_before"], month["mean_before"], month["years_before"]) == (None, None, 0)
    assert year["difference"] is None and year["e_test_p"] is None and year["change_share"] is None


def test_spans_end_on_the_same_day_of_the_year_and_a_leap_day_on_the_28th() -> None:
    assert list(weekly.windows("7 days", date(2024, 3, 1)))[:2] == [
        (date(2024, 2, 23), date(2024, 3, 1)),
        (date(2023, 2, 22), date(2023, 3, 1)),
    ]
    assert list(weekly.windows("year to date", date(2026, 1, 1)))[:2] == [
        (date(2025, 1, 1), date(2026, 1, 1)),
        (date(2024, 1, 1), date(2025, 1, 1)),
    ]


def test_harm_is_the_weighted_sum_and_all_is_the_sum_of_its_parts() -> None:
    day = days(0, 1)[0]
    built = table(points(*[("A", "theft", day, 0)] * 3, ("B", "robbery", day, 0), ("A", "arson", day, 0)))
    assert [single(built, "11", name, "7 days")["harm"] for name in ("theft", "robbery", "arson", "all")] == [
        3,
        10,
        0,
        13,
    ]
    assert single(built, "A", "all", "7 days")["harm"] == 3


def test_the_expected_range_is_the_newest_weeks_of_the_control_chart() -> None:
    steady = [("A", "theft", END - timedelta(days=7 * week + 1), 0) for week in range(1, 20) for _ in range(4)]
    burst = [("A", "theft", days(0, 1)[0], 0)] * 30
    built = table(points(*steady, *burst))
    week = single(built, "A", "theft", "7 days")
    assert week["signal"] == "high" and week["expected_high"] in range(9, 14)
    assert single(built, "A", "theft", "28 days")["expected_high"] is None


def test_a_point_outside_every_district_counts_in_the_region() -> None:
    built = table(points(("?", "theft", days(0, 1)[0], 0)))
    assert single(built, "11", "theft", "7 days")["incidents"] == 1
    assert built.filter(pl.col("area_level") == "district")["incidents"].sum() == 0


def test_a_span_with_an_unknown_day_has_no_count_and_says_so() -> None:
    """An outage of five days that ended ten days ago; another one a year ago."""
    outage = (END - timedelta(days=15), END - timedelta(days=10))
    seen = points(*[("A", "theft", day, 0) for years in (0, 1) for day in days(years, 1, 2, 20)])
    built = table(seen, outage)
    week, month = (single(built, "A", "theft", span) for span in ("7 days", "28 days"))
    assert (week["incidents"], week["unknown_days"], week["incidents_year_before"]) == (2, 0, 2)
    assert (month["incidents"], month["unknown_days"], month["incidents_year_before"]) == (None, 5, 3)
    assert [month[name] for name in ("difference", "change_share", "e_test_p", "harm")] == [None] * 4
    before = single(table(seen, (date(2025, 2, 25), date(2025, 2, 26))), "A", "theft", "7 days")
    assert (before["incidents"], before["incidents_year_before"], before["years_before"]) == (2, None, 4)


@pytest.mark.parametrize("gaps", [(), ((date(2015, 1, 1), END),)])
def test_without_records_there_are_no_rows_but_every_column(gaps: tuple[tuple[date, date], ...]) -> None:
    built = table(points(), *gaps)
    assert built.schema == pl.Schema(weekly.TYPES) and built.is_empty()


def test_an_area_whose_records_stopped_alone_has_no_count_and_the_others_have_theirs() -> None:
    frame = points(
        *(("A", "theft", day, 0) for day in days(0, 1, 2)), *(("B", "theft", day, 0) for day in days(0, 1, 30))
    )
    stopped = {"area_id": "B", "category": "theft", "from_date": END - timedelta(days=9), "until_date": END}
    unknown = unknown_days.by_area(
        pl.DataFrame(schema=unknown_days.SCHEMA), pl.DataFrame([stopped], schema=NO_GAPS.schema), AREAS, END
    )
    chart = control_chart.control_chart(frame, unknown, END)
    weeks = weekly.weekly(frame, AREAS, WEIGHTS, chart, unknown, END).filter(pl.col("span") == "7 days")
    assert weeks.filter(pl.col("area_id") == "B", pl.col("category") != "robbery")["incidents"].to_list() == [
        None,
        None,
    ]
    assert weeks.filter(pl.col("area_id") == "A", pl.col("category") == "theft")["incidents"].to_list() == [2]
    newest = chart.filter(pl.col("week_start_date") == END - timedelta(days=7), pl.col("category") == "theft")
    assert newest.sort("area_id").select("area_id", "incidents").rows() == [("11", 3), ("A", 2), ("B", None)]
