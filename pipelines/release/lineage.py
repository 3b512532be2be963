"""Lineage: which table was made from which, as read from the SQL itself."""

import graphlib
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from pipelines.store import warehouse

MADE_BY_PYTHON: Mapping[str, tuple[str, ...]] = {
    "reference.areas": ("raw boundaries",),
    "reference.cells": ("reference.areas",),
    "reference.feeds": ("profile",),
    "reference.categories": ("profile",),
    "reference.category_map": ("profile",),
    "reference.demand_services": ("profile",),
    "reference.feed_services": ("profile",),
    "reference.priority_map": ("profile",),
    "reference.excluded_categories": ("profile",),
    "ops.feed_health": ("staging.incidents", "profile"),
    "patterns.hot_spots": ("marts.crime_daily", "reference.cells"),
    "patterns.area_hot_spots": ("marts.crime_points", "reference.areas"),
    "patterns.emerging_hot_spots": ("marts.crime_daily", "reference.cells"),
    "patterns.density": ("marts.crime_points", "reference.cells"),
    "patterns.nnh_clusters": ("marts.crime_points", "reference.areas"),
    "patterns.concentration": ("marts.crime_points", "reference.cells"),
    "patterns.lorenz": ("marts.crime_points", "reference.cells"),
    "patterns.point_pattern_test": ("marts.crime_points", "reference.areas", "reference.cells"),
    "patterns.point_pattern_places": ("marts.crime_points", "reference.areas", "reference.cells"),
    "patterns.aoristic": ("marts.crime_points",),
    "patterns.control_chart": ("marts.crime_points", "reference.areas"),
    "patterns.weekly": ("marts.crime_points", "reference.areas", "profile"),
    "patterns.district_harm": (
        "marts.crime_points",
        "marts.crime_daily",
        "reference.areas",
        "reference.cells",
        "profile",
    ),
    "patterns.near_repeats": ("marts.crime_points",),
    "patterns.near_repeat_chains": ("marts.crime_points",),
    "patterns.near_repeat_members": ("marts.crime_points",),
    "patterns.space_time_clusters": ("marts.crime_points", "reference.cells"),
    "forecast.demand": ("marts.demand_hourly", "marts.demand_delays", "marts.demand_changes"),
    "forecast.demand_scores": ("forecast.demand", "marts.demand_hourly", "marts.demand_changes"),
    "forecast.demand_choices": ("marts.demand_hourly", "marts.demand_delays", "marts.demand_changes"),
    "forecast.risk": ("marts.crime_points", "reference.cells"),
    "forecast.risk_scores": (
        "forecast.risk",
        "marts.crime_points",
        "marts.crime_daily",
        "core.patrols",
        "reference.cells",
    ),
    "forecast.risk_curves": ("marts.crime_points", "reference.cells"),
    "forecast.risk_calibration": ("marts.crime_points", "reference.cells"),
    "forecast.risk_slots": ("marts.crime_points", "reference.cells"),
    "forecast.risk_slots_scores": ("forecast.risk_slots", "marts.crime_points", "reference.cells"),
    "dispatch.staffing": ("forecast.demand", "core.dispatches"),
}
"""The tables that Python writes have no SQL to read their sources from."""


def edges(con: duckdb.DuckDBPyConnection, views: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    """All edges (source, target): of the models, of Python's tables and of the views just built."""
    known: set[tuple[str, str]] = set()
    if warehouse.exists(con, "ops", "lineage"):
        known |= set(con.execute("select source, target from ops.lineage").fetchall())
    known |= {(source, target) for target, sources in MADE_BY_PYTHON.items() for source in sources}
    return known | {(source, target) for target, sources in views.items() for source in sources}


def above(edges: Iterable[tuple[str, str]], targets: Iterable[str]) -> dict[str, list[str]]:
    """For some tables: everything that they were made from, back to the sources, in the order of making."""
    sources: dict[str, set[str]] = {}
    for source, target in edges:
        sources.setdefault(target, set()).add(source)
    wanted: set[str] = set()
    open_ends = list(targets)
    while open_ends:
        target = open_ends.pop()
        if target not in wanted:
            wanted.add(target)
            open_ends += sources.get(target, ())
    kept = {target: sources.get(target, set()) for target in wanted}
    # Bookkeeping tables read themselves; a circle is no order.
    order = graphlib.TopologicalSorter({target: found - {target} for target, found in sorted(kept.items())})
    return {target: sorted(kept[target]) for target in order.static_order() if kept.get(target)}


def document(edges: Iterable[tuple[str, str]], targets: Iterable[str]) -> dict[str, Any]:
    """The lineage of some published tables, as it is written into a release."""
    return {"made_from": above(edges, targets)}
