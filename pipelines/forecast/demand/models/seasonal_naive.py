"""Last week's values: the baseline that every forecast must beat and is published with."""

import polars as pl

from pipelines.forecast.demand import series
from pipelines.forecast.demand.series import Frequency, History


def predict(history: History | pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Forecast the last value of the same hour of week (or weekday) known before each target's own cutoff.

    Args:
        history: ``unique_id, ds, y``.
        targets: ``unique_id, cutoff, ds``, more columns kept.
        freq: ``h`` or ``D``.

    Returns:
        ``targets`` with ``mean``, and ``spread_mean``, the mean of that last week, which gives the ranges if the last
        value is zero: a count of zero has no spread by itself. A slot never seen takes ``spread_mean``.
    """
    known = []
    for cutoff, group in series.by_cutoff(targets):
        past = series.of(history, group, cutoff).lazy().filter(pl.col("ds") < cutoff).with_columns(series.slot(freq))
        last = past.group_by("unique_id", "slot").agg(pl.col("y").sort_by("ds").last().alias("mean")).collect()
        known.append(last.with_columns(pl.lit(cutoff, pl.Datetime("us")).alias("cutoff")))
    values = pl.concat(known)
    usual = values.group_by("unique_id", "cutoff").agg(pl.col("mean").mean().alias("spread_mean"))
    return (
        targets.with_columns(series.slot(freq))
        .join(values, on=["unique_id", "cutoff", "slot"], how="left", maintain_order="left")
        .join(usual, on=["unique_id", "cutoff"], how="left", maintain_order="left")
        .with_columns(pl.coalesce("mean", "spread_mean").alias("mean"))
        .drop("slot")
    )
