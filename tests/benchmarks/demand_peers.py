"""Alternatives for users, each with its own quantiles: rows of targets with ``mean`` and ``q0.05 … q0.99``.

Default Prophet with its sampled intervals, AutoETS with its own, seasonal naive, the trailing year's table, and the
mean of Prophet and ETS (similar to Monks et al. 2023). Negative quantiles stay as the peers gave them.
"""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm

from pipelines.forecast.demand import series
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS
from pipelines.forecast.demand.models import prophet
from pipelines.forecast.demand.series import SEASON, STEP, Frequency

KEYS = ["unique_id", "cutoff", "ds"]
Floats = NDArray[np.float64]
One = Callable[[pl.DataFrame, pl.DataFrame], tuple[Floats, Floats]]
"""(past ``ds, y``; wanted ``ds``) → means, and one row of quantiles per wanted step."""


def prophet_default(history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Prophet with default settings, one fit per series and cutoff.

    Quantiles come from a thousand of its samples, seeded.
    """
    from prophet import Prophet

    prophet._silence()

    def single(past: pl.DataFrame, wanted: pl.DataFrame) -> tuple[Floats, Floats]:
        model = Prophet().fit(past.select("ds", "y").to_pandas())
        np.random.seed(int(wanted["unique_id"][0]) % 2**31)
        ahead = pd.DataFrame({"ds": wanted["ds"].to_numpy()})
        drawn = model.predictive_samples(ahead)["yhat"]
        return model.predict(ahead)["yhat"].to_numpy(), np.quantile(drawn, LEVELS, axis=1).T

    return _each(history, targets, single)


def auto_ets(history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """AutoETS of statsforecast on untransformed counts, with its own normal intervals; a day's season for hours."""
    from statsforecast.models import AutoETS

    def single(past: pl.DataFrame, wanted: pl.DataFrame) -> tuple[Floats, Floats]:
        steps = _leads(past, wanted, freq)
        model = AutoETS(season_length=24 if freq == "h" else 7)
        text = model.forecast(past["y"].to_numpy(), h=int(steps.max()), level=[80])
        spread = (text["hi-80"] - text["mean"])[steps - 1] / norm.ppf(0.9)
        mean = text["mean"][steps - 1]
        return mean, mean[:, None] + spread[:, None] * norm.ppf(LEVELS)[None, :]

    return _each(history, targets, single)


def seasonal_naive(history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Seasonal naive, with normal intervals that widen with the weeks ahead (Hyndman & Athanasopoulos)."""

    def single(past: pl.DataFrame, wanted: pl.DataFrame) -> tuple[Floats, Floats]:
        y, season = past["y"].to_numpy(), SEASON[freq]
        ahead = _leads(past, wanted, freq) - 1
        mean = y[-season:][ahead % season]
        spread = np.sqrt(np.mean((y[season:] - y[:-season]) ** 2) * (ahead // season + 1))
        return mean, mean[:, None] + spread[:, None] * norm.ppf(LEVELS)[None, :]

    return _each(history, targets, single)


def trailing_year(history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Mean and quantiles of the same hour of the week (or weekday) over the year before each cutoff."""
    slotted = history.with_columns(series.slot(freq))
    parts = []
    for (cutoff,), group in targets.group_by("cutoff", maintain_order=True):
        past = slotted.filter(pl.col("ds") < cutoff, pl.col("ds") >= cutoff - timedelta(days=364))  # type: ignore[operator]
        table = past.group_by("unique_id", "slot").agg(
            pl.col("y").mean().alias("mean"),
            *[pl.col("y").quantile(q, "lower").alias(c) for q, c in zip(LEVELS, COLUMNS, strict=True)],
        )
        parts.append(group.with_columns(series.slot(freq)).join(table, on=["unique_id", "slot"], how="left"))
    return targets.select(KEYS).join(
        pl.concat(parts).select(*KEYS, "mean", *COLUMNS), on=KEYS, how="left", maintain_order="left"
    )


def prophet_and_ets(history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Means and quantiles of default Prophet and AutoETS, averaged."""
    return averaged([prophet_default(history, targets, freq), auto_ets(history, targets, freq)], targets)


def averaged(answers: list[pl.DataFrame], targets: pl.DataFrame) -> pl.DataFrame:
    """Equal-weight mean of several peers' forecasts, quantile by quantile."""
    means = pl.concat(answers).group_by(KEYS).agg(pl.col("mean", *COLUMNS).mean())
    return targets.select(KEYS).join(means, on=KEYS, how="left", maintain_order="left")


PEERS = {
    "default Prophet": prophet_default,
    "AutoETS": auto_ets,
    "seasonal naive": seasonal_naive,
    "trailing-year table": trailing_year,
    "Prophet and ETS": prophet_and_ets,
}


def _leads(past: pl.DataFrame, wanted: pl.DataFrame, freq: Frequency) -> NDArray[np.int64]:
    """Steps from the last known one."""
    seconds = (wanted["ds"] - past["ds"].max()).dt.total_seconds().to_numpy()
    return seconds // int(STEP[freq].total_seconds())


def _each(history: pl.DataFrame, targets: pl.DataFrame, single: One) -> pl.DataFrame:
    """Run ``fit`` for every series and cutoff of the targets."""
    lines = history.sort("unique_id", "ds").partition_by("unique_id", as_dict=True)
    parts = []
    for (name, cutoff), wanted in targets.select(KEYS).group_by("unique_id", "cutoff", maintain_order=True):
        mean, quantiles = single(lines[(name,)].filter(pl.col("ds") < cutoff), wanted)
        parts.append(
            wanted.with_columns(
                pl.Series("mean", mean), *[pl.Series(c, quantiles[:, i]) for i, c in enumerate(COLUMNS)]
            )
        )
    return targets.select(KEYS).join(pl.concat(parts), on=KEYS, how="left", maintain_order="left")
