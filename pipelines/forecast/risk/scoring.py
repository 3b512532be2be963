"""Scores of place-based risk at a fixed area: hits, hit rate, prediction accuracy index.

PAI = (n / N) / (a / A): the share of crime caught over the share of the area taken (Chainey et al. 2008). One window
ranks no methods: its PAI moves by a quarter of itself from month to month. Pool windows; these do.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

SCORES: Final = ("area_share", "incidents", "hits", "hit_rate", "pai")


def score(windows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Pool windows.

    Args:
        windows: ``area_share, incidents, hits`` of each window, and the ``by`` columns.
        by: Columns of the answer's grain.

    Returns:
        ``by`` and ``SCORES``; without any incident, hit rate and PAI are null.
    """
    total, hits = pl.col("incidents"), pl.col("hits")
    share = pl.when(total > 0).then(hits / total)
    return (
        windows.group_by(by, maintain_order=True)
        .agg(pl.col("area_share").mean(), total.sum().cast(pl.Int64), hits.sum().cast(pl.Int64))
        .with_columns(share.alias("hit_rate"))
        .with_columns(pl.when(pl.col("area_share") > 0).then(pl.col("hit_rate") / pl.col("area_share")).alias("pai"))
        .select(*by, *SCORES)
        .sort(by)
    )
