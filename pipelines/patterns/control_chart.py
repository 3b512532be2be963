"""Control charts of weekly counts: which weeks were unusual, and what to expect of the next.

Each week is compared with the eight before it, as in Wheeler (2016, weekly charts for crime analysts): this follows the
season, while a chart with one centre for the year would flag every summer. The limits are those of a Poisson count
whose mean is estimated from eight weeks: the negative binomial that follows from a gamma prior (Jeffreys), cut at the
three sigma of a c-chart, 0.135 % on each side. So about three of a thousand ordinary weeks are flagged; crime that
comes in bursts is flagged more often. A step up is flagged when it happens and is usual eight weeks later.

Weeks are counted back in sevens from the last complete day, so the newest is always complete. A week with an unknown
day is not a week without crime: it has no count, and the eight known weeks before another one determine its limits.
Every week counts only what was reported by its end, because no more can be known of the newest. Older weeks may
therefore be lower here than in tables of everything known now.
"""

from datetime import date
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import nbinom

from pipelines.schema.dictionary import frame_schema

SHOWN_WEEKS: Final = 53
BASE_WEEKS: Final = 8
WEEKS: Final = SHOWN_WEEKS + BASE_WEEKS
TAIL: Final = 0.00135
SERIES: Final = ("area_id", "category")

TYPES: Final = frame_schema("patterns.control_chart")


def control_chart(points: pl.DataFrame, unknown: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return weekly counts of the last 53 weeks per area and category, with their limits.

    Args:
        points: One row per incident and area in which it counts: ``area_id, category, occurrence_date, report_date``.
        unknown: ``area_id, category, day``: days on which a category is unknown in an area (`unknown_days`). A week
            with one has no count and does not enter the limits of others; weeks before the first known one are not
            listed.
        window_end: The first local date that is not complete.

    Returns:
        ``patterns.control_chart``: zeros included; ``signal`` is ``high``, ``low`` or null. ``centre`` and limits are
        null without eight known weeks before.
    """
    counted = (
        _in_weeks(points, "occurrence_date", window_end)
        .filter(pl.col("report_date") < pl.lit(window_end) - pl.duration(days=7 * pl.col("week")))
        .group_by(*SERIES, "week")
        .agg(pl.len().cast(pl.Int64).alias("incidents"))
    )
    lacking = _in_weeks(unknown, "day", window_end).select(*SERIES, "week").unique()
    series = counted.select(SERIES).unique().sort("category", "area_id")
    if series.is_empty():
        return pl.DataFrame(schema=TYPES)
    weeks = pl.DataFrame({"week": np.arange(WEEKS)[::-1]})
    full = (
        series.join(weeks, how="cross", maintain_order="left")
        .join(counted, on=[*SERIES, "week"], how="left", maintain_order="left")
        .join(lacking.with_columns(is_unknown=True), on=[*SERIES, "week"], how="left", maintain_order="left")
        .with_columns(pl.col("incidents").fill_null(0), pl.col("is_unknown").fill_null(False))
        .with_columns(
            known_weeks=pl.col("week").filter(~pl.col("is_unknown")).cast(pl.String).str.join(" ").over(SERIES)
        )
    )
    charted = pl.concat(_charted(part) for part in full.partition_by("known_weeks", maintain_order=True))
    start = pl.lit(window_end) - pl.duration(days=7 * (pl.col("week") + 1))
    return (
        charted.with_columns(
            week_start_date=start.cast(pl.Date),
            signal=pl.when(pl.col("incidents") > pl.col("expected_high"))
            .then(pl.lit("high"))
            .when(pl.col("incidents") < pl.col("expected_low"))
            .then(pl.lit("low")),
        )
        .filter(pl.col("week") < SHOWN_WEEKS)
        .sort("area_id", "category", "week_start_date")
        .select(TYPES.keys())
    )


def _in_weeks(dated: pl.DataFrame, column: str, window_end: date) -> pl.DataFrame:
    """Add ``week``, counted back from 0, the last one; other rows are left out."""
    # Floor division assigns the day after the window to week -1.
    week = ((window_end - pl.col(column)).dt.total_days() - 1) // 7
    return dated.with_columns(week=week).filter(pl.col("week").is_between(0, WEEKS - 1))


def _charted(full: pl.DataFrame) -> pl.DataFrame:
    """Add the limits of series with the same known weeks, all weeks of each, oldest first, from the first known."""
    is_known = ~full["is_unknown"].to_numpy().reshape(-1, WEEKS)[0]
    counts = full["incidents"].to_numpy().reshape(-1, WEEKS)
    centre, low, high = (np.full(counts.shape, np.nan) for _ in range(3))
    for whole, of_known in zip((centre, low, high), limits(counts[:, is_known]), strict=True):
        whole[:, is_known] = of_known
    oldest = int(np.flatnonzero(is_known[::-1]).max(initial=-1))
    return full.with_columns(
        pl.when(~pl.col("is_unknown")).then("incidents").alias("incidents"),
        centre=pl.Series(centre.reshape(-1)).fill_nan(None),
        expected_low=pl.Series(low.reshape(-1)).fill_nan(None).cast(pl.Int64),
        expected_high=pl.Series(high.reshape(-1)).fill_nan(None).cast(pl.Int64),
    ).filter(pl.col("week") <= oldest)


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
