"""Combine every model's means into the published forecast of each target, with its ranges.

Means of all models at past origins and ahead, a dispersion for each, their losses at earlier origins, a selection per
series and horizon block, then the same calibration for the selected mean. Every step uses only outcomes before a row's
own cutoff, so a scored backtest and an issued forecast are computed in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipelines.forecast.demand.evaluation import calibration, model_selection
from pipelines.forecast.demand.evaluation.negative_binomial import Floats
from pipelines.forecast.demand.series import Frequency


@dataclass(frozen=True, slots=True)
class Published:
    """Frames of one run.

    ``forecasts``: the targets' columns, ``model`` (``CHOSEN`` for the published forecast, else a model's name),
    ``models`` (the models of the mean), ``mean``, ``centre``, ``dispersion``, ``is_calibrated``, ``curve``,
    ``failure``, ``method``, ``is_reconciled``; no quantiles yet. ``choices``: as from ``model_selection.choose``.
    ``curves``: as from ``calibration.recalibrated``.
    """

    forecasts: pl.DataFrame
    choices: pl.DataFrame
    curves: Floats


def published(
    predictions: pl.DataFrame,
    scales: pl.DataFrame,
    order: Sequence[str],
    naive: str,
    freq: Frequency,
    selection: pl.DataFrame | None = None,
    others: Sequence[str] | None = None,
) -> Published:
    """Select among models, and calibrate the selected mean and the other models to be returned.

    Args:
        predictions: Columns ``unique_id`` (integer), ``pool``, ``level``, ``cutoff``, ``ds``, ``y``, ``model``,
            ``mean``, ``centre``, ``failure``; further ones are kept.
        scales: ``unique_id, scale``: the seasonal-naive MAE before the first origin.
        order: Candidate models, the simplest first; those without forecasts are skipped.
        naive: The model used only if all others fail.
        freq: ``h`` or ``D``.
        selection: Selection of an earlier run to reuse; None: select now.
        others: Models to return next to the selected one; None: all.
    """
    candidates = [name for name in order if name in predictions["model"].unique()]
    spread = calibration.dispersed(predictions, naive)
    if selection is None:
        selection = model_selection.choose(spread, _losses(spread, candidates, naive), scales, candidates, freq)
    chosen = model_selection.apply(selection, spread.drop("family", "dispersion", "is_calibrated"), candidates, naive)
    wanted = pl.col("model").is_in(list(others)) if others is not None else pl.lit(True)
    single = spread.filter(pl.col("mean").is_not_null(), wanted).with_columns(
        pl.col("model").alias("models"), pl.lit(None, pl.String).alias("method")
    )
    both = [calibration.dispersed(chosen.drop("block"), naive), single]
    forecasts, curves = calibration.recalibrated(pl.concat(both, how="diagonal_relaxed").drop("family"))
    return Published(forecasts.with_columns(is_reconciled=pl.lit(False)), selection, curves)


def _losses(spread: pl.DataFrame, candidates: Sequence[str], naive: str) -> pl.DataFrame:
    """Return the losses of the candidates, one origin at a time: quantiles are several times as large as means."""
    known = spread.filter(pl.col("y").is_not_null(), pl.col("mean").is_not_null())
    parts = known.sort("cutoff", maintain_order=True).partition_by("cutoff", maintain_order=True) or [known]
    return pl.concat(model_selection.losses(calibration.with_quantiles(part), candidates, naive) for part in parts)
