"""The aoristic day × hour chart: when crime happens, if only a span is known (Ratcliffe 2000, 2002).

A burglary between Friday evening and Sunday night cannot be assigned to either: its weight of one is spread evenly over
the hours of the week in the span. An incident with a start only, or an end not after its start, counts in the hour of
its start. Spans of more than a week would fill every hour equally; they are excluded and counted, as are incidents
without a time.

Times are local: a span over a change to or from daylight saving time is an hour off. Sources that do not know an hour
often write 0 or 12 (as in Toronto), so peaks at midnight or noon may be unknown hours.
"""

from datetime import date, time, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.schema.dictionary import frame_schema

WINDOW_DAYS: Final = 365
LONGEST_DATE_SECONDS: Final = 25 * 3600
"""A day on which clocks go back."""
LONGEST_SECONDS: Final = 7 * 86400
HOURS: Final = 168
PARTS: Final = 1_000_000
"""Weights are whole millionths, so that they sum to the number of incidents exactly, in any order."""

WEIGHT: Final = pl.Decimal(18, 6)
TYPES: Final = frame_schema("patterns.aoristic")


def aoristic(points: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return the weight of each hour of the week in the year before ``window_end``.

    Args:
        points: One row per incident: ``category, occurrence_date, occurred_from, occurred_until`` (local time without
            zone).
        window_end: The first local date excluded.

    Returns:
        ``patterns.aoristic``: 168 rows per category, ``weekday`` 1 (Monday) to 7, ``hour`` 0 to 23. The weights of a
        category sum to ``incidents``, those with a time; ``start_only_incidents`` of them have no span. Excluded
        incidents are counted in separate columns. ``category_share`` is null if there are no weights.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    seconds = (pl.col("occurred_until") - pl.col("occurred_from")).dt.total_seconds()
    # A day from midnight to midnight is a date: that all its hours weigh the same is not known.
    midnights = [pl.col(name).dt.time() == time() for name in ("occurred_from", "occurred_until")]
    is_date = pl.all_horizontal(*midnights, seconds.is_between(1, LONGEST_DATE_SECONDS)).fill_null(False)
    events = points.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left")).select(
        "category",
        pl.when(~is_date).then("occurred_from").alias("occurred_from"),
        has_span=(seconds > 0).fill_null(False),
        seconds=pl.when(seconds > 0).then(seconds).otherwise(0),
    )
    frames = []
    for category in events["category"].unique().sort():
        of_category = events.filter(pl.col("category") == category)
        timed = of_category.filter(pl.col("occurred_from").is_not_null())
        spread = timed.filter(pl.col("seconds") <= LONGEST_SECONDS)
        begin = _second_of_week(spread["occurred_from"])
        parts = hours_of_week(begin, spread["seconds"].to_numpy())
        frames.append(
            pl.DataFrame({"weekday": np.arange(HOURS) // 24 + 1, "hour": np.arange(HOURS) % 24, "parts": parts}).select(
                pl.lit(category).alias("category"),
                pl.col("weekday", "hour").cast(pl.Int32),
                # Formatting decimals as text would be slow for more than 168 rows; here it is exact.
                (pl.col("parts").cast(pl.Decimal(38, 0)) / pl.lit(PARTS).cast(pl.Decimal(38, 6)))
                .cast(WEIGHT)
                .alias("weight"),
                (pl.col("parts") / (spread.height * PARTS) if spread.height else pl.lit(None, pl.Float64)).alias(
                    "category_share"
                ),
                pl.lit(start).alias("window_start_date"),
                pl.lit(window_end).alias("window_end_date"),
                pl.lit(spread.height, pl.Int64).alias("incidents"),
                pl.lit(int((~spread["has_span"]).sum()), pl.Int64).alias("start_only_incidents"),
                pl.lit(timed.height - spread.height, pl.Int64).alias("too_long_incidents"),
                pl.lit(of_category.height - timed.height, pl.Int64).alias("untimed_incidents"),
            )
        )
    return pl.concat(frames).select(TYPES.keys()) if frames else pl.DataFrame(schema=TYPES)


def hours_of_week(begin: NDArray[np.int64], seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return millionths of incidents in each of the 168 hours of the week.

    Args:
        begin: Second of the week, from Monday 0:00, at which each incident began.
        seconds: Length of its span, at most a week; 0 is an instant.

    Returns:
        Weights in millionths; they sum to a million per incident exactly: an hour gets the rounded share of everything
        up to its end, minus the rounded share of everything up to its start.
    """
    first = begin // 3600
    # An instant is a span of one second in its hour; the end second is excluded.
    length = np.maximum(seconds, 1)
    touched = (begin + length - 1) // 3600 - first + 1
    event = np.repeat(np.arange(begin.size), touched)
    hour = first[event] + np.arange(event.size) - np.repeat(np.cumsum(touched) - touched, touched)
    until = np.clip((hour + 1) * 3600 - begin[event], 0, length[event])
    since = np.clip(hour * 3600 - begin[event], 0, length[event])
    parts = until * PARTS // length[event] - since * PARTS // length[event]
    total = np.zeros(HOURS, dtype=np.int64)
    np.add.at(total, hour % HOURS, parts)
    return total


def _second_of_week(times: pl.Series) -> NDArray[np.int64]:
    of_day = times.dt.hour().cast(pl.Int64) * 3600 + times.dt.minute().cast(pl.Int64) * 60 + times.dt.second()
    return np.asarray((times.dt.weekday().cast(pl.Int64) - 1) * 86400 + of_day, dtype=np.int64)
