"""Control charts of weekly counts: which weeks were out of the ordinary, and what to expect of the next.

Each week is judged by the eight before it, as Wheeler (2016, weekly charts for crime analysts) does: that follows the
season, where a chart with one centre for the year would call every summer unusual. The limits are those of a Poisson
count whose mean is known from eight weeks only: the negative binomial that follows from a gamma prior (Jeffreys), cut
where a c-chart's three sigma would be, at 0.135 % on each side. So of a thousand quiet weeks about three are flagged;
crime that comes in bursts is flagged more often. A step up is flagged when it comes and is usual eight weeks later.

Weeks are counted back in sevens from the last day that is complete, so the newest is always whole. Like is compared
with like: of every week only what had been reported by its end counts, as of the newest no more can be known. Older
weeks may therefore stand lower here than in tables of all that is known now.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import nbinom

from pipelines.schema.dictionary import frame_schema

SHOWN_WEEKS: Final = 53
BASE_WEEKS: Final = 8
TAIL: Final = 0.00135

TYPES: Final = frame_schema("patterns.control_chart")


def control_chart(points: pl.DataFrame, history_start: date | None, window_end: date) -> pl.DataFrame:
    """Weekly counts of the last 53 weeks per area and category, with their limits.

    Args:
        points: One row per incident and area that it counts in: ``area_id, category, local_date, reported_date``.
        history_start: First local date of the records; weeks before it are not listed.
        window_end: The first local date that is not complete.

    Returns:
        ``patterns.control_chart``: zeros included; ``signal`` is ``high``, ``low`` or null. ``centre`` and limits are
        null where there are no eight weeks before.
    """
    weeks = _weeks(history_start, window_end)
    week = (window_end - pl.col("local_date")).dt.total_days() - 1
    counted = (
        points.with_columns(week=week // 7)
        # Floor division takes the day after the window to week −1.
        .filter(pl.col("week").is_between(0, weeks - 1))
        .filter(pl.col("reported_date") < pl.lit(window_end) - pl.duration(days=7 * pl.col("week")))
        .group_by("area_id", "category", "week")
        .agg(pl.len().cast(pl.Int64).alias("incidents"))
    )
    series = counted.select("area_id", "category").unique().sort("area_id", "category")
    if series.is_empty():
        return pl.DataFrame(schema=TYPES)
    full = (
        series.join(pl.DataFrame({"week": np.arange(weeks)[::-1]}), how="cross", maintain_order="left")
        .join(counted, on=["area_id", "category", "week"], how="left", maintain_order="left")
        .with_columns(pl.col("incidents").fill_null(0))
    )
    centre, low, high = limits(full["incidents"].to_numpy().reshape(series.height, weeks))
    start = pl.lit(window_end) - pl.duration(days=7 * (pl.col("week") + 1))
    return (
        full.with_columns(
            week_start_date=start.cast(pl.Date),
            centre=pl.Series(centre.reshape(-1)).fill_nan(None),
            expected_low=pl.Series(low.reshape(-1)).fill_nan(None).cast(pl.Int64),
            expected_high=pl.Series(high.reshape(-1)).fill_nan(None).cast(pl.Int64),
        )
        .with_columns(
            signal=pl.when(pl.col("incidents") > pl.col("expected_high"))
            .then(pl.lit("high"))
            .when(pl.col("incidents") < pl.col("expected_low"))
            .then(pl.lit("low"))
        )
        .filter(pl.col("week") < SHOWN_WEEKS)
        .select(TYPES.keys())
    )


def limits(
    counts: NDArray[np.int64], base: int = BASE_WEEKS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centre, lower and upper limit of each week from the ``base`` weeks before it: NaN for the first ones.

    Args:
        counts: One row per series, oldest week first.
        base: How many weeks a week is judged by.

    Returns:
        Three arrays of the same shape. Counts from the lower to the upper limit, both included, are usual.
    """
    before = np.full(counts.shape, np.nan)
    summed = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    before[:, base:] = summed[:, base:-1] - summed[:, : -base - 1] if counts.shape[1] > base else np.nan
    # Sums repeat a great deal; each is looked up once.
    distinct, inverse = np.unique(before, return_inverse=True)
    cut = [nbinom.ppf(tail, distinct + 0.5, base / (base + 1)) for tail in (TAIL, 1 - TAIL)]
    low, high = (values[inverse].reshape(counts.shape) for values in cut)
    return before / base, low, high


def _weeks(history_start: date | None, window_end: date) -> int:
    """Weeks to count: those shown and those that the first of them is judged by, as far as records reach."""
    if history_start is None or history_start >= window_end:
        return 0
    return min(SHOWN_WEEKS + BASE_WEEKS, (window_end - history_start) // timedelta(days=7))
