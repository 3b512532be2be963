"""The selected models, as stored in ``forecast.demand_selections``: by area and service, for a week."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand.evaluation import calibration
from pipelines.forecast.demand.panel import Panel, local
from pipelines.forecast.demand.series import Frequency
from pipelines.schema.dictionary import frame_schema

KEPT: Final = timedelta(days=7)
"""How long a selection is reused before the models compete again."""
SERIES: Final = ["area_id", "service", "measure"]
NAMES: Final = {
    "models": "models", "weight": "model_weight", "score": "scaled_pinball", "runner_up": "runner_up",
    "runner_up_score": "runner_up_scaled_pinball", "standard_error": "standard_error", "origins": "origins",
    "selected_by": "selected_by",
}  # fmt: skip
"""Columns of ``model_selection.CHOICE`` → their names in the table."""
COLUMNS: Final = frame_schema("forecast.demand_selections")


def to_table(
    choices: pl.DataFrame, panel: Panel, freq: Frequency, as_of: datetime, selected_at: datetime, profile: Profile
) -> pl.DataFrame:
    """Build ``forecast.demand_selections`` from the selection of ``combine``.

    Args:
        choices: As from ``model_selection.choose``.
        panel: The series of the selection.
        freq: ``h`` or ``D``.
        as_of: The instant of issue, UTC.
        selected_at: The issue at which the models competed, UTC.
        profile: Time zone.
    """
    zone, utc = profile.zone.key, pl.Datetime("us", "UTC")
    block = pl.col("block").replace_strict(dict(enumerate(calibration.BLOCKS)), return_dtype=pl.String)

    def instant(moment: pl.Expr) -> pl.Expr:
        return moment.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")

    return (
        choices.join(
            panel.series.select("unique_id", "hierarchy", "area_level", *SERIES), on="unique_id", maintain_order="left"
        )
        .rename(NAMES)
        .with_columns(
            pl.lit(as_of).cast(utc).alias("reference_at"),
            pl.lit(selected_at).cast(utc).alias("selected_at"),
            pl.lit(freq).alias("frequency"),
            block.alias("horizon_block"),
            # A local hour that clocks skip is stored as the one before it.
            pl.coalesce(instant(pl.col("cutoff")), instant(pl.col("cutoff") - pl.duration(hours=1))).alias("origin_at"),
            pl.col("model_weight", "scaled_pinball", "runner_up_scaled_pinball", "standard_error").round(9),
        )
        .select(*COLUMNS)
        .sort("frequency", *SERIES, "origin_at", "horizon_block")
    )


def selected_at(kept: pl.DataFrame | None, as_of: datetime) -> datetime | None:
    """Return when the stored selection was made; None if it is older than ``KEPT``, or there is none."""
    if kept is None or kept.is_empty():
        return None
    when: datetime = kept["selected_at"].min()  # type: ignore[assignment]
    return when if timedelta() < as_of - when < KEPT else None


def recalled(kept: pl.DataFrame, panel: Panel, freq: Frequency, profile: Profile) -> pl.DataFrame | None:
    """Return the stored selection as from ``model_selection.choose``; None if a series of the panel has none."""
    number = {name: place for place, name in enumerate(calibration.BLOCKS)}
    selection = (
        kept.filter(pl.col("frequency") == freq)
        .join(panel.series.select("unique_id", *SERIES), on=SERIES, maintain_order="left")
        .rename({name: column for column, name in NAMES.items()})
        .select(
            "unique_id",
            local("origin_at", profile.zone).alias("cutoff"),
            pl.col("horizon_block").replace_strict(number, return_dtype=pl.Int8).alias("block"),
            *NAMES,
        )
        .sort("unique_id", "cutoff", "block")
    )
    is_whole = panel.series.join(selection, on="unique_id", how="anti").is_empty()
    return selection if is_whole else None
