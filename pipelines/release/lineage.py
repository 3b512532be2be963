"""Lineage: which table was made from which, as read from the SQL itself."""

import graphlib
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from pipelines.schema.dictionary import load
from pipelines.store import warehouse


def edges(con: duckdb.DuckDBPyConnection, views: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    """All edges (source, target): of the models, of Python's tables and of the views just built."""
    known: set[tuple[str, str]] = set()
    if warehouse.exists(con, "ops", "lineage"):
        known |= set(con.execute("select source_table, target_table from ops.lineage").fetchall())
    known |= {(source, target) for target, table in load().tables.items() for source in table.inputs}
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
    # Bookkeeping tables read themselves; a circle has no order.
    order = graphlib.TopologicalSorter({target: sources - {target} for target, sources in sorted(kept.items())})
    return {target: sorted(kept[target]) for target in order.static_order() if kept.get(target)}


def document(edges: Iterable[tuple[str, str]], targets: Iterable[str]) -> dict[str, Any]:
    """The lineage of some published tables, as it is written into a release."""
    return {"made_from": above(edges, targets)}
