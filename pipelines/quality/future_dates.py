"""Ahead: records that bear a day after the delivery that brought them: a clock was wrong, or somebody mistyped.

Let in, such a record would be hidden until its day comes (``known_at`` lies ahead of every run), and as the newest
version it would hide what is true of its incident. So it is quarantined, by the end of its delivery's window and never
by our clock: a replay judges as the first load did. When the source has put it right it comes again, and the right
version counts. A snapshot tells all that its source holds, so under an ``as_of`` of long ago much of it lies ahead and
nothing is wrong with it: there such rows are counted and let in. No suite can say this, for rules know a row and not
its delivery.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.quality.suites import FAILURES, RESULTS, Verdict

TOLERANCE = timedelta(days=1)
"""For clocks that differ, days written in another zone and windows that end within a day."""

EXPECTATION = "expect_day_not_after_delivery"
REASON = "it bears a day after the end of the window that it was delivered in: the source's clock is wrong"
_WRITTEN_DAY = 10
"""The signs of a day at most."""
_YEAR_FIRST = r"^(\d{4}-\d{2}-\d{2}|\d{4}/\d{2}/\d{2}|\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))"
"""2026-03-01, 2026/03/01 or 20260301; what is written with the day or month first is taken for no day."""


def hold(feed: Feed, frame: pl.DataFrame, verdict: Verdict, window_end: datetime, zone: ZoneInfo) -> Verdict:
    """Return the suite result with rows also failed whose ``feed.timestamp_columns`` are later than the delivery.

    Of a snapshot they are a warning only.

    Args:
        feed: With ``timestamp_columns`` empty nothing is checked.
        frame: The rows that the verdict is about, with ``_row``.
        verdict: What the suite said of them.
        window_end: The end of the delivery's window.
        zone: Of the days that are written without offset.
    """
    if not feed.timestamp_columns or frame.is_empty():
        return verdict
    last_day = f"{(window_end + TOLERANCE).astimezone(zone):%Y%m%d}"
    late = {column: _late(frame[column], last_day) for column in feed.timestamp_columns}
    severity = "critical" if feed.kind == "keyed" else "warning"
    rows = [frame.filter(found).select("_row") for found in late.values() if severity == "critical"]
    failed = pl.concat([pl.DataFrame(schema={"_row": pl.Int64}), *rows]).unique(maintain_order=True)
    told = pl.DataFrame(
        [
            {
                "expectation": EXPECTATION,
                "column": column,
                "severity": severity,
                "reason": REASON,
                "checked": frame.height,
                "failed": int(found.sum()),
            }
            for column, found in late.items()
        ],
        schema=RESULTS,
    )
    failures = failed.select("_row", expectation=pl.lit(EXPECTATION), reason=pl.lit(REASON)).cast(FAILURES)  # type: ignore[arg-type]
    return replace(
        verdict,
        accepted=verdict.accepted.join(failed, on="_row", how="anti") if failed.height else verdict.accepted,
        failures=pl.concat([verdict.failures, failures]),
        results=pl.concat([verdict.results, told]),
    )


def _late(told: pl.Series, last_day: str) -> pl.Series:
    """Which texts begin with a day after the last. What begins with no day is for the suite."""
    beginning = told.str.head(_WRITTEN_DAY)
    # Days are few: read once each.
    words = beginning.unique().drop_nulls()
    day = words.str.extract(_YEAR_FIRST).str.replace_all("[-/]", "")
    late = words.filter((day > last_day).fill_null(False))
    return beginning.is_in(late.implode()).fill_null(False) if len(late) else pl.repeat(False, len(told), eager=True)
