"""Control charts: limits against simulation, complete weeks, comparable counts."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.patterns import control_chart, unknown_days

END = date(2026, 3, 3)
KNOWN = pl.DataFrame(schema={"area_id": pl.String} | unknown_days.SCHEMA)
"""No unknown day."""


def unknown(first: date, end: date) -> pl.DataFrame:
    """Days on which all crime is unknown, from the first and before the end."""
    days = pl.date_range(first, end, closed="left", eager=True)
    return pl.DataFrame({"area_id": "11", "category": "theft", "day": days}, schema=KNOWN.schema)


def points(*rows: tuple[int, int, int]) -> pl.DataFrame:
    """Thefts in the region: how many, so many days before the end, reported so many days later."""
    days = [(END - timedelta(days=days), delay) for count, days, delay in rows for _ in range(count)]
    return pl.DataFrame(
        {
            "area_id": "11",
            "category": "theft",
            "occurrence_date": [day for day, _ in days],
            "report_date": [day + timedelta(days=delay) for day, delay in days],
        },
        schema_overrides={"occurrence_date": pl.Date, "report_date": pl.Date},
    )


def test_a_quiet_series_is_flagged_about_three_times_in_a_thousand_weeks() -> None:
    rng = np.random.default_rng(6)
    for mean in (2, 30):
        counts = rng.poisson(mean, (400, 61))
        _, low, high = control_chart.limits(counts)
        judged = slice(8, None)
        outside = (counts < low)[:, judged] | (counts > high)[:, judged]
        assert 0.0004 < outside.mean() < 0.0035


def test_limits_equal_a_simulation_with_the_mean_of_eight_weeks() -> None:
    """Jeffreys: the mean is gamma of the eight weeks' sum and a half."""
    counts = np.array([[5, 9, 4, 7, 6, 8, 3, 6, 99]])
    centre, low, high = control_chart.limits(counts)
    rng = np.random.default_rng(7)
    drawn = rng.poisson(rng.gamma(48.5, 1 / 8, 2_000_000))
    assert centre[0, 8] == 6 and np.isnan(centre[0, :8]).all()
    assert [low[0, 8], high[0, 8]] == np.quantile(drawn, [0.00135, 0.99865], method="inverted_cdf").tolist()


def test_weeks_are_counted_back_from_the_end_and_the_day_after_it_is_left_out() -> None:
    chart = control_chart.control_chart(points((3, 1, 0), (2, 7, 0), (5, 8, 0), (9, 0, 0)), KNOWN, END)
    newest = chart.sort("week_start_date").tail(2)
    assert newest.select("week_start_date", "incidents").rows() == [
        (END - timedelta(days=14), 5),
        (END - timedelta(days=7), 5),
    ]
    assert chart.height == 53 and chart["centre"].null_count() == 0


def test_reports_after_the_week_are_not_counted() -> None:
    chart = control_chart.control_chart(points((4, 10, 0), (3, 10, 2), (2, 10, 3)), KNOWN, END)
    assert chart.filter(pl.col("incidents") > 0)["incidents"].to_list() == [7]


def test_a_burst_is_high_and_no_incidents_after_many_is_low() -> None:
    steady = [(10, 7 * week + 1, 0) for week in range(2, 30)]
    chart = control_chart.control_chart(points((40, 8, 0), *steady), KNOWN, END).sort("week_start_date")
    assert chart["signal"].to_list()[-2:] == ["high", "low"]
    assert chart["signal"].to_list()[-3] is None


def test_weeks_before_the_records_are_omitted_and_the_first_eight_have_no_limits() -> None:
    chart = control_chart.control_chart(
        points((1, 1, 0)), unknown(date(2020, 1, 1), END - timedelta(days=7 * 12 + 3)), END
    )
    assert chart.height == 12
    assert chart.sort("week_start_date")["expected_high"].is_null().to_list() == [True] * 8 + [False] * 4


def test_a_week_with_an_unknown_day_has_no_count_and_limits_no_other() -> None:
    """Five a week; three weeks in which nothing was delivered are not weeks without crime."""
    gone = END - timedelta(days=28), END - timedelta(days=10)
    steady = [(5, 7 * week + 1, 0) for week in range(30) if week not in (2, 3)]
    chart = control_chart.control_chart(points(*steady), unknown(*gone), END).sort("week_start_date")
    assert chart["incidents"].to_list()[-5:] == [5, None, None, None, 5]
    assert chart["centre"].to_list()[-5:] == [5, None, None, None, 5], "of the eight known weeks before"
    assert chart["signal"].to_list()[-5:] == [None] * 5


@pytest.mark.parametrize("weeks", [0, 1, 2])
def test_a_source_of_few_weeks_has_those_weeks(weeks: int) -> None:
    before = unknown(date(2020, 1, 1), END - timedelta(days=7 * weeks))
    assert control_chart.control_chart(points((1, 1, 0)), before, END).height == weeks


@pytest.mark.parametrize("lacking", [KNOWN, unknown(END - timedelta(days=500), END)])
def test_without_records_there_are_no_rows_but_every_column(lacking: pl.DataFrame) -> None:
    chart = control_chart.control_chart(points(), lacking, END)
    assert chart.schema == pl.Schema(control_chart.TYPES) and chart.is_empty()
