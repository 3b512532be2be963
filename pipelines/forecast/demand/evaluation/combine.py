"""From every model's means to the one forecast of each target that is published, with its ranges.

Means of all models at past origins and ahead, a dispersion for each, what each lost at earlier origins, a choice per
series and horizon block, then the same calibration for the chosen mean. Every step sees only outcomes before a row's
own cutoff, so a scored backtest and an issued forecast are made in the same way.
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

    ``forecasts``: the targets' columns, ``model`` (``CHOSEN`` for what is published, else a model's name)``, models``
    (what the mean is made of)``, mean, centre, dispersion, is_calibrated, curve, failure, method,
    is_reconciled``; no quantiles yet.
    ``choices``: as ``selection.choose`` gives. ``curves``: as ``calibration.recalibrated`` gives.
    """

    forecasts: pl.DataFrame
    choices: pl.DataFrame
    curves: Floats


def published(
    said: pl.DataFrame,
    scales: pl.DataFrame,
    order: Sequence[str],
    naive: str,
    freq: Frequency,
    choices: pl.DataFrame | None = None,
    beside: Sequence[str] | None = None,
) -> Published:
    """Choose among models, calibrate the choice and every model beside it.

    Args:
        said: ``unique_id`` (integer)``, pool, level, cutoff, ds, y, model, mean, centre, failure``, more columns kept.
        scales: ``unique_id, scale``: the lag-season error before the first origin.
        order: Models that may be chosen, the simplest first; those that said nothing are passed over.
        naive: The model that serves only where all others fail.
        freq: ``h`` or ``D``.
        choices: Choices of an earlier run to keep to; none: choose now.
        beside: Models whose own forecasts are wanted beside the chosen; none: all.
    """
    asked = [name for name in order if name in said["model"].unique()]
    spread = calibration.dispersed(said, naive)
    if choices is None:
        taught = calibration.with_quantiles(spread.filter(pl.col("y").is_not_null(), pl.col("mean").is_not_null()))
        lost = model_selection.losses(taught, asked, naive)
        choices = model_selection.choose(spread, lost, scales, asked, freq)
    chosen = model_selection.apply(choices, spread.drop("family", "dispersion", "is_calibrated"), asked, naive)
    wanted = pl.col("model").is_in(list(beside)) if beside is not None else pl.lit(True)
    single = spread.filter(pl.col("mean").is_not_null(), wanted).with_columns(
        pl.col("model").alias("models"), pl.lit(None, pl.String).alias("method")
    )
    both = [calibration.dispersed(chosen.drop("block"), naive), single]
    forecasts, curves = calibration.recalibrated(pl.concat(both, how="diagonal_relaxed").drop("family"))
    return Published(forecasts.with_columns(is_reconciled=pl.lit(False)), choices, curves)
