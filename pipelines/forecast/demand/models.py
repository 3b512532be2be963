"""Which models forecast hours and days, and which of their rows is the published one."""

from collections.abc import Callable
from functools import partial
from typing import Final

import polars as pl

from pipelines.forecast.demand import boosting, ets, hour_of_week, regression, seasonal_naive
from pipelines.forecast.demand.rolling import Model
from pipelines.forecast.demand.series import Frequency

TABLE: Final = {"h": "hour_of_week", "D": "day_of_week"}
BASELINE: Final = "seasonal_naive"
PROPHET: Final = "prophet_mean"
ORDER: Final = ("hour_of_week", "day_of_week", "regression", "ets", PROPHET, "boosting")
"""Models that may be chosen, the simplest first."""
RATE_DAYS: Final = 56
"""Days before a cutoff whose mean decides whether a series is dense enough for Prophet."""

Fit = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""``prophet_mean.predict`` with everything but history and targets filled in."""


def hourly() -> list[Model]:
    """The hour-of-week table and last week again."""
    return [
        Model(TABLE["h"], partial(hour_of_week.predict, freq="h")),
        Model(BASELINE, partial(seasonal_naive.predict, freq="h")),
    ]


def daily(fit: Fit, least: float) -> list[Model]:
    """Prophet where targets say ``is_asked`` and calls a day reach ``least``; the weekday table; last week again."""
    return [
        Model(PROPHET, partial(_where_dense, least=least, fit=fit)),
        Model(TABLE["D"], partial(hour_of_week.predict, freq="D")),
        Model(BASELINE, partial(seasonal_naive.predict, freq="D")),
    ]


def _where_dense(history: pl.DataFrame, targets: pl.DataFrame, least: float, fit: Fit) -> pl.DataFrame:
    """Prophet's means; null, without a failure, where it is not asked or the series is sparse."""
    keys = ["unique_id", "cutoff"]
    since = pl.col("cutoff") - pl.duration(days=RATE_DAYS)
    rates = (
        targets.filter("is_asked")
        .select(keys)
        .unique()
        .join(history, on="unique_id")
        .filter(pl.col("ds").is_between(since, pl.col("cutoff"), closed="left"))
        .group_by(keys)
        .agg(pl.col("y").mean().alias("rate"))
    )
    dense = targets.join(rates.filter(pl.col("rate") >= least), on=keys, how="semi", maintain_order="left")
    said = fit(history, dense).select(*keys, "ds", "mean", "failure")
    return targets.join(said, on=[*keys, "ds"], how="left", maintain_order="left")


def available(freq: Frequency, fit: Fit, least: float) -> list[Model]:
    """Every model that can compete for a series of this frequency, ``BASELINE`` beside them.

    Args:
        freq: ``h`` or ``D``.
        fit: Prophet, for days.
        least: Calls a day from which Prophet is asked.
    """
    of_days = [
        Model("ets", partial(ets.predict, freq=freq)),
        Model(PROPHET, partial(_where_dense, least=least, fit=fit)),
    ]
    return [
        Model(TABLE[freq], partial(hour_of_week.predict, freq=freq)),
        Model(BASELINE, partial(seasonal_naive.predict, freq=freq)),
        Model("regression", partial(regression.predict, freq=freq)),
        Model("boosting", partial(boosting.predict, freq=freq)),
        *(of_days if freq == "D" else []),
    ]


def choose(said: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Mark floors with ``is_baseline``; where Prophet has no mean, the table takes its place and carries the reason.

    Args:
        said: ``unique_id, cutoff, model, mean, failure`` of every model.
        freq: ``h``: the table is what is published. ``D``: Prophet is.

    Returns:
        The rows that have a mean, with ``is_baseline`` and ``note`` (why not Prophet).
    """
    is_floor = pl.col("model") == BASELINE
    if freq == "h":
        marked = said.with_columns(is_floor.alias("is_baseline"), pl.lit(None, pl.String).alias("note"))
        return marked.filter(pl.col("mean").is_not_null())
    keys = ["unique_id", "cutoff"]
    is_prophet = pl.col("model") == PROPHET
    is_served = (is_prophet & pl.col("mean").is_not_null()).any().over(keys)
    reason = pl.col("failure").drop_nulls().first().over(keys)
    is_table = pl.col("model") == TABLE["D"]
    stands_in = is_table & ~is_served
    return said.with_columns(
        (is_floor | (is_table & is_served)).alias("is_baseline"),
        pl.when(stands_in).then(reason).alias("failure"),
        pl.when(stands_in & reason.is_null()).then(pl.lit("too sparse for Prophet")).alias("note"),
    ).filter(pl.col("mean").is_not_null())
