"""Top-down adjustment: upper levels adjust the bottom means where past accuracy supports it, and never replace them.

The bottom means of a group are scaled by (upper mean / their sum)^weight. The weight is estimated per level and horizon
block on earlier origins by Poisson deviance. That deviance splits into the deviance of the group's total and that of
the split of the total, and scaling does not change the split: the gain of the total is exactly the gain of the bottom,
and a weight that helps above cannot harm below. A gain within twice its own error over origins gives weight 0.
"""

from datetime import datetime
from typing import Final

import polars as pl

from pipelines.forecast.demand.hierarchy.common_shocks import SERIES, tree

WEIGHTS: Final = (0.25, 0.5, 0.75, 1.0)
LEAST_ORIGINS: Final = 3
"""With fewer origins the noise of the gain cannot be estimated."""
SCHEMA: Final = {"level": pl.String, "block": pl.Int8, "weight": pl.Float64}
_AT: Final = ["cutoff", "ds", "block"]


def learn_weights(bottom: pl.DataFrame, upper: pl.DataFrame, members: pl.DataFrame, origin: datetime) -> pl.DataFrame:
    """Estimate how far each level's own forecast adjusts the bottom, from outcomes before ``origin``.

    Args:
        bottom: ``unique_id, cutoff, ds, block, y, mean`` of a backtest; only completely known groups count.
        upper: ``level, group, cutoff, ds, mean``: the upper levels' own forecasts; missing levels are skipped.
        members: ``unique_id`` and the levels above it, widest first.
        origin: Local time; targets and cutoffs from it on are ignored.

    Returns:
        ``level, block, weight``, narrowest level first, in the order in which ``informed`` applies them; only weights
        above 0.
    """
    known = bottom.filter(pl.col("ds") < origin, pl.col("cutoff") < origin)
    outcome = pl.when(pl.col("y").is_not_null().all()).then(pl.col("y").sum()).alias("y")
    learnt = [pl.DataFrame(schema=SCHEMA)]
    for level in reversed(tree(members)):
        rows = _totals(known, upper, members, level, outcome)
        counted = _weights(rows).select(pl.lit(level).alias("level"), pl.col("block").cast(pl.Int8), "weight")
        learnt.append(counted)
        known = informed(known, upper, members, learnt[-1])
    return pl.concat(learnt)


def informed(bottom: pl.DataFrame, upper: pl.DataFrame, members: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Scale the bottom means towards the upper levels'.

    Narrow levels come first, so that the widest area, which is known best, is applied last.

    Args:
        bottom: ``unique_id, cutoff, ds, block, mean``, more columns kept; whole groups, otherwise sums would be
            incomplete.
        upper: ``level, group, cutoff, ds, mean``; without any the bottom is unchanged.
        members: As for ``learn_weights``.
        weights: As from ``learn_weights``.
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
    """Return ``group, cutoff, ds, block, total`` (of the bottom means), ``ratio`` (upper mean / total) and ``more``
    sums.
    """
    own_mean = upper.filter(pl.col("level") == level).select(
        "group", "cutoff", "ds", pl.col("mean").alias("upper_mean")
    )
    return (
        bottom.join(members.select(SERIES, pl.col(level).alias("group")), on=SERIES, maintain_order="left")
        # Sorted, so that the sums are identical to the last digit on any number of threads.
        .group_by("group", *_AT, maintain_order=True)
        .agg(pl.col("mean").sum().alias("total"), *more)
        .join(own_mean, on=["group", "cutoff", "ds"], how="inner", maintain_order="left")
        .filter(pl.col("total") > 0, pl.col("upper_mean") > 0)
        .with_columns((pl.col("upper_mean") / pl.col("total")).alias("ratio"))
    )


def _weights(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the best weight of each block: ``block, weight``.

    A block has one only if its mean gain over origins exceeds twice its standard error.
    """
    gain = [
        (pl.col("y") * weight * pl.col("ratio").log() - pl.col("total") * (pl.col("ratio") ** weight - 1))
        .sum()
        .alias(f"{weight}")
        for weight in WEIGHTS
    ]
    known = rows.drop_nulls("y")
    # An outcome forecast by several origins counts once.
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
