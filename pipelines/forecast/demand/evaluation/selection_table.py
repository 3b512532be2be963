"""The selected models and their weights, as in ``forecast.demand_selections``: by area and service, for a week."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand.panel import Panel, local
from pipelines.forecast.demand.series import Frequency
from pipelines.schema.dictionary import frame_schema

KEPT: Final = timedelta(days=7)
"""How long a selection is reused before the models compete again."""
SERIES: Final = ["area_id", "service", "measure"]
NAMES: Final = {
    "model": "model", "weight": "model_weight", "loss_ratio": "loss_ratio", "origins": "origins",
    "selected_by": "selected_by",
}  # fmt: skip
"""Columns of ``model_weights.WEIGHTS`` → their names in the table."""
COLUMNS: Final = frame_schema("forecast.demand_selections")


def to_table(
    weights: pl.DataFrame, panel: Panel, freq: Frequency, as_of: datetime, selected_at: datetime, profile: Profile
) -> pl.DataFrame:
    """Build ``forecast.demand_selections`` from the weights of ``combine``.

    Args:
        weights: As from ``model_weights.weights``.
        panel: The series of the weights.
        freq: ``h`` or ``D``.
        as_of: The instant of issue, UTC.
        selected_at: The issue at which the models competed, UTC.
        profile: Time zone.
    """
    zone, utc = profile.zone.key, pl.Datetime("us", "UTC")

    def instant(moment: pl.Expr) -> pl.Expr:
        return moment.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")

    return (
        weights.join(
            panel.series.select("unique_id", "hierarchy", "area_level", *SERIES), on="unique_id", maintain_order="left"
        )
        .rename(NAMES)
        .with_columns(
            pl.lit(as_of).cast(utc).alias("reference_at"),
            pl.lit(selected_at).cast(utc).alias("selected_at"),
            pl.lit(freq).alias("frequency"),
            # A local hour that clocks skip is stored as the one before it.
            pl.coalesce(instant(pl.col("cutoff")), instant(pl.col("cutoff") - pl.duration(hours=1))).alias("origin_at"),
            pl.col("model_weight", "loss_ratio").round(9),
        )
        .select(*COLUMNS)
        .sort("frequency", *SERIES, "origin_at", maintain_order=True)
    )


def selected_at(kept: pl.DataFrame | None, as_of: datetime) -> datetime | None:
    """Return when the stored selection was made; None if it is older than ``KEPT``, or there is none."""
    if kept is None or kept.is_empty():
        return None
    when: datetime = kept["selected_at"].min()  # type: ignore[assignment]
    return when if timedelta() < as_of - when < KEPT else None


def recalled(kept: pl.DataFrame, panel: Panel, freq: Frequency, profile: Profile) -> pl.DataFrame | None:
    """Return the stored selection as from ``model_weights.weights``; None if a series of the panel has none."""
    selection = (
        kept.filter(pl.col("frequency") == freq)
        .join(panel.series.select("unique_id", *SERIES), on=SERIES, maintain_order="left")
        .rename({name: column for column, name in NAMES.items()})
        .select(
            "unique_id",
            local("origin_at", profile.zone).alias("cutoff"),
            *NAMES,
        )
        .sort("unique_id", "cutoff", maintain_order=True)
    )
    is_whole = panel.series.join(selection, on="unique_id", how="anti").is_empty()
    return selection if is_whole else None
