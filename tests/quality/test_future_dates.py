"""Future-dated records: quarantined by the delivery's window, whatever the current date."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.feeds.feed import Feed
from pipelines.quality import future_dates, suites

SEOUL = ZoneInfo("Asia/Seoul")
END = datetime(2026, 3, 1, 20, 15, tzinfo=UTC)
"""05:15 on 2 March in Seoul."""

FEED = Feed(
    name="calls",
    agency="police",
    load_type="keyed",
    columns={"updated": pl.String},
    fetch=lambda request: iter(()),
    parse=lambda parts: pl.DataFrame(),
    timestamp_columns=("updated",),
)


def checked(*dates: str | None, end: datetime = END, feed: Feed = FEED) -> suites.Verdict:
    frame = pl.DataFrame({"updated": dates}, schema={"updated": pl.String}).with_columns(
        _row=pl.int_range(pl.len(), dtype=pl.Int64)
    )
    nothing = suites.Verdict(frame, pl.DataFrame(schema=suites.FAILURES), pl.DataFrame(schema=suites.RESULTS))
    return future_dates.check(feed, frame, nothing, end, SEOUL)


@pytest.mark.parametrize(
    ("last", "first_ahead"),
    [
        ("2026-03-03T23:59:59+09:00", "2026-03-04T00:00:00+09:00"),
        ("20260303235959", "20260304000000"),
        ("2026/03/03 23:59", "2026/03/04 00:00"),
        ("2026-03-03", "2049-01-01"),
    ],
)
def test_the_day_after_the_delivery_is_accepted_and_the_next_is_not(last: str, first_ahead: str) -> None:
    verdict = checked(last, first_ahead, last)
    assert verdict.accepted["_row"].to_list() == [0, 2]
    assert verdict.failures["_row"].to_list() == [1]
    assert verdict.results["failed"].to_list() == [1]


def test_a_record_is_compared_with_its_own_delivery() -> None:
    assert checked("2026-03-05", end=END).accepted.is_empty()
    assert checked("2026-03-05", end=END.replace(day=4)).failures.is_empty()


def test_text_without_a_date_is_left_to_the_suite() -> None:
    unread = ("31.12.2099", "31/12/2025", "31-12-2025", "31122025", "99999999", "2026-0303", "1893456000000")
    assert checked(None, "", "?", "99", "9999", "어제", *unread).failures.is_empty()


def test_future_dated_rows_of_a_snapshot_are_counted_and_accepted() -> None:
    verdict = checked("2026-03-01", "2049-01-01", feed=replace(FEED, load_type="snapshot"))
    assert verdict.accepted["_row"].to_list() == [0, 1] and verdict.failures.is_empty()
    assert verdict.results.select("severity", "checked", "failed").rows() == [("warning", 2, 1)]


def test_a_feed_without_timestamp_columns_is_not_checked() -> None:
    assert checked("2049-01-01", feed=replace(FEED, timestamp_columns=())).failures.is_empty()
