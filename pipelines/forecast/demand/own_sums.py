"""Forecasts of the parents of users' series: sums of their series, by the same code as the nightly areas.

Parents are forecast as series too. These forecasts adjust the series' means where that paid at earlier origins, and are
scored next to the sums. Parents that share a series, directly or through others, are one family: its common shocks are
those of the first parent listed of each child, and every parent is a sum over the same sample paths.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.forecast.demand.evaluation import calibration
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.hierarchy import area_hierarchy, reconciliation
from pipelines.forecast.demand.hierarchy.parents import Hierarchy
from pipelines.forecast.demand.hierarchy.reconciliation import Family, Sums
from pipelines.forecast.demand.own_batches import Modelled, Task
from pipelines.forecast.demand.series import lasting_ids
from pipelines.forecast.parallel import Workers

DIRECT: Final = "direct"
"""``model`` of a parent's own forecast, in a backtest."""
ALL: Final = ""
"""The group of all series of a family; no series is called so."""


def summed(parts: Sequence[Modelled], hierarchy: Hierarchy, task: Task, workers: Workers) -> list[Modelled]:
    """Return the batches with the forecasts of parents as sums, and the means of their series adjusted.

    A parent has rows only at origins at which all series of its family have a forecast.

    Args:
        parts: Batches of the series and of the parents.
        hierarchy: The parents.
        task: The settings of every batch.
        workers: Where sums run.
    """
    chosen, curves = calibration.stacked([(part.rows.filter(pl.col("model") == CHOSEN), part.curves) for part in parts])
    families = [(*_family(chosen, below, hierarchy.paths, task), curves) for below in _families(hierarchy.below)]
    sums = reconciliation.together(families, workers)
    names = hierarchy.below["parent"].unique()
    replaced = [replace(part, rows=_replaced(part.rows, sums, names)) for part in parts]
    return [part for part in replaced if not part.rows.is_empty()]


def _families(below: pl.DataFrame) -> list[pl.DataFrame]:
    """Return ``parent, series`` of the parents that share series, directly or through others, apart from the rest."""
    parent, series = ((below[name].rank("dense") - 1).to_numpy() for name in ("parent", "series"))
    parents = int(parent.max()) + 1
    size = parents + int(series.max()) + 1
    edges = coo_array((np.ones(below.height), (parent, parents + series)), shape=(size, size))
    _, labels = connected_components(edges, directed=False)
    return below.with_columns(pl.Series("family", labels[parent])).partition_by(
        "family", maintain_order=True, include_key=False
    )


def _family(
    chosen: pl.DataFrame, below: pl.DataFrame, paths: Mapping[str, Sequence[str]], task: Task
) -> tuple[Family, list[datetime]]:
    """Return a family with the origins to sum: those at which every series has a mean for every step."""
    leaves = below["series"].unique().sort().to_list()
    names = pl.Series([*leaves, *below["parent"].unique()])
    number = dict(zip(names, lasting_ids(names), strict=True)) | {ALL: -1}
    members = area_hierarchy.levels([(ALL, *paths[leaf], leaf) for leaf in leaves], number)
    sums = below.select(
        pl.col(name).replace_strict(number, return_dtype=pl.Int64).alias(column)
        for name, column in (("series", "unique_id"), ("parent", "group"))
    )
    crossing = sums.join(reconciliation.membership(members, members.columns[1:]), on=sums.columns, how="anti")
    of_series = chosen.join(members, on="unique_id", how="semi")
    origins = of_series.group_by("cutoff").agg(pl.len().alias("targets"), pl.col("is_wanted").any())
    whole = origins.filter(pl.col("targets") == len(leaves) * task.horizon).sort("cutoff")
    both = pl.concat([sums["unique_id"], sums["group"].alias("unique_id")]).unique().to_frame()
    rows = (
        chosen.join(both, on="unique_id", how="semi", maintain_order="left")
        .join(whole, on="cutoff", how="semi", maintain_order="left")
        .with_columns(pl.col("centre").alias("mean"))
        .select(reconciliation.FORECAST_COLUMNS)
    )
    return Family(rows, [members], task.freq, crossing=crossing), whole.filter("is_wanted")["cutoff"].to_list()


def _replaced(rows: pl.DataFrame, sums: Sums, names: pl.Series) -> pl.DataFrame:
    """Return the wanted rows of a batch; parents are sums, and their own forecasts ``DIRECT``."""
    origins = sums.areas.select("unique_id", "cutoff", is_summed=True).unique()
    marked = (
        rows.filter("is_wanted")
        .with_columns(pl.col("name").is_in(names.implode()).alias("is_parent"))
        .join(origins, on=["unique_id", "cutoff"], how="left", maintain_order="left")
        .filter(~pl.col("is_parent") | pl.col("is_summed").fill_null(False))
        .drop("is_summed")
    )
    chosen, single = marked.filter(pl.col("model") == CHOSEN), marked.filter(pl.col("model") != CHOSEN)
    direct = chosen.filter("is_parent").with_columns(model=pl.lit(DIRECT))
    return pl.concat([reconciliation.added(chosen, sums).select(rows.columns), single, direct])
