"""The models of the mean that compete for hours and days, and the targets of each."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

import polars as pl

from pipelines.forecast.demand.evaluation.rolling_origin import Model, Predict
from pipelines.forecast.demand.models import boosting, ets, hour_of_week, regression, seasonal_naive
from pipelines.forecast.demand.series import Frequency, History, by_cutoff, of

TABLE: Final = {"h": "hour_of_week", "D": "day_of_week"}
BASELINE: Final = "seasonal_naive"
PROPHET: Final = "prophet_mean"
_WEIGHTS: Final = (
    ("hour_of_week", 0.5, 1.0),
    ("day_of_week", 0.5, 1.0),
    ("regression", 1.0, 1.0),
    ("ets", 1.5, 1.5),
    (PROPHET, 0.3, 0.3),
    ("boosting", 1.5, 0.5),
)
"""Candidate models, the simplest first: weights before any origin, with a year of history and with less."""
RATE_DAYS: Final = 56
"""Days before a cutoff whose mean decides whether a series is dense enough for Prophet."""

PRIOR: Final = pl.DataFrame(
    [(model, young, weights[young]) for model, *weights in _WEIGHTS for young in (False, True)],
    schema={"model": pl.String, "is_young": pl.Boolean, "weight": pl.Float64},
    orient="row",
)
"""The candidates as for ``model_weights``."""

Fit = Predict
"""``prophet_mean.predict`` with all arguments except history and targets filled in."""


def only(model: Model, rows: pl.Expr) -> Model:
    """Return the model restricted to the targets selected by ``rows``, without forecasts for others."""

    def predict(history: History | pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
        requested = targets.filter(rows)
        return (
            model.predict(history, requested)
            if requested.height
            else requested.with_columns(mean=pl.lit(None, pl.Float64))
        )

    return replace(model, predict=predict)


def _where_dense(history: History | pl.DataFrame, targets: pl.DataFrame, least: float, fit: Fit) -> pl.DataFrame:
    """Return Prophet's means; null, without a failure, for targets not requested or of sparse series."""
    keys = ["unique_id", "cutoff"]
    rates = [targets.select(keys).clear()]
    for cutoff, ids in by_cutoff(targets.filter("is_requested")):
        recent = pl.col("ds").is_between(cutoff - timedelta(days=RATE_DAYS), cutoff, closed="left")
        rate = of(history, ids, cutoff).filter(recent).group_by("unique_id").agg(pl.col("y").mean())
        stamp = pl.lit(cutoff, pl.Datetime("us")).alias("cutoff")
        rates.append(rate.filter(pl.col("y") >= least).select("unique_id", stamp))
    dense = targets.join(pl.concat(rates), on=keys, how="semi", maintain_order="left")
    fitted_means = fit(history, dense).select(*keys, "ds", "mean", "failure")
    return targets.join(fitted_means, on=[*keys, "ds"], how="left", maintain_order="left")


def available(
    freq: Frequency, fit: Fit | None = None, least: float = 0.0, covariates: pl.DataFrame | None = None
) -> list[Model]:
    """Return every model that can compete for a series of this frequency, and ``BASELINE``.

    Args:
        freq: ``h`` or ``D``.
        fit: Prophet, for days; it has its own ``covariates``; none: without Prophet.
        least: Calls a day from which Prophet is used.
        covariates: Values known ahead (`covariates`), for regression and boosting; none: no such value.
    """
    of_days = [Model("ets", partial(ets.predict, freq=freq))]
    if fit is not None:
        of_days.append(Model(PROPHET, partial(_where_dense, least=least, fit=fit)))
    return [
        Model(TABLE[freq], partial(hour_of_week.predict, freq=freq)),
        Model(BASELINE, partial(seasonal_naive.predict, freq=freq), is_plain=True),
        Model("regression", partial(regression.predict, freq=freq, covariates=covariates)),
        Model("boosting", partial(boosting.predict, freq=freq, covariates=covariates)),
        *(of_days if freq == "D" else []),
    ]
