"""Rollups next to their parts: all categories combined, the whole region as an area."""

from typing import Final

import polars as pl

ALL: Final = "all"
"""Category of the sum of all."""


def with_all_categories(points: pl.DataFrame) -> pl.DataFrame:
    """Return the points, and each of them once more under the category ``all``."""
    return pl.concat([points, points.with_columns(pl.lit(ALL).alias("category"))])


def by_area(points: pl.DataFrame, areas: pl.DataFrame, region_id: str) -> pl.DataFrame:
    """Return the points once for their district and once for the region: with ``area_id``.

    Args:
        points: One row per incident, with ``admin_area_id``; one outside every listed district counts in the region.
        areas: ``area_id`` of the listed areas.
        region_id: The area that contains all points.
    """
    districts = points.with_columns(area_id=pl.col("admin_area_id")).join(areas, on="area_id", how="semi")
    whole = points.with_columns(area_id=pl.lit(region_id))
    return pl.concat([districts.filter(pl.col("area_id") != region_id), whole])
