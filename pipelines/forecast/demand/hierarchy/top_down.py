"""Upper levels inform the bottom's means where they have earned it, and never overwrite them.

The bottom means of a group are scaled by (upper mean / their sum)^weight. The weight is learnt per level and horizon
block on earlier origins by Poisson deviance. That deviance splits into the deviance of the group's total and that of
the split of the total, and scaling leaves the split alone: what the total gains is exactly what the bottom gains, and a
weight that helps above cannot harm below. A gain within twice its own error over origins gives weight 0.
"""

from datetime import datetime
from typing import Final

import polars as pl

from pipelines.forecast.demand.hierarchy.common_shocks import SERIES, tree

WEIGHTS: Final = (0.25, 0.5, 0.75, 1.0)
LEAST_ORIGINS: Final = 3
"""Fewer origins tell nothing of the gain's noise."""
SCHEMA: Final = {"level": pl.String, "block": pl.Int8, "weight": pl.Float64}
_AT: Final = ["cutoff", "ds", "block"]


def learn_weights(bottom: pl.DataFrame, upper: pl.DataFrame, members: pl.DataFrame, origin: datetime) -> pl.DataFrame:
    """Learn how far each level's own forecast moves the bottom, from outcomes before ``origin``.

    Args:
        bottom: ``unique_id, cutoff, ds, block, y, mean`` of a backtest; only groups known whole count.
        upper: ``level, group, cutoff, ds, mean``: the upper levels' own forecasts; levels not there are left out.
        members: ``unique_id`` and the levels above it, widest first.
        origin: Local wall-clock time; targets and cutoffs from it on are not looked at.

    Returns:
        ``level, block, weight``, narrowest level first, in the order in which ``informed`` applies them; only weights
        above 0.
    """
    known = bottom.filter(pl.col("ds") < origin, pl.col("cutoff") < origin)
    outcome = pl.when(pl.col("y").is_not_null().all()).then(pl.col("y").sum()).alias("y")
    learnt = [pl.DataFrame(schema=SCHEMA)]
    for level in reversed(tree(members)):
        rows = _totals(known, upper, members, level, outcome)
        found = _weights(rows).select(pl.lit(level).alias("level"), pl.col("block").cast(pl.Int8), "weight")
        learnt.append(found)
        known = informed(known, upper, members, learnt[-1])
    return pl.concat(learnt)


def informed(bottom: pl.DataFrame, upper: pl.DataFrame, members: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Scale the bottom means towards the upper levels'.

    Narrow levels come first, so that the widest area, which is known best, has the last word.

    Args:
        bottom: ``unique_id, cutoff, ds, block, mean``, more columns kept; whole groups, or their sums would be short.
        upper: ``level, group, cutoff, ds, mean``; where there is none the bottom stays as it is.
        members: As for ``learn_weights``.
        weights: As learnt.
    """
    for level in weights["level"].unique(maintain_order=True):
        factor = (
            _totals(bottom, upper, members, level)
            .join(weights.filter(pl.col("level") == level), on="block")
            .select("group", *_AT, (pl.col("ratio") ** pl.col("weight")).alias("_factor"))
        )
        groups = members.select(SERIES, pl.col(level).alias("group"))
        bottom = (
            bottom.join(groups, on=SERIES, how="left", maintain_order="left")
            .join(factor, on=["group", *_AT], how="left", maintain_order="left")
            .with_columns(pl.col("mean") * pl.col("_factor").fill_null(1.0))
            .drop("group", "_factor")
        )
    return bottom


def _totals(
    bottom: pl.DataFrame, upper: pl.DataFrame, members: pl.DataFrame, level: str, *more: pl.Expr
) -> pl.DataFrame:
    """``group, cutoff, ds, block, total`` (of the bottom means)``, ratio`` (upper mean / total) and ``more`` sums."""
    own = upper.filter(pl.col("level") == level).select("group", "cutoff", "ds", pl.col("mean").alias("said"))
    return (
        bottom.join(members.select(SERIES, pl.col(level).alias("group")), on=SERIES, maintain_order="left")
        # In order, so that the sums come out the same to the last digit on any number of threads.
        .group_by("group", *_AT, maintain_order=True)
        .agg(pl.col("mean").sum().alias("total"), *more)
        .join(own, on=["group", "cutoff", "ds"], how="inner", maintain_order="left")
        .filter(pl.col("total") > 0, pl.col("said") > 0)
        .with_columns((pl.col("said") / pl.col("total")).alias("ratio"))
    )


def _weights(rows: pl.DataFrame) -> pl.DataFrame:
    """``block, weight``: the best weight of each block, if its mean gain over origins exceeds twice its error."""
    gain = [
        (pl.col("y") * weight * pl.col("ratio").log() - pl.col("total") * (pl.col("ratio") ** weight - 1))
        .sum()
        .alias(f"{weight}")
        for weight in WEIGHTS
    ]
    known = rows.drop_nulls("y")
    # An outcome that several origins forecast tells but once.
    seen = known.group_by("block", maintain_order=True).agg(
        (pl.len() / pl.struct("group", "ds").n_unique()).sqrt().alias("overlap")
    )
    return (
        known.group_by("block", "cutoff", maintain_order=True)
        .agg(gain)
        .unpivot(index=["block", "cutoff"], variable_name="weight", value_name="gain")
        .group_by("block", "weight", maintain_order=True)
        .agg(
            pl.col("gain").mean().alias("mean"),
            (pl.col("gain").std() / pl.len().sqrt()).alias("error"),
            pl.len().alias("origins"),
        )
        .join(seen, on="block", maintain_order="left")
        .filter(pl.col("origins") >= LEAST_ORIGINS, pl.col("mean") > 2 * pl.col("error") * pl.col("overlap"))
        .sort("block", "mean", descending=[False, True])
        .group_by("block", maintain_order=True)
        .agg(pl.col("weight").first().cast(pl.Float64))
    )
