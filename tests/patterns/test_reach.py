"""How far back the records reach."""

from datetime import date, timedelta

import polars as pl

from pipelines.patterns.record_history import history_start

END = date(2026, 3, 3)


def reported(*counts: tuple[int, int]) -> pl.DataFrame:
    """So many incidents on each day, so many days before the end."""
    days = [END - timedelta(days=day) for day, count in counts for _ in range(count)]
    return pl.DataFrame({"report_date": days}, schema={"report_date": pl.Date})


def test_records_reach_back_to_the_first_report() -> None:
    assert history_start(reported(*[(day, 1) for day in range(1, 401)]), END) == END - timedelta(days=400)


def test_old_offences_reported_late_one_by_one_do_not_make_records_older() -> None:
    steady = [(day, 10) for day in range(1, 28 * 20 + 1)]
    stray = [(day, 1) for day in range(28 * 20 + 5, 9000, 14)]
    assert history_start(reported(*steady, *stray), END) == END - timedelta(days=28 * 20)


def test_records_stop_at_a_gap_and_reports_of_today_do_not_count() -> None:
    steady = [(day, 2) for day in range(0, 500) if not 200 < day < 300]
    start = history_start(reported(*steady), END)
    assert start is not None and END - timedelta(days=200) <= start <= END - timedelta(days=196)
    assert history_start(reported((0, 5)), END) is None
    assert history_start(reported(), END) is None


def test_low_newest_weeks_are_late_reports_and_not_a_gap() -> None:
    steady = [(day, 10) for day in range(29, 400)]
    assert history_start(reported(*steady, (3, 1)), END) == END - timedelta(days=399)


def test_a_month_without_reports_is_not_a_gap_for_rare_incidents() -> None:
    assert history_start(reported(*[(day, 1) for day in range(20, 2000, 45)]), END) == END - timedelta(days=1955)
