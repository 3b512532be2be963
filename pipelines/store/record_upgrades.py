"""Records of older versions in today's columns. No other module knows how they were written.

A record is written once and hashed, so it is upgraded each time it is read. Its ``schema_version`` is in the metadata
of its Parquet file; records from before there was one are of version 1.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl

VERSION: Final = 4
"""Version of the records written today."""

_SUFFIX: Final = " (moved)"


FORMER_KINDS: Final[Mapping[str, str]] = {"demand_selections": "demand_choices"}
"""Kinds of records that had another name."""
_RENAMED_IN_3: Final[Mapping[str, str]] = {
    "tree": "hierarchy",
    "level": "area_level",
    "chosen_at": "selected_at",
    "chosen_by": "selected_by",
}
_RETRIES_BEFORE_3: Final[Mapping[str, str]] = {
    "accepted now: ": "acceptance",
    "released from ": "release",
    "held back since ": "requarantine",
}


def upgraded(kind: str, version: int, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a record in today's columns and values."""
    if version < 2 and kind in _FROM_1:
        frame = _FROM_1[kind](frame)
    if version < 3:
        frame = _from_2(kind, frame)
    return _demand_selections(frame) if version < 4 and kind == "demand_selections" else frame


def load_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ledger's entry of a load in today's fields: once a retry named its batch at the end of its message."""
    if "load" not in entry:
        return dict(entry)
    message = entry.get("message", "")
    retry = next((name for start, name in _RETRIES_BEFORE_3.items() if message.startswith(start)), None)
    if entry["load"] == "delivery" or retry is None:
        return {**entry, "batch_type": entry["load"]}
    return {**entry, "batch_type": retry, "retried_batch_id": message[-64:]}


def _from_2(kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Columns had other names; disclosure-safe measures were called apportioned."""
    ranking = {"method": "ranking_method"} if kind in ("risk_forecasts", "risk_slots_forecasts") else {}
    renamed = frame.rename({**_RENAMED_IN_3, **ranking}, strict=False)
    if "measure" not in renamed.columns:
        return renamed
    return renamed.with_columns(pl.col("measure").str.replace("^apportioned_", "disclosure_safe_"))


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
    return _with(frame, measure=pl.lit("calls"), shift=pl.lit(None, pl.String)).with_columns(
        text.str.extract(r"dispersion ([0-9.eE+-]+)").cast(pl.Float64).fill_null(0.0).alias("dispersion"),
        levels.alias("calibration_map"),
        model.str.ends_with(_SUFFIX).alias("is_reconciled"),
        method.alias("method"),
        _single(" + ").alias("model"),
    )


def _demand_scores(frame: pl.DataFrame) -> pl.DataFrame:
    return _with(frame, measure=pl.lit("calls")).with_columns(_single(", ").alias("model"))


def _demand_selections(frame: pl.DataFrame) -> pl.DataFrame:
    """A horizon block had an equal-weight mean of models, all named in one row: their weights are means over blocks."""
    if "models" not in frame.columns:
        return frame
    of_block = ["horizon_block", "models", "scaled_pinball", "runner_up", "runner_up_scaled_pinball", "standard_error"]
    keys = pl.selectors.exclude(*of_block, "model", "model_weight", "origins", "selected_by", "blocks")
    blocks = frame.with_columns(pl.len().over(frame.select(keys).columns).alias("blocks"))
    return (
        blocks.with_columns(pl.col("models").str.split(" + ").alias("model"))
        .explode("model")
        .group_by(keys, "model", maintain_order=True)
        .agg((pl.col("model_weight") / pl.col("blocks")).sum(), pl.col("origins", "selected_by").first())
        .with_columns(loss_ratio=pl.lit(None, pl.Float64))
    )


def _with(frame: pl.DataFrame, **values: pl.Expr) -> pl.DataFrame:
    """Return the frame with columns that records lacked at first: only calls were forecast, and no shifts."""
    return frame.with_columns(value.alias(name) for name, value in values.items() if name not in frame.columns)


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
