"""The area hierarchies as series: the parts of an area, and the calls that are in none of its parts.

A hierarchy's leaves are its areas without parts, plus one series for every area whose parts have fewer calls than
itself (some calls have no location within it), with the difference. So the leaves of each hierarchy sum to the region
exactly, in the past and in every sample path.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from pipelines.forecast.demand.panel import Panel, numbered

UNPLACED: Final = "unplaced"
"""``level`` of the calls of an area that are in none of its parts; forecast, but not published on their own."""
WHOLE: Final = "region"
"""The widest level of every hierarchy."""
FAMILY: Final = ["service", "measure"]


def parents(series: pl.DataFrame, areas: pl.DataFrame | None, whole_id: str) -> pl.DataFrame:
    """Return ``hierarchy, area_id, parent_area_id`` of every area of the panel except the region itself.

    Args:
        series: As ``Panel.series``.
        areas: ``area_id, parent_area_id``; none: all areas are parts of the region.
        whole_id: The region; it is the parent of every area whose own parent is not in the panel.
    """
    listed = (
        series.filter(pl.col("area_id") != whole_id)
        .select("hierarchy", "area_id")
        .unique()
        .sort("hierarchy", "area_id")
    )
    if areas is None:
        return listed.with_columns(pl.lit(whole_id).alias("parent_area_id"))
    known = areas.select("area_id", "parent_area_id").unique("area_id")
    parent = pl.when(pl.col("parent_area_id").is_in(listed["area_id"].implode())).then("parent_area_id")
    return listed.join(known, on="area_id", how="left", maintain_order="left").with_columns(
        parent.otherwise(pl.lit(whole_id)).alias("parent_area_id")
    )


def with_unplaced(panel: Panel, above: pl.DataFrame) -> Panel:
    """Return the panel with a series of the calls of every area that are in none of its parts, if there are any.

    Args:
        panel: Series of one or several hierarchies.
        above: As from ``parents``.
    """
    known = panel.series.select("unique_id", "area_id", *FAMILY)
    edges = known.join(above, on="area_id").rename({"unique_id": "part"})
    up = known.select(*FAMILY, pl.col("area_id").alias("parent_area_id"), pl.col("unique_id").alias("parent"))
    edges = edges.join(up, on=[*FAMILY, "parent_area_id"]).select("hierarchy", "part", "parent")
    if edges.is_empty():
        return panel
    # The counts of the parts are subtracted; a repeated hour is one local hour with the calls of both.
    missed = _missed(panel.history, edges, ["ds"]).with_columns(pl.col("y").clip(0))
    missed = missed.filter((pl.col("y") > 0).any().over("hierarchy", "parent"))
    added = _named(panel.series, missed.select("hierarchy", "parent").unique().sort("hierarchy", "parent"))
    ids = added.select("hierarchy", "parent", "unique_id")
    rows, late = (
        counts.join(ids, on=["hierarchy", "parent"], how="inner", maintain_order="left")
        for counts in (missed, _missed(panel.late, edges, ["ds", "seen_from"]))
    )
    return Panel(
        pl.concat([panel.series, added.select(panel.series.columns)]),
        pl.concat([panel.history, rows.select(panel.history.columns)]),
        pl.concat([panel.late, late.select(panel.late.columns)]),
    )


def _missed(counts: pl.DataFrame, edges: pl.DataFrame, at: list[str]) -> pl.DataFrame:
    """Return ``hierarchy, parent``, ``at`` and ``y``: the parents' counts minus those of their parts."""
    # One hierarchy at a time, without its name: text in every row would multiply the size of the counts.
    missed = []
    for hierarchy in edges.sort("hierarchy").partition_by("hierarchy", maintain_order=True):
        factors = pl.concat(
            [
                hierarchy.select(pl.col("parent").unique(), factor=1.0).with_columns(unique_id="parent"),
                hierarchy.select("parent", factor=-1.0, unique_id="part"),
            ]
        )
        sums = (
            counts.lazy()
            .join(factors.lazy(), on="unique_id")
            .group_by("parent", *at)
            .agg((pl.col("y") * pl.col("factor")).sum())
            .sort("parent", *at)
            .collect(engine="streaming")
        )
        missed.append(sums.select(pl.lit(hierarchy["hierarchy"][0]).alias("hierarchy"), "parent", *at, "y"))
    return pl.concat(missed)


def _named(series: pl.DataFrame, missed: pl.DataFrame) -> pl.DataFrame:
    """Return the new series: like their parents' except for name, hierarchy, level and pool."""
    of_parent = series.rename({"unique_id": "parent"}).drop("hierarchy")
    return numbered(
        missed.join(of_parent, on="parent", maintain_order="left").with_columns(
            pl.concat_str("area_id", "hierarchy", pl.lit(UNPLACED), separator="/").alias("area_id"),
            pl.lit(UNPLACED).alias("level"),
            pl.lit(UNPLACED).alias("area_level"),
            pl.concat_str("service", "measure", pl.lit(UNPLACED), separator=" ").alias("pool"),
        )
    )


def members(series: pl.DataFrame, above: pl.DataFrame, whole_id: str) -> dict[tuple[str, str, str], pl.DataFrame]:
    """Return, for every service, measure and hierarchy, the administrative one first, its leaves and the areas above.

    A service without a series of the region has no hierarchies.

    Args:
        series: As ``Panel.series``, with those added by ``with_unplaced``.
        above: As from ``parents``.
        whole_id: The region.

    Returns:
        ``unique_id`` of the leaves, ``region`` and one column per depth below it, widest first: the ``unique_id`` of
        the area there; a leaf at a higher level represents itself.
    """
    parent = dict(above.select("area_id", "parent_area_id").iter_rows())
    by_family = {}
    for (service, measure), own_rows in series.sort("unique_id").group_by(FAMILY, maintain_order=True):
        number = dict(own_rows.select("area_id", "unique_id").iter_rows())
        if whole_id not in number:
            continue
        for hierarchy in sorted(own_rows["hierarchy"].unique(), key=lambda name: (name != "admin", name)):
            ids = own_rows.filter(pl.col("hierarchy") == hierarchy, pl.col("area_id") != whole_id)["area_id"].to_list()
            # An area that is unknown in this service alone has no series of it.
            paths = {area: [name for name in _path(area, parent, whole_id) if name in number] for area in ids}
            inner = {name for path in paths.values() for name in path[:-1]}
            leaves = [paths[area] for area in ids if area not in inner]
            if leaves:
                by_family[str(service), str(measure), hierarchy] = levels(leaves, number).cast(
                    series.schema["unique_id"]
                )
    return by_family


def _path(area: str, parent: dict[str, str], whole_id: str) -> list[str]:
    """Return the areas from the region down to this one; an area's unplaced calls are directly below the area."""
    path = [area]
    while path[0] != whole_id:
        path.insert(0, path[0].rsplit("/", 2)[0] if path[0].endswith(f"/{UNPLACED}") else parent[path[0]])
    return path


def levels(leaves: Sequence[Sequence[str]], number: Mapping[str, int]) -> pl.DataFrame:
    """Return ``unique_id`` and the columns of ``members`` from the path of each leaf, the leaf itself last."""
    depth = max(len(path) for path in leaves) - 1
    names = [WHOLE, *(f"depth {i}" for i in range(1, depth))]
    rows = [[number[area] for area in (*path[:-1], *[path[-1]] * (depth + 2 - len(path)))] for path in leaves]
    return pl.DataFrame(rows, schema=[*names, "unique_id"], orient="row").select("unique_id", *names)
