"""Which models of the mean compete for hours and days, and where each is asked."""

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


def only(model: Model, rows: pl.Expr) -> Model:
    """The model, asked for the targets that ``rows`` names and silent on all others."""

    def predict(history: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
        asked = targets.filter(rows)
        return model.predict(history, asked) if asked.height else asked.with_columns(mean=pl.lit(None, pl.Float64))

    return Model(model.name, predict)


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
