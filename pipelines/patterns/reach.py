"""How far back the records reach: before that day, few incidents means few records."""

from datetime import date
from typing import Final

import polars as pl

BLOCK_DAYS: Final = 28
LEAST_SHARE: Final = 0.1


def history_start(points: pl.DataFrame, window_end: date) -> date | None:
    """The first local date from which incidents were reported without a gap until ``window_end``.

    Spans of four weeks are counted back from the end; the records stop at a span with less than a tenth of what is
    usual (the median span). A source of a few years also holds old offences that were reported late, one by one back
    to decades ago (Toronto), and those years are not known for that.

    Args:
        points: One row per incident: ``reported_date``.
        window_end: The first local date that no longer counts.

    Returns:
        The earliest date of a report in the oldest span that counts; None without any incident.
    """
    block = (pl.lit(window_end) - pl.col("reported_date")).dt.total_days() - 1
    counted = (
        points.filter(pl.col("reported_date") < window_end)
        .group_by((block // BLOCK_DAYS).alias("block"))
        .agg(pl.len().alias("incidents"), pl.col("reported_date").min().alias("first"))
        .sort("block")
        .with_columns(
            # Half of the spans of a source may be stray ones, so the usual is that of the busier half.
            usual=pl.col("incidents").filter(pl.col("incidents") >= pl.col("incidents").mean()).median()
        )
    )
    kept = counted.filter(
        (pl.col("block") == pl.int_range(pl.len())).cum_min()
        & (pl.col("incidents") >= LEAST_SHARE * pl.col("usual")).cum_min()
    )
    first = kept["first"].min()
    return first if isinstance(first, date) else None
