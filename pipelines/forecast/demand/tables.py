"""The tables of demand forecasts as they are stored: what is issued, and its scores."""

from typing import Final

import polars as pl

from pipelines.forecast.demand.evaluation import calibration, scoring
from pipelines.forecast.demand.evaluation.calibration import IDENTITY
from pipelines.forecast.demand.evaluation.model_selection import CHOSEN, JOIN
from pipelines.forecast.demand.evaluation.negative_binomial import Floats, described
from pipelines.forecast.demand.hierarchy.reconciliation import MOVED
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.series import Frequency
from pipelines.schema.dictionary import frame_schema

FORECAST_COLUMNS: Final = frame_schema("forecast.demand")
SCORE_COLUMNS: Final = frame_schema("forecast.demand_scores")
GRAIN: Final = ["reference_at", "frequency", "service", "measure", "area_level"]


def issued(forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> pl.DataFrame:
    """``forecast.demand``, sorted; ``method`` tells the whole distribution, so that it can be scored later.

    Args:
        forecasts: Rows with a mean and quantiles, series named, with ``dispersion, is_calibrated, failure, note`` and,
            where levels were moved, ``curve``.
        curves: As ``calibration.recalibrated`` gives.
    """
    lead = ((pl.col("target_end") - pl.col("reference_at")).dt.total_minutes() / 60).ceil().cast(pl.Int32)
    none = pl.lit(None, pl.String)
    moved = calibration.described(forecasts, curves) if "curve" in forecasts.columns else none.alias("levels")
    shift = pl.col("shift") if "shift" in forecasts.columns else none.alias("shift")
    return (
        forecasts.with_columns(moved, shift)
        .with_columns(
            lead.alias("horizon_hours"),
            pl.col("known_at").alias("data_as_of"),
            pl.concat_str("note", described(), "levels", separator="; ", ignore_nulls=True).alias("method"),
            pl.concat_str("degraded", "failure", separator="; ", ignore_nulls=True)
            .replace("", None)
            .alias("degraded_reason"),
        )
        .select(*FORECAST_COLUMNS)
        .sort("frequency", "service", "measure", "area_id", "shift", "target_start", "model")
    )


def named(forecasts: pl.DataFrame) -> pl.DataFrame:
    """What is published under the names of its models, with ``is_baseline``; a floor that it equals is left out."""
    keys = ["unique_id", "cutoff", "ds"]
    chosen = forecasts.filter(pl.col("model") == CHOSEN).with_columns(pl.col("models").alias("model"))
    beside = forecasts.filter(pl.col("model") != CHOSEN).join(
        chosen.select(*keys, "model"), on=[*keys, "model"], how="anti", maintain_order="left"
    )
    return pl.concat([chosen.with_columns(is_baseline=pl.lit(False)), beside.with_columns(is_baseline=pl.lit(True))])


def scores(known: pl.DataFrame, curves: Floats, origin_kind: str) -> pl.DataFrame:
    """``forecast.demand_scores`` of what is published and of both floors, all on the same targets.

    Args:
        known: Forecasts whose outcome ``y`` is known, with ``scale`` and the columns of the grain; the floors stand
            beside the published rows, or are published themselves.
        curves: As ``calibration.recalibrated`` gives.
        origin_kind: ``backtest`` or ``issued``.

    Returns:
        One row for what was published, ``is_baseline`` false, which names every model in use, and one per floor.
    """
    scored = _sides(known)
    return (
        scoring.score(scored, [*GRAIN, "model", "is_baseline"], curves)
        .with_columns(pl.lit(origin_kind).alias("origin_kind"))
        .select(*SCORE_COLUMNS)
    )


def backtest_scores(known: pl.DataFrame, curves: Floats, freq: Frequency) -> pl.DataFrame:
    """``scores`` of a backtest, with the skill over the weekly table."""
    keys = ["unique_id", "cutoff"]
    sides = _sides(known)
    # One name for what is published, so that it never is that of the floor beside it.
    told = scores(known, curves, "backtest")
    published = pl.when(pl.col("is_baseline")).then("model").otherwise(pl.lit(CHOSEN)).alias("model")
    skilled = scoring.with_skill(told.with_columns(published), sides.with_columns(published), GRAIN, TABLE[freq], keys)
    return skilled.with_columns(told["model"])


def _sides(known: pl.DataFrame) -> pl.DataFrame:
    """The published rows under one name, and the floors."""
    published = known.filter(~pl.col("is_baseline"))
    is_moved = pl.when(pl.col("model").str.ends_with(MOVED).any()).then(pl.lit(MOVED)).otherwise(pl.lit(""))
    names = (
        published.select(*GRAIN, "model", pl.col("model").str.strip_suffix(MOVED).str.split(JOIN).alias("models"))
        .unique()
        .explode("models")
        .group_by(GRAIN)
        .agg(pl.col("models").unique().sort().str.join(", ") + is_moved.first())
        .rename({"models": "model"})
    )
    floors = known.filter(pl.col("model").is_in([BASELINE, *TABLE.values()])).with_columns(is_baseline=pl.lit(True))
    renamed = published.drop("model").join(names, on=GRAIN, how="left", maintain_order="left")
    return pl.concat([renamed.select(known.columns), floors])
