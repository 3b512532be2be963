"""Counts that became known later: no origin sees them before, and the newest version is scored."""

from datetime import datetime, timedelta

import polars as pl

from pipelines.forecast.demand import own_series, versions

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2)


def rows(*known: tuple[int, float, int | None]) -> pl.DataFrame:
    """Rows of one series: day, count, and the day from whose midnight it was known."""
    return pl.DataFrame(
        [(7, FIRST + DAY * day, y, None if seen is None else FIRST + DAY * seen) for day, y, seen in known],
        {"unique_id": pl.Int64, "ds": pl.Datetime("us"), "y": pl.Float64, "known_at": pl.Datetime("us")},
        orient="row",
    )


def test_an_origin_sees_the_newest_version_that_was_known_at_it() -> None:
    past = versions.history(rows((0, 3, 1), (0, 5, 4), (0, 4, 6), (1, 9, None)), DAY)
    assert past.counts["y"].to_list() == [4.0, 9.0]
    assert [past.at(FIRST + DAY * day)["y"].to_list() for day in (2, 4, 5, 6)] == [[3, 9], [5, 9], [5, 9], [4, 9]]


def test_a_count_that_was_not_known_at_an_origin_is_missing_there_and_not_zero() -> None:
    past = versions.history(rows((0, 3, 5), (1, 0, None)), DAY)
    assert past.at(FIRST + DAY * 4)["ds"].to_list() == [FIRST + DAY]
    assert past.at(FIRST + DAY * 5)["ds"].to_list() == [FIRST, FIRST + DAY]


def test_from_the_end_of_a_forecast_everything_is_known() -> None:
    ends = pl.DataFrame({"unique_id": [7], "cutoff": [FIRST + DAY * 3]})
    past = versions.history(rows((0, 3, None), (1, 6, 30)), DAY, ends)
    assert past.at(FIRST + DAY * 3)["y"].to_list() == [3.0, 6.0]
    assert past.at(FIRST + DAY * 2)["y"].to_list() == [3.0]


def test_a_backtest_does_not_see_a_count_before_it_was_known() -> None:
    late = [(day, 2.0 if day < 70 else 50.0, 200 if day >= 70 else None) for day in range(80)]
    frame = rows(*late).with_columns(unique_id=pl.lit("a"))
    scored = own_series.backtest(frame, "D", 4, 1, 4).forecasts.filter(~pl.col("is_baseline"))
    assert scored["mean"].max() < 3, "ten days of 50 calls became known only later"
    assert scored["y"].to_list() == [50.0] * 4, "and are what is scored"
    seen = own_series.backtest(frame.drop("known_at"), "D", 4, 1, 4).forecasts.filter(~pl.col("is_baseline"))
    assert seen["mean"].max() > 3
