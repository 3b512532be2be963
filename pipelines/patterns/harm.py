"""Harm by district: reported crime weighted by severity, and the share of it in hot spots.

A count gives a homicide and a stolen bicycle the same weight. The weights are set per deployment (``harm`` of a
category in the profile; Sherman, Neyroud and Neyroud 2016 use the starting-point sentence in days of prison); the
shipped ones are only an example. Categories excluded from patterns have no harm here, so this is never the whole harm
of a district.
"""

from datetime import date, timedelta
from typing import Final

import polars as pl

from pipelines.schema.dictionary import frame_schema

WINDOW_DAYS: Final = 365
TYPES: Final = frame_schema("patterns.district_harm")


def district_harm(
    points: pl.DataFrame,
    cells: pl.DataFrame,
    hot: pl.DataFrame,
    districts: pl.DataFrame,
    weights: pl.DataFrame,
    window_end: date,
) -> pl.DataFrame:
    """Return the harm of each district in the year before ``window_end``, and the part of it in hot cells.

    Args:
        points: One row per incident: ``category, cell_id`` (risk grid), ``admin_area_id, occurrence_date``.
        cells: ``reference.cells``: ``cell_id, map_cell_id``.
        hot: ``patterns.hot_spots``: ``category, cell_id, is_hot`` of map cells. An incident is in a hot spot if its map
            cell is hot for its own category.
        districts: ``area_id`` of every district.
        weights: ``category, harm``.
        window_end: The first local date excluded.

    Returns:
        ``patterns.district_harm``: one row per district, zeros included; ``harm_share`` is its share of the harm of all
        districts, null if there is none.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    hot_cells = hot.filter("is_hot").select("category", map_cell_id="cell_id", is_hot=pl.lit(True))
    counted = (
        points.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left"))
        .join(cells.select("cell_id", "map_cell_id").unique("cell_id"), on="cell_id", how="left")
        .join(hot_cells, on=["category", "map_cell_id"], how="left")
        .group_by(pl.col("admin_area_id").alias("area_id"), "category")
        .agg(
            incidents=pl.len().cast(pl.Int64),
            hot_incidents=pl.col("is_hot").fill_null(False).sum().cast(pl.Int64),
        )
        .join(weights.select("category", weight="harm"), on="category", how="left")
        # The last digit of a sum of fractions depends on their order.
        .sort("area_id", "category")
    )
    weight = pl.col("weight").fill_null(0.0)
    summed = counted.group_by("area_id", maintain_order=True).agg(
        pl.col("incidents", "hot_incidents").sum(),
        harm=(pl.col("incidents") * weight).sum().round(6),
        hot_harm=(pl.col("hot_incidents") * weight).sum().round(6),
    )
    listed = districts.select("area_id").sort("area_id")
    full = listed.join(summed, on="area_id", how="left", maintain_order="left").fill_null(0)
    total = float(full["harm"].sum())
    return full.with_columns(
        pl.lit(start).alias("window_start_date"),
        pl.lit(window_end).alias("window_end_date"),
        harm_share=(pl.col("harm") / total).round(12) if total else pl.lit(None, pl.Float64),
    ).select(pl.col(name).cast(dtype) for name, dtype in TYPES.items())
