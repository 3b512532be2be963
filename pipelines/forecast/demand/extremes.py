"""Extreme values: single counts so far above the usual that one would distort every mean and range after it.

A count is extreme if it is more than `FAR` usual deviations above the median of the last eight counts of its hour of
the week, or weekday (a Hampel filter; Hampel 1974). Models of the mean read that median instead, and ranges learn no
more than the limit from it: an upper tail still contains what is rare, while a slip of the keyboard leaves no trace.
The mean of a sparse series consists of its rare large counts, such as the units sent to a fire: there only a count of
`TIMES` the largest one before is extreme.

What lasts several steps, or comes every year, is not a slip. Of neighbours that are far above the usual none is
extreme, as is none about a year after another, or on a day that the calendar names. All is found in the counts before
an origin, as it knew them: the first step of a surge is extreme until the next one is known.
"""

from dataclasses import replace
from typing import Final

import polars as pl

from pipelines.forecast.demand import series
from pipelines.forecast.demand.series import SEASON, Frequency, History

PAST: Final = 8
"""Counts of the same hour of the week, or weekday, that determine the usual one."""
LEAST_PAST: Final = 4
FAR: Final = 6.0
"""Deviations: below, a busy day; above, a Poisson count does not come in a thousand years."""
MOST_DEVIATION: Final = 4.0
"""Larger deviations count as this many in the usual one, so that extremes do not hide each other."""
LEAST_USUAL: Final = 5.0
"""Median below which a series is sparse."""
TIMES: Final = 10.0
LEAST_LARGEST: Final = 5.0
"""The largest count before counts as at least this one."""
HALF_LIFE_WEEKS: Final = 4
TYPICAL: Final = 1.25
"""Standard deviations in a mean absolute one (normal)."""
YEAR: Final = 365
NEAR_YEAR: Final = 7
"""Days by which a day of the year may move, such as the last Sunday of June."""

COLUMNS: Final = ("unique_id", "ds", "y", "usual", "limit")
LATE: Final = 10.0
"""A change of a count that became known later and is smaller hides no extreme count."""


def judged(history: History, freq: Frequency, cutoffs: pl.Series, named_days: pl.Series | None = None) -> History:
    """Return the history with the counts that origins at ``cutoffs`` find extreme, each in what it knew.

    ``named_days``: as of `extremes`.
    """
    if history.late.is_empty():
        single = _single(history.counts, freq, named_days)
        origins = cutoffs.unique().sort().alias("cutoff").to_frame()
        known = origins.join_where(single, pl.col("ds") < pl.col("cutoff"))
        is_alone = pl.col("goes_on_at").is_null() | (pl.col("goes_on_at") >= pl.col("cutoff"))
        return replace(history, extremes=known.filter(is_alone))
    # Few series have any: the others need not be judged again at every origin.
    changed = history.late.filter(pl.col("y").abs() >= LATE)["unique_id"]
    suspects = pl.concat([_far(history.counts, freq, FAR / 2)["unique_id"], changed]).unique().to_frame()
    parts = []
    for cutoff in cutoffs.unique().sort():
        known = history.as_known(cutoff).filter(pl.col("ds") < cutoff).join(suspects, on="unique_id", how="semi")
        matches = extremes(known, freq, named_days)
        parts.append(matches.with_columns(pl.lit(cutoff, pl.Datetime("us")).alias("cutoff")))
    return replace(history, extremes=pl.concat(parts) if parts else None)


def extremes(counts: pl.DataFrame, freq: Frequency, named_days: pl.Series | None = None) -> pl.DataFrame:
    """Find single counts that are extreme.

    Args:
        counts: ``unique_id, ds, y``.
        freq: ``h`` or ``D``.
        named_days: Dates of holidays and events, on which no count is extreme; none: no calendar.

    Returns:
        ``unique_id, ds, y, usual, limit``: the median that means read instead, and the most that ranges read.
    """
    return _single(counts, freq, named_days).filter(pl.col("goes_on_at").is_null()).select(COLUMNS)


def _single(counts: pl.DataFrame, freq: Frequency, named_days: pl.Series | None) -> pl.DataFrame:
    """Return ``COLUMNS`` of counts that are extreme until ``goes_on_at``, null: for good."""
    far = _far(counts, freq, FAR).with_columns(day=pl.col("ds").dt.date())
    first, last = (pl.col("day") + pl.duration(days=YEAR + days) for days in (-NEAR_YEAR, NEAR_YEAR))
    yearly = far.select("unique_id", day=pl.date_ranges(first, last)).explode("day")
    single = far.filter("is_single").join(yearly, on=["unique_id", "day"], how="anti")
    if named_days is not None:
        single = single.filter(~pl.col("day").is_in(named_days.implode()))
    return single.select(*COLUMNS, "goes_on_at").sort("unique_id", "ds")


def texts(counts: pl.DataFrame) -> pl.DataFrame:
    """Return ``unique_id, extreme``: when each series had its newest extreme count, in words.

    How large it was is left out: next to the records an agency may read, it would give the withheld ones.

    Args:
        counts: The result of `extremes`.
    """
    at = pl.col("ds").dt.strftime("%Y-%m-%d %H:%M").str.strip_suffix(" 00:00")
    words = pl.format("the count of {} is extreme and left out of the mean", at)
    newest = counts.sort("unique_id", "ds").unique("unique_id", keep="last", maintain_order=True)
    return newest.select("unique_id", words.alias("extreme"))


def _far(counts: pl.DataFrame, freq: Frequency, far: float) -> pl.DataFrame:
    """Return ``COLUMNS`` of counts more than ``far`` deviations above the usual, whether each ``is_single``, the step
    before is not so, and ``goes_on_at``: when the next step is, if it is so too.
    """
    spread = (pl.col("usual") + 1.0).sqrt()
    # Of the steps before; large ones count as MOST_DEVIATION, so that extremes do not hide each other.
    deviation = (
        pl.col("deviation")
        .abs()
        .clip(upper_bound=MOST_DEVIATION)
        .ewm_mean(half_life=HALF_LIFE_WEEKS * SEASON[freq], ignore_nulls=True)
        .shift(1)
        .over("unique_id")
    )
    largest = pl.col("y").cum_max().shift(1).over("unique_id")
    return (
        counts.lazy()
        .select("unique_id", "ds", "y", series.slot(freq))
        .sort("unique_id", "ds")
        .with_columns(usual=pl.col("y").shift(1).rolling_median(PAST, min_samples=LEAST_PAST).over("unique_id", "slot"))
        .with_columns(deviation=(pl.col("y") - pl.col("usual")) / spread)
        .with_columns(
            limit=pl.when(pl.col("usual") >= LEAST_USUAL)
            .then(pl.col("usual") + far * pl.max_horizontal(TYPICAL * deviation, 1.0) * spread)
            .when(pl.col("usual").is_not_null())
            .then(far / FAR * TIMES * pl.max_horizontal(largest, LEAST_LARGEST))
        )
        .with_columns(is_far=(pl.col("y") > pl.col("limit")).fill_null(False))
        .with_columns(
            is_single=~pl.col("is_far").shift(1, fill_value=False).over("unique_id"),
            goes_on_at=pl.when(pl.col("is_far").shift(-1).over("unique_id")).then(
                pl.col("ds").shift(-1).over("unique_id")
            ),
        )
        .filter("is_far")
        .select(*COLUMNS, "is_single", "goes_on_at")
        .collect(engine="streaming")
    )
