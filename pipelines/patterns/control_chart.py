"""Control charts of weekly counts: which weeks were unusual, and what to expect of the next.

Each week is compared with the eight before it, as in Wheeler (2016, weekly charts for crime analysts): this follows the
season, while a chart with one centre for the year would flag every summer. The limits are those of a Poisson count
whose mean is estimated from eight weeks: the negative binomial that follows from a gamma prior (Jeffreys), cut at the
three sigma of a c-chart, 0.135 % on each side. So about three of a thousand ordinary weeks are flagged; crime that
comes in bursts is flagged more often. A step up is flagged when it happens and is usual eight weeks later.

Weeks are counted back in sevens from the last complete day, so the newest is always complete. Every week counts only
what was reported by its end, because no more can be known of the newest. Older weeks may therefore be lower here than
in tables of everything known now.
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
    """Return weekly counts of the last 53 weeks per area and category, with their limits.

    Args:
        points: One row per incident and area in which it counts: ``area_id, category, occurrence_date, report_date``.
        history_start: First local date of the records; weeks before it are not listed.
        window_end: The first local date that is not complete.

    Returns:
        ``patterns.control_chart``: zeros included; ``signal`` is ``high``, ``low`` or null. ``centre`` and limits are
        null without eight preceding weeks.
    """
    weeks = _weeks(history_start, window_end)
    week = (window_end - pl.col("occurrence_date")).dt.total_days() - 1
    counted = (
        points.with_columns(week=week // 7)
        # Floor division assigns the day after the window to week −1.
        .filter(pl.col("week").is_between(0, weeks - 1))
        .filter(pl.col("report_date") < pl.lit(window_end) - pl.duration(days=7 * pl.col("week")))
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
    """Return centre, lower and upper limit of each week from the ``base`` weeks before it: NaN for the first ones.

    Args:
        counts: One row per series, oldest week first.
        base: Number of preceding weeks that determine the limits.

    Returns:
        Three arrays of the same shape. Counts from the lower to the upper limit, both included, are usual.
    """
    before = np.full(counts.shape, np.nan)
    summed = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    before[:, base:] = summed[:, base:-1] - summed[:, : -base - 1] if counts.shape[1] > base else np.nan
    # Sums repeat often; each is looked up once.
    distinct, inverse = np.unique(before, return_inverse=True)
    cut = [nbinom.ppf(tail, distinct + 0.5, base / (base + 1)) for tail in (TAIL, 1 - TAIL)]
    low, high = (values[inverse].reshape(counts.shape) for values in cut)
    return before / base, low, high


def _weeks(history_start: date | None, window_end: date) -> int:
    """Return the number of weeks to count: those shown and the preceding base weeks, as far as the records reach."""
    if history_start is None or history_start >= window_end:
        return 0
    return min(SHOWN_WEEKS + BASE_WEEKS, (window_end - history_start) // timedelta(days=7))
