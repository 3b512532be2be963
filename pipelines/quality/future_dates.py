"""Future-dated records: dated later than their delivery, because of a wrong clock or a typing error.

If accepted, such a record would be hidden until its date (``known_at`` is later than every run), and as the newest
version it would hide the true state of its incident. So it is quarantined, compared with the end of its delivery's
window and never with our clock: a replay decides as the first load did. When the source has corrected it, it is
delivered again and the corrected version is used. A snapshot contains everything its source holds, so under an early
``as_of`` many rows are rightly dated later: there such rows are counted and accepted. No suite can express this,
because rules see a row and not its delivery.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.quality.suites import FAILURES, RESULTS, Verdict

TOLERANCE = timedelta(days=1)
"""Allows for clock differences, days written in another zone and windows that end within a day."""

EXPECTATION = "expect_day_not_after_delivery"
REASON = "it bears a day after the end of the window that it was delivered in: the source's clock is wrong"
_WRITTEN_DAY = 10
"""Maximum number of characters of a date."""
_YEAR_FIRST = r"^(\d{4}-\d{2}-\d{2}|\d{4}/\d{2}/\d{2}|\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))"
"""2026-03-01, 2026/03/01 or 20260301; text with the day or month first is not read as a date."""


def check(feed: Feed, frame: pl.DataFrame, verdict: Verdict, window_end: datetime, zone: ZoneInfo) -> Verdict:
    """Return the suite result with rows also failed whose ``feed.timestamp_columns`` are later than the delivery.

    For a snapshot they are a warning only.

    Args:
        feed: If ``timestamp_columns`` is empty, nothing is checked.
        frame: The rows of the verdict, with ``_row``.
        verdict: The suite's result for them.
        window_end: The end of the delivery's window.
        zone: Time zone of dates written without offset.
    """
    if not feed.timestamp_columns or frame.is_empty():
        return verdict
    last_day = f"{(window_end + TOLERANCE).astimezone(zone):%Y%m%d}"
    late = {column: _late(frame[column], last_day) for column in feed.timestamp_columns}
    severity = "critical" if feed.load_type == "keyed" else "warning"
    rows = [frame.filter(is_late).select("_row") for is_late in late.values() if severity == "critical"]
    failed = pl.concat([pl.DataFrame(schema={"_row": pl.Int64}), *rows]).unique(maintain_order=True)
    added = pl.DataFrame(
        [
            {
                "expectation": EXPECTATION,
                "column": column,
                "severity": severity,
                "reason": REASON,
                "checked": frame.height,
                "failed": int(is_late.sum()),
            }
            for column, is_late in late.items()
        ],
        schema=RESULTS,
    )
    failures = failed.select("_row", expectation=pl.lit(EXPECTATION), reason=pl.lit(REASON)).cast(FAILURES)  # type: ignore[arg-type]
    return replace(
        verdict,
        accepted=verdict.accepted.join(failed, on="_row", how="anti") if failed.height else verdict.accepted,
        failures=pl.concat([verdict.failures, failures]),
        results=pl.concat([verdict.results, added]),
    )


def _late(texts: pl.Series, last_day: str) -> pl.Series:
    """Return which texts begin with a date after the last day. Text without a date is left to the suite."""
    beginning = texts.str.head(_WRITTEN_DAY)
    # Distinct dates are few: parse each once.
    words = beginning.unique().drop_nulls()
    day = words.str.extract(_YEAR_FIRST).str.replace_all("[-/]", "")
    late = words.filter((day > last_day).fill_null(False))
    return beginning.is_in(late.implode()).fill_null(False) if len(late) else pl.repeat(False, len(texts), eager=True)
