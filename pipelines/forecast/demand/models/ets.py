"""Exponential smoothing of days: level and weekday that change over time; hours by their share of the weekday.

AutoETS of statsforecast (Hyndman et al. 2008) on square roots, which stabilise the variance of counts; the mean of the
counts is the squared forecast plus the variance of the one-step residuals. Hours are the forecast of their day, divided
like the hour-of-week averages (Channouf et al. 2007): smoothing hourly series directly is slower and no better. Only
dense series are forecast; the others have no mean and no failure, so that the next model is used.
"""

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.forecast.demand import series
from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.series import Frequency, History, by_cutoff, of

LEAST_PER_DAY: Final = 5.0
"""Minimum calls a day in the last eight weeks: below it, square roots of counts are far from normal."""
LEAST_DAYS: Final = 56
MODEL: Final = "ANA"
"""Additive errors, no trend, additive weekday: trends, where tested, were not selected or reduced accuracy."""


def predict(history: History | pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Forecast means from data known before each target's own cutoff, with one fit per dense series and cutoff.

    Args:
        history: ``unique_id, ds, y``; zeros are rows.
        targets: ``unique_id, cutoff, ds``, more columns kept.
        freq: ``h`` or ``D``.

    Returns:
        ``targets`` with ``mean``; null, without a failure, if the series is sparse, short or has many gaps.
    """
    keys = ["unique_id", "cutoff"]
    with_day = targets.with_columns(pl.col("ds").dt.truncate("1d").alias("_day"))
    parts = []
    for cutoff, ids in by_cutoff(targets):
        known = of(history, ids, cutoff)
        wanted = with_day.filter(cutoff=cutoff).select("unique_id", "_day").unique()
        parts.append(_at_cutoff(series.daily(known) if freq == "h" else known, wanted, cutoff))
    fitted_model = with_day.join(pl.concat(parts), on=[*keys, "_day"], how="left", maintain_order="left").drop("_day")
    return fitted_model if freq == "D" else _shared_out(fitted_model, history)


def _at_cutoff(by_day: pl.DataFrame, wanted: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """Return ``unique_id, cutoff, _day, mean`` of the dense series."""
    since = pl.col("ds") >= cutoff - pl.duration(days=56)
    past = by_day.filter(pl.col("ds") + pl.duration(days=1) <= cutoff)
    dense = past.group_by("unique_id").agg(
        pl.col("y").filter(since).mean().alias("rate"),
        pl.len().alias("days"),
        pl.col("ds").dt.weekday().n_unique().alias("weekdays"),
    )
    # A weekday without any known day has no level: offices closed on Sundays, weekly counts.
    dense = dense.filter(pl.col("rate") >= LEAST_PER_DAY, pl.col("days") >= LEAST_DAYS, pl.col("weekdays") == 7)
    stamp = pl.lit(cutoff, pl.Datetime("us")).alias("cutoff")
    means: list[pl.DataFrame] = []
    for (name,), group in past.join(dense, on="unique_id", how="semi").partition_by("unique_id", as_dict=True).items():
        days = wanted.filter(unique_id=name).sort("_day")
        line = _filled(group)
        ahead = (days["_day"] - line["ds"].max()).dt.total_days().to_numpy()
        means.append(days.with_columns(pl.Series("mean", forecast(line["y"].to_numpy(), int(ahead.max()))[ahead - 1])))
    if not means:
        return wanted.clear().with_columns(pl.lit(None, pl.Float64).alias("mean"), stamp)
    return pl.concat(means).with_columns(stamp)


def _filled(group: pl.DataFrame) -> pl.DataFrame:
    """Return every day from first to last; an unknown day takes the same weekday a week earlier, or else later."""
    line = group.sort("ds").upsample("ds", every="1d")
    weekday = pl.col("ds").dt.weekday()
    return line.select("ds", pl.col("y").forward_fill().backward_fill().over(weekday))


def forecast(counts: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """Return means of the ``horizon`` days after daily ``counts``, none of them negative."""
    from statsforecast.models import AutoETS

    fitted_model = AutoETS(season_length=7, model=MODEL).forecast(np.sqrt(counts), h=horizon, fitted=True)
    spread = float(np.nanmean((np.sqrt(counts) - fitted_model["fitted"])[7:] ** 2))
    return np.asarray(np.maximum(fitted_model["mean"], 0.0) ** 2 + spread, dtype=float)


def _shared_out(fitted_model: pl.DataFrame, history: History | pl.DataFrame) -> pl.DataFrame:
    """Multiply days' means by each hour's share of its weekday in the hour-of-week averages."""
    tables = []
    for cutoff, ids in by_cutoff(fitted_model.filter(pl.col("mean").is_not_null())):
        table = hour_of_week.fit(of(history, ids, cutoff), cutoff, "h")
        share = pl.col("mean") / pl.col("mean").sum().over("unique_id", pl.col("slot") // 24)
        tables.append(
            table.select("unique_id", pl.lit(cutoff, pl.Datetime("us")).alias("cutoff"), "slot", share.alias("_share"))
        )
    if not tables:
        return fitted_model
    keys = ["unique_id", "cutoff", "slot"]
    return (
        fitted_model.with_columns(series.slot("h"))
        .join(pl.concat(tables), on=keys, how="left", maintain_order="left")
        .with_columns(pl.col("mean") * pl.col("_share"))
        .drop("slot", "_share")
    )
