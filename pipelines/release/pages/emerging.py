"""The police briefing's maps of emerging hot spots: which hot places are new, persistent, intensifying or past."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from pipelines.release.pages import figures
from pipelines.release.pages.page import Page, outlines_of

NO_PATTERN: Final = "no pattern"

COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "new": ("#d81b7a", "hot in the last step and in none before"),
    "consecutive": ("#8e44ad", "hot in the last steps without a break, never before"),
    "intensifying": ("#5f0f0f", "hot in at least 11 of the 12 steps, and rising"),
    "persistent": ("#b3261e", "hot in at least 11 of the 12 steps"),
    "diminishing": ("#e98b6d", "hot in at least 11 of the 12 steps, and falling"),
    "sporadic": ("#f2b134", "hot in the last step and at times before"),
    "oscillating": ("#8a6d1d", "hot in the last step, cold in another"),
    "historical": ("#8d99a6", "hot in the 11 steps before the last, not in it"),
}
"""Colour and meaning of each hot class: violet and pink for new, red for persistent, grey for past."""

COLD: Final = ("#2c679d", "fewer incidents than chance explains, whatever its class")

SHOWN: Final = 3
WIDTH: Final = 560
"""Wider than the hot-spot maps: here the colour of a single square must be distinguishable from its neighbour's."""


def section(page: Page) -> dict[str, Any] | None:
    """Return the maps, the meaning of the classes, and the categories without any class."""
    if not page.has("emerging_hot_spots", "hot_spots") or page.areas is None:
        return None
    result = page.frame(
        f"from emerging_hot_spots where emerging_class <> '{NO_PATTERN}' order by category, incidents desc, cell_id"
    )
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    shown = result["category"].unique().sort().to_list()
    known = page.frame("select distinct category from hot_spots order by category")["category"].to_list()
    return {
        "maps": [
            _map(page, result.filter(pl.col("category") == category), labels.get(category, category))
            for category in shown
        ],
        "classes": [(name, meaning) for name, (_, meaning) in COLOURS.items()],
        "without": [labels.get(category, category) for category in known if category not in shown],
    }


def _map(page: Page, result: pl.DataFrame, label: str) -> dict[str, Any]:
    """Return the classed cells of a category on the districts, a legend of their classes, and the newest places."""
    assert page.areas is not None
    outlines = outlines_of(page.areas.filter((pl.col("hierarchy") == "admin") & (pl.col("area_level") == "district")))
    names = page.areas.select(pl.col("area_id").alias("admin_area_id"), pl.col("name").alias("district"))
    cells = result.join(names, on="admin_area_id", how="left", maintain_order="left")
    described = f"{label}: {cells.height} cells with an emerging pattern on the districts"
    svg = figures.cell_map(outlines, _shapes(cells), [], described, page.notice, width=WIDTH, colour=_colour)
    return {"label": label, "svg": Markup(svg), "legend": _legend(cells), "newest": _newest(cells)}


def _shapes(cells: pl.DataFrame) -> list[figures.Shape]:
    return [
        figures.Shape(
            row["emerging_class"],
            geometry,
            row["last_gi_star_z"],
            f"{row['cell_id']}: {row['emerging_class']}, {row['hot_steps']} of 12 steps hot, "
            f"{row['incidents']} incidents",
        )
        for row, geometry in zip(cells.iter_rows(named=True), outlines_of(cells), strict=True)
    ]


def _colour(shape: figures.Shape) -> str:
    name, _, kind = shape.name.partition(" ")
    return COLOURS[name][0] if kind == "hot" else COLD[0]


def _legend(cells: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the classes that occur, in the order of ``COLOURS``, cold ones together at the end."""
    counted = dict(cells.group_by("emerging_class").len().iter_rows())
    rows = [
        {"name": name, "colour": colour, "meaning": meaning, "cells": counted[f"{name} hot"]}
        for name, (colour, meaning) in COLOURS.items()
        if f"{name} hot" in counted
    ]
    cold = sum(count for name, count in counted.items() if name.endswith(" cold"))
    return [*rows, {"name": "cold", "colour": COLD[0], "meaning": COLD[1], "cells": cold}] if cold else rows


def _newest(cells: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the cells to look at first: recently hot and not long before, with the most incidents of their own."""
    fresh = cells.filter(pl.col("emerging_class").is_in(["new hot", "consecutive hot", "intensifying hot"]))
    shown = ("cell_id", "district", "emerging_class", "incidents", "hot_steps")
    return fresh.filter(pl.col("incidents") > 0).head(SHOWN).select(shown).fill_null("").to_dicts()
