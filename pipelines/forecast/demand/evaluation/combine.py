"""Combine every model's means into the published forecast of each target, with its ranges.

Means of all models at past origins and ahead, a dispersion for each, their losses at earlier origins, weights per
series, then the same calibration for the weighted mean. Every step uses only outcomes before a row's
own cutoff, so a scored backtest and an issued forecast are computed in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipelines.forecast.demand.evaluation import calibration, model_weights
from pipelines.forecast.demand.evaluation.negative_binomial import Floats
from pipelines.forecast.demand.series import Frequency


@dataclass(frozen=True, slots=True)
class Published:
    """Frames of one run.

    ``forecasts``: as from ``ranged``; ``weights``: as from ``model_weights.weights``; ``curves``: as from
    ``calibration.recalibrated``.
    """

    forecasts: pl.DataFrame
    weights: pl.DataFrame
    curves: Floats


def published(predictions: pl.DataFrame, prior: pl.DataFrame, naive: str, freq: Frequency) -> Published:
    """Weigh the models, and calibrate the weighted mean and every model.

    Args:
        predictions: As for ``weighted``.
        prior: ``model, is_young, weight`` of each candidate before any origin, the simplest first; those without
            forecasts are skipped.
        naive: The model used only if all others fail.
        freq: ``h`` or ``D``.
    """
    chosen, single, weights = weighted(predictions, prior, naive, freq)
    forecasts, curves = calibration.stacked([ranged(means, naive) for means in (chosen, single)])
    return Published(forecasts, weights, curves)


def weighted(
    predictions: pl.DataFrame,
    prior: pl.DataFrame,
    naive: str,
    freq: Frequency,
    weights: pl.DataFrame | None = None,
    others: Sequence[str] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the weighted mean of the models for every target, the models' own means, and the weights.

    Args:
        predictions: Columns ``unique_id`` (integer), ``pool``, ``level``, ``cutoff``, ``ds``, ``y``, ``model``,
            ``mean``, ``centre``, ``failure``, ``is_young``; further ones are kept.
        prior: As for ``published``.
        naive: As for ``published``.
        freq: ``h`` or ``D``.
        weights: Weights of an earlier run to reuse; None: weigh now.
        others: Models to return next to the weighted mean; None: all.

    Returns:
        Twice the columns of ``predictions`` with ``model`` (``CHOSEN`` for the weighted mean, else a model's name),
        ``models`` (the models of the mean) and ``method``; and the weights, as from ``model_weights.weights``.
    """
    candidates = prior.join(predictions.select("model").unique(), on="model", how="semi", maintain_order="left")
    if weights is None:
        weights = _weights(predictions, candidates, naive, freq)
    chosen = model_weights.combined(weights, predictions, candidates, naive)
    wanted = pl.col("model").is_in(list(others)) if others is not None else pl.lit(True)
    single = predictions.filter(pl.col("mean").is_not_null(), wanted).with_columns(
        pl.col("model").alias("models"), pl.lit(None, pl.String).alias("method")
    )
    return chosen, single.select(chosen.columns), weights


def ranged(means: pl.DataFrame, naive: str) -> tuple[pl.DataFrame, Floats]:
    """Return means with their ranges, and the calibration maps.

    Args:
        means: Weighted means, or those of single models, as from ``weighted``.
        naive: As for ``published``.

    Returns:
        ``means`` with ``block``, ``dispersion``, ``is_calibrated``, ``curve`` and ``is_reconciled``; no quantiles yet;
        ``curves`` as from ``calibration.recalibrated``.
    """
    forecasts, curves = calibration.recalibrated(calibration.dispersed(means, naive).drop("family"))
    return forecasts.with_columns(is_reconciled=pl.lit(False)), curves


def _weights(predictions: pl.DataFrame, candidates: pl.DataFrame, naive: str, freq: Frequency) -> pl.DataFrame:
    spread = calibration.dispersed(predictions, naive)
    return model_weights.weights(spread, _losses(spread, candidates["model"][0], naive), candidates, freq)


def _losses(spread: pl.DataFrame, simplest: str, naive: str) -> pl.DataFrame:
    """Return the losses of the models, one origin at a time: quantiles are several times as large as means."""
    known = spread.filter(pl.col("y").is_not_null()).sort("cutoff", maintain_order=True)
    parts = known.partition_by("cutoff", maintain_order=True) or [known]
    return pl.concat(model_weights.losses(with_quantiles(part), simplest, naive) for part in parts)


def with_quantiles(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return predictions with quantiles, null where there is no mean."""
    has_mean = pl.col("mean").is_not_null()
    answered = calibration.with_quantiles(predictions.filter(has_mean))
    return pl.concat([answered, predictions.filter(~has_mean)], how="diagonal")
