"""Past forecasts of a night at which models competed, kept while its weights are reused.

Ranges and the weights of upper areas follow past errors. Forecasts of past origins do not change while the same models
are used, so that a night that reuses a selection runs its models only for what is ahead.
"""

from typing import Final

import polars as pl

from pipelines.forecast.demand.evaluation import rolling_origin
from pipelines.forecast.demand.series import Frequency, History

KEYS: Final = ["unique_id", "cutoff", "ds"]
NONE: Final = pl.DataFrame(
    schema={
        "frequency": pl.Categorical,
        "unique_id": pl.Int64,
        "cutoff": pl.Datetime("us"),
        "ds": pl.Datetime("us"),
        "model": pl.Categorical,
        "mean": pl.Float32,
        "centre": pl.Float32,
    }
)
"""No past forecast, in the columns that are recorded; ``cutoff`` and ``ds`` are local times."""


def kept(forecasts: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return past forecasts as they are recorded.

    Numbers have seven digits; ``centre`` is null where it equals ``mean``.

    Args:
        forecasts: As from ``combine.weighted``, with ``target_start`` (null: past).
        freq: ``h`` or ``D``.
    """
    past = forecasts.filter(pl.col("target_start").is_null())
    centre = pl.when(pl.col("centre") != pl.col("mean")).then("centre").alias("centre")
    return past.select(pl.lit(freq).alias("frequency"), *KEYS, "model", pl.col("mean"), centre).cast(NONE.schema)


def with_past(ahead: pl.DataFrame, past: pl.DataFrame, history: History) -> pl.DataFrame:
    """Return forecasts ahead after recorded ones of the same series and models, with their outcomes as now known.

    Args:
        ahead: As from ``combine.weighted``.
        past: As from ``kept``.
        history: The counts that the night reads.
    """
    series = ahead.select("unique_id", "pool", "level", "is_upper", "model").unique(maintain_order=True)
    mean = pl.col("mean").cast(pl.Float64)
    rows = (
        past.drop("frequency")
        .join(series, on=["unique_id", "model"], maintain_order="left")
        .with_columns(mean, pl.coalesce(pl.col("centre").cast(pl.Float64), mean))
    )
    both = pl.concat([rows, ahead.drop("y", "y_now")], how="diagonal")
    outcomes = rolling_origin.outcomes(history, both)
    return both.join(outcomes, on=["unique_id", "ds"], how="left", maintain_order="left").select(ahead.columns)
