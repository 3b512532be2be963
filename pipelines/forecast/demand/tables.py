"""The tables of demand forecasts as stored: issued forecasts and their scores."""

from datetime import datetime
from typing import Final

import polars as pl

from pipelines.forecast.demand.evaluation import calibration, scoring
from pipelines.forecast.demand.evaluation.calibration import IDENTITY
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN, JOIN
from pipelines.forecast.demand.evaluation.negative_binomial import Floats
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.series import Frequency
from pipelines.schema.dictionary import frame_schema

FORECAST_COLUMNS: Final = frame_schema("forecast.demand")
SCORE_COLUMNS: Final = frame_schema("forecast.demand_scores")
COMBINATION: Final = "combination"
"""Name of the weighted mean of several models; ``forecast.demand_selections`` lists them."""
GRAIN: Final = ["reference_at", "frequency", "service", "measure", "area_level"]


def issued(forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> pl.DataFrame:
    """Return ``forecast.demand``, sorted; it keeps the whole distribution, so that it can be scored later.

    Args:
        forecasts: Rows with a mean and quantiles, series named, with ``dispersion, is_calibrated, is_baseline,
            failure`` and, where they differ from the default, ``method, is_reconciled, shift`` and ``curve``.
        curves: As ``calibration.recalibrated`` gives.
    """
    lead = ((pl.col("target_end") - pl.col("reference_at")).dt.total_minutes() / 60).ceil().cast(pl.Int32)
    defaults = {
        "shift": pl.lit(None, pl.String),
        "method": pl.lit(None, pl.String),
        "is_reconciled": pl.lit(False),
        "curve": pl.lit(0),
    }
    given = forecasts.with_columns(
        value.alias(name) for name, value in defaults.items() if name not in forecasts.columns
    )
    default = pl.when(pl.col("is_baseline")).then(pl.lit("baseline")).otherwise(pl.lit("selected"))
    is_simple = pl.col("is_baseline") | pl.col("method").is_null()
    return (
        given.with_columns(calibration.maps(given, curves))
        .with_columns(
            lead.alias("horizon_hours"),
            pl.col("known_at").alias("data_as_of"),
            pl.when(is_simple).then(default).otherwise("method").alias("method"),
            pl.when(pl.col("is_calibrated")).then(pl.col("dispersion").round(6)).otherwise(0.0).alias("dispersion"),
            pl.col("is_reconciled").fill_null(False),
            pl.concat_str("degraded", "failure", separator="; ", ignore_nulls=True)
            .replace("", None)
            .alias("degraded_reason"),
        )
        .select(*FORECAST_COLUMNS)
        .sort("frequency", "service", "measure", "area_id", "shift", "target_start", "model")
    )


def named(published: pl.DataFrame, baselines: pl.DataFrame) -> pl.DataFrame:
    """Return what is published under the name of its model, and the baselines that differ from it (``is_baseline``)."""
    keys = ["unique_id", "cutoff", "ds"]
    is_single = ~pl.col("models").str.contains(JOIN, literal=True)
    chosen = published.with_columns(pl.when(is_single).then("models").otherwise(pl.lit(COMBINATION)).alias("model"))
    equal = chosen.filter(~pl.col("is_reconciled").fill_null(False)).select(*keys, "model")
    others = baselines.cast({"model": pl.String}).join(equal, on=[*keys, "model"], how="anti", maintain_order="left")
    sides = [chosen.with_columns(is_baseline=pl.lit(False)), others.with_columns(is_baseline=pl.lit(True))]
    return pl.concat(sides, how="diagonal")


def scores(known: pl.DataFrame, curves: Floats, origin_kind: str) -> pl.DataFrame:
    """Return ``forecast.demand_scores`` of the published forecasts and of both baselines, all on the same targets.

    Args:
        known: Forecasts whose outcome ``y`` is known, with ``cutoff, scale, is_reconciled`` and the grain's columns;
            the floors are next to the published rows, or are published themselves.
        curves: As ``calibration.recalibrated`` gives.
        origin_kind: ``backtest`` or ``issued``.

    Returns:
        One row for what was published, ``is_baseline`` false, and one per baseline. Where several models are in use,
        the first is a ``combination``.
    """
    scored, by = _sides(known), [*GRAIN, "model", "is_baseline"]
    origins = scored.group_by(by).agg(pl.col("cutoff").n_unique().cast(pl.Int64).alias("origins"))
    return (
        scoring.score(scored, by, curves)
        .join(origins, on=by, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pl.lit(origin_kind).alias("origin_kind"))
        .select(*SCORE_COLUMNS)
    )


def backtest_scores(
    known: pl.DataFrame, curves: Floats, freq: Frequency, since: datetime | None = None
) -> pl.DataFrame:
    """Return ``scores`` of a backtest, with the skill over hour-of-week averages.

    ``since``: the local time from which whole weeks count; none: the first of ``known``.
    """
    keys = ["unique_id", "cutoff"]
    stored_scores = scores(known, curves, "backtest")
    # One name for published forecasts, so that it never equals that of a baseline.
    published = pl.when(pl.col("is_baseline")).then("model").otherwise(pl.lit(CHOSEN)).alias("model")
    sides = _sides(known).with_columns(published)
    skilled = scoring.with_skill(stored_scores.with_columns(published), sides, GRAIN, TABLE[freq], keys, since)
    return skilled.with_columns(stored_scores["model"])


def _sides(known: pl.DataFrame) -> pl.DataFrame:
    """Return the published rows under one name, and the baselines."""
    published = known.filter(~pl.col("is_baseline"))
    is_single = pl.col("model").n_unique() == 1
    names = published.group_by(GRAIN).agg(
        pl.when(is_single).then(pl.col("model").first()).otherwise(pl.lit(COMBINATION)).alias("model")
    )
    is_floor = pl.col("model").is_in([BASELINE, *TABLE.values()]) & ~pl.col("is_reconciled")
    floors = known.filter(is_floor).with_columns(is_baseline=pl.lit(True))
    renamed = published.drop("model").join(names, on=GRAIN, how="left", maintain_order="left")
    return pl.concat([renamed.select(known.columns), floors])
