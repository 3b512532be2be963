"""Near repeats and clusters for the police page: Knox tables, open chains, the map of space-time clusters."""

from typing import Any, Final

import polars as pl
from markupsafe import Markup

from pipelines.release.pages import figures
from pipelines.release.pages.page import Page, outlines_of

SHOWN_METRES: Final = 500
"""Farther bands are in the table of the release; on the page they add little."""
SHADES: Final = (1.2, 1.5, 2.0, 3.0)
"""Pair ratios from which a cell is darker. The Near Repeat Calculator marks cells from 1.2."""
MARKED_P: Final = 0.05
DRAWN_DEGREES: Final = 0.0045
"""Circles are drawn half a kilometre larger: true to scale they would be specks on a map of a city."""


def knox_tables(page: Page) -> list[dict[str, Any]]:
    """Return, per category with any near pair, rows of distance bands and columns of time bands."""
    if not page.has("near_repeats"):
        return []
    result = page.frame(
        f"from near_repeats where distance_to_m <= {SHOWN_METRES} order by category, distance_to_m, days_to"
    )
    tables = []
    for (category,), of_category in result.group_by("category", maintain_order=True):
        if of_category["observed_pairs"].sum():
            first = of_category.row(0, named=True)
            rows = [
                {"distance": _distance(band[0]), "cells": [_cell(row) for row in band]}
                for band in (part.to_dicts() for part in of_category.partition_by("distance_to_m", maintain_order=True))
            ]
            days = of_category.select("days_from", "days_to").unique(maintain_order=True).rows()
            common = {name: first[name] for name in ("incidents", "shared_place_share", "sampled_share")}
            tables.append(common | {"label": _labels(page).get(str(category), category), "days": days, "rows": rows})
    return tables


def open_chains(page: Page) -> list[dict[str, Any]]:
    """Return unusual chains that another incident could still join, newest first."""
    if not page.has("near_repeat_chains"):
        return []
    return _readable(
        page,
        page.frame(
            "select * exclude (geometry) from near_repeat_chains where is_unusual and is_open "
            "order by last_incident_date desc, incidents desc, chain_id limit 12"
        ),
    )


def clusters(page: Page) -> dict[str, Any] | None:
    """Return the space-time clusters: signals on a map of the districts, the most likely of each category as a list."""
    if not page.has("space_time_clusters", "near_repeats") or page.areas is None:
        return None
    result = page.frame("from space_time_clusters order by is_signal desc, permutation_p_value, category, cluster_rank")
    if result.is_empty():
        return None
    rows = _readable(page, result.drop("geometry"))
    drawn = [
        figures.Shape(
            row["cell_id"],
            outline.buffer(DRAWN_DEGREES),
            row["excess_ratio"],
            f"{row['label']}, {row['district']}: {row['incidents']} since {row['cluster_start_date']:%-d %B}, "
            f"{figures.number(row['expected_incidents'])} expected",
        )
        for row, outline in zip(rows, outlines_of(result), strict=True)
        if row["is_signal"]
    ]
    districts = page.areas.filter((pl.col("hierarchy") == "admin") & (pl.col("area_level") == "district"))
    described = f"Map of districts with space-time clusters: {len(drawn)}"
    svg = figures.cell_map(outlines_of(districts), drawn, [], described, page.notice, width=460)
    # Every category with reports is searched, whether or not it has a cluster.
    searched = page.frame("select count(distinct category) as categories from near_repeats")["categories"][0]
    return {"svg": Markup(svg), "rows": rows, "signals": len(drawn), "categories": searched}


def _readable(page: Page, result: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows with readable names of their category and district."""
    names = dict(page.areas.select("area_id", "name").iter_rows()) if page.areas is not None else {}
    labels = _labels(page)
    return [
        row | {"label": labels.get(row["category"], row["category"]), "district": names.get(row["admin_area_id"], "")}
        for row in result.to_dicts()
    ]


def _labels(page: Page) -> dict[str, str]:
    return {row["category"]: row["label"] for row in page.rows("allow_list")}


def _distance(row: dict[str, Any]) -> str:
    return f"{row['distance_from_m']}–{row['distance_to_m']} m" if row["distance_to_m"] else "same place"


def _cell(row: dict[str, Any]) -> dict[str, Any]:
    """Return one cell: its ratio, its shade if it exceeds chance, and its common."""
    is_marked = row["permutation_p_value"] <= MARKED_P and row["pair_ratio"] is not None
    # With less than one pair expected and no more than chance observed, a ratio would be noise.
    has_ratio = is_marked or row["expected_pairs"] >= 1
    return {
        "ratio": f"{row['pair_ratio']:.1f}" if has_ratio else None,
        "shade": sum(row["pair_ratio"] >= bound for bound in SHADES) if is_marked else 0,
        "title": f"{row['observed_pairs']} pairs, {figures.number(row['expected_pairs'])} expected, "
        f"p = {row['permutation_p_value']:.3f}",
    }
