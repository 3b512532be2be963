"""Records of older versions in today's columns. No other module knows how they were written.

A record is written once and hashed, so it is upgraded each time it is read. Its ``schema_version`` is in the metadata
of its Parquet file; records from before there was one are of version 1.
"""

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

VERSION: Final = 2
"""Version of the records written today."""

_SUFFIX: Final = " (moved)"


def upgraded(kind: str, version: int, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a record in today's columns and values."""
    return _FROM_1[kind](frame) if version < VERSION and kind in _FROM_1 else frame


def _demand_forecasts(frame: pl.DataFrame) -> pl.DataFrame:
    """The distribution was in the text ``method``; a mean of models named them all in ``model``."""
    text, model = pl.col("method"), pl.col("model")
    levels = text.str.extract("levels kept ([0-9. ]+)").str.strip_chars().str.split(" ").cast(pl.List(pl.Float64))
    method = (
        pl.when(pl.col("is_baseline")).then(pl.lit("baseline"))
        .when(text.str.contains("sum of its parts", literal=True)).then(pl.lit("bottom_up"))
        .when(text.str.contains("shared among areas", literal=True)).then(pl.lit("region_share"))
        .when(text.str.contains("keep to the weekly table", literal=True)).then(pl.lit("simple_table"))
        .when(text.str.contains("gives no mean", literal=True)).then(pl.lit("fallback"))
        .when(model.str.starts_with("part_of_days")).then(pl.lit("day_share"))
        .otherwise(pl.lit("selected"))
    )  # fmt: skip
    return _of_calls(frame).with_columns(
        text.str.extract(r"dispersion ([0-9.eE+-]+)").cast(pl.Float64).fill_null(0.0).alias("dispersion"),
        levels.alias("calibration_map"),
        model.str.ends_with(_SUFFIX).alias("is_reconciled"),
        method.alias("method"),
        _single(" + ").alias("model"),
    )


def _demand_scores(frame: pl.DataFrame) -> pl.DataFrame:
    return _of_calls(frame).with_columns(_single(", ").alias("model"))


def _of_calls(frame: pl.DataFrame) -> pl.DataFrame:
    """At first only calls were forecast, and no shifts."""
    added = {"measure": pl.lit("calls"), "shift": pl.lit(None, pl.String)}
    return frame.with_columns(value.alias(name) for name, value in added.items() if name not in frame.columns)


def _single(separator: str) -> pl.Expr:
    """The name of one model; several are a combination."""
    name = pl.col("model").str.strip_suffix(_SUFFIX)
    return pl.when(name.str.contains(separator, literal=True)).then(pl.lit("combination")).otherwise(name)


def _risk_forecasts(frame: pl.DataFrame) -> pl.DataFrame:
    """At first there was one window, the week."""
    return frame if "window" in frame.columns else frame.with_columns(pl.lit("week").alias("window"))


def _outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    """The forecast step was one task."""
    tasks = pl.DataFrame({"step": ["forecast"] * 3, "task": ["forecast_read", "forecast_fit", "forecast_write"]})
    split = frame.join(tasks, on="step", how="left", maintain_order="left")
    return split.with_columns(pl.coalesce("task", "step").alias("step")).drop("task")


_FROM_1: Final[Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "demand_forecasts": _demand_forecasts,
    "demand_backtests": _demand_scores,
    "demand_scores": _demand_scores,
    "risk_forecasts": _risk_forecasts,
    "outcomes": _outcomes,
}
