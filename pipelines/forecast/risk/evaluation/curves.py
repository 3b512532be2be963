"""The whole curve of a list of cells: its hits as the covered area grows.

One list per window, the issued one, is followed from its first cell on. In `scoring` the stack is selected separately
for every area. Hit rate against share of area is the curve of Chainey, Tompson and Uhlig (2008), whose slope from the
origin is PAI; a random list is on the diagonal.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.forecast.risk.evaluation import scoring

SHARES: Final = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
"""Shares of the cells at which the curve is computed."""

STEPS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "origin_day": pl.Int64,
    "category": pl.String,
    "model": pl.String,
    "cells": pl.Int64,
    "incidents": pl.Int64,
    "hits": pl.Int64,
}
"""One row per origin, model and number of cells: incidents of the window, and how many were in the first cells."""

CURVE: Final = ("area_share", "origins", "incidents", "hits", "hit_rate", "pai", "pai_low", "pai_high")


def ladder(size: int) -> NDArray[np.int64]:
    """Return the number of cells for each of `SHARES` of ``size`` cells, without repetition, at least one."""
    return np.unique([max(int(share * size + 1e-9), 1) for share in SHARES])


def steps(
    origin: int, category: str, orders: Mapping[str, NDArray[np.int64]], outcome: NDArray[np.float64]
) -> pl.DataFrame:
    """Return one window's steps; ``orders`` has every cell by model, best first, ``outcome`` each cell's incidents."""
    cells = ladder(outcome.size)
    hits = np.concatenate([outcome[order].cumsum()[cells - 1] for order in orders.values()])
    columns = {
        "origin_day": origin,
        "category": category,
        "model": np.repeat(list(orders), cells.size),
        "cells": np.tile(cells, len(orders)),
        "incidents": int(outcome.sum()),
        "hits": hits.astype(np.int64),
    }
    return pl.DataFrame(columns, schema=STEPS)


def pooled(counted: pl.DataFrame, cell_share: float) -> pl.DataFrame:
    """Pool the windows of each category, model and number of cells.

    Args:
        counted: `STEPS`, no origin twice in a group.
        cell_share: A cell's share of the area.

    Returns:
        ``category, model, cells`` and `CURVE`; intervals as in `scoring`.
    """
    by = ["category", "model", "cells"]
    shared = counted.with_columns(pl.min_horizontal(pl.col("cells") * cell_share, 1.0).alias("area_share"))
    groups = shared.sort(*by, "origin_day").partition_by(by, maintain_order=True)
    ends = [scoring.ratio_interval(group["hits"], group["incidents"], str(group["category"][0])) for group in groups]
    low, high = (pl.Series([end[i] for end in ends], dtype=pl.Float64) for i in range(2))
    hit_rate = pl.when(pl.col("incidents") > 0).then(pl.col("hits") / pl.col("incidents"))
    return (
        shared.group_by(by)
        .agg(
            pl.col("area_share").mean(),
            pl.len().cast(pl.Int64).alias("origins"),
            pl.col("incidents", "hits").sum(),
        )
        .sort(by)
        .with_columns(
            hit_rate.alias("hit_rate"),
            (hit_rate / pl.col("area_share")).alias("pai"),
            (low / pl.col("area_share")).alias("pai_low"),
            (high / pl.col("area_share")).alias("pai_high"),
        )
        .select(*by, *CURVE)
    )
