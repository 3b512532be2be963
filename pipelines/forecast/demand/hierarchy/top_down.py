"""Top-down adjustment: each upper level's own forecast scales the bottom means under it.

The bottom means of a group are multiplied by (upper mean / their sum)^weight. The Poisson deviance of the bottom is
that of the group's total plus that of the split of the total, and scaling does not change the split: what the total
gains, the bottom gains, so a weight that helps above cannot harm below. A large area's own forecast sees trends and
seasons that its sparse parts hide; so the weight starts high, and follows the deviance of both at earlier origins
(weights of experts by past loss, as in `model_weights`).
"""

import math
from datetime import datetime
from typing import Final

import polars as pl

from pipelines.forecast.demand.hierarchy.common_shocks import SERIES, tree

PRIOR: Final = 0.85
"""Weight of an upper level's own forecast before any origin; its bottom's sum has the rest."""
RATE: Final = 2.0
"""How fast the weight follows losses: an origin at which the upper forecast has 10 % more makes its odds 20 % lower."""
ADDED_DEVIANCE: Final = 0.5
"""Deviance added for every outcome, so that exact forecasts of few calls are hardly any evidence."""
MOST_EVIDENCE: Final = 50.0
"""Log of the odds against the upper forecast from which they are the same."""
SCHEMA: Final = {"level": pl.String, "weight": pl.Float64}
_AT: Final = ["cutoff", "ds"]


def learn_weights(bottom: pl.DataFrame, upper: pl.DataFrame, members: pl.DataFrame, origin: datetime) -> pl.DataFrame:
    """Estimate how far each level's own forecast adjusts the bottom, from outcomes before ``origin``.

    Args:
        bottom: ``unique_id, cutoff, ds, y, mean`` of a backtest; only completely known groups count.
        upper: ``level, group, cutoff, ds, mean``: the upper levels' own forecasts; missing levels are skipped.
        members: ``unique_id`` and the levels above it, widest first.
        origin: Local time; targets and cutoffs from it on are ignored.

    Returns:
        ``level, weight`` (0 to 1), narrowest level first, in the order in which ``informed`` applies them.
    """
    known = bottom.filter(pl.col("ds") < origin, pl.col("cutoff") < origin)
    outcome = pl.when(pl.col("y").is_not_null().all()).then(pl.col("y").sum()).alias("y")
    available, learnt = upper["level"].unique().to_list(), pl.DataFrame(schema=SCHEMA)
    for level in [name for name in reversed(tree(members)) if name in available]:
        weight = _weight(_totals(known, upper, members, level, outcome).drop_nulls("y"))
        single = pl.DataFrame([(level, weight)], schema=SCHEMA, orient="row")
        learnt, known = pl.concat([learnt, single]), informed(known, upper, members, single)
    return learnt


def informed(bottom: pl.DataFrame, upper: pl.DataFrame, members: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Scale the bottom means towards the upper levels'.

    Narrow levels come first, so that the widest area, which is known best, is applied last.

    Args:
        bottom: ``unique_id, cutoff, ds, mean``, more columns kept; whole groups, otherwise sums would be incomplete.
        upper: ``level, group, cutoff, ds, mean``; without any the bottom is unchanged.
        members: As for ``learn_weights``.
        weights: As from ``learn_weights``.
    """
    for level, weight in weights.iter_rows():
        factor = _totals(bottom, upper, members, level).select("group", *_AT, (_ratio() ** weight).alias("_factor"))
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
    """Return ``group, cutoff, ds, total`` (of the bottom means), ``upper_mean`` and ``more`` sums."""
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
    )


def _ratio() -> pl.Expr:
    return pl.col("upper_mean") / pl.col("total")


def _weight(known: pl.DataFrame) -> float:
    """Return the weight of the upper forecast from ``cutoff, y, total, upper_mean`` of earlier origins."""
    losses = known.group_by("cutoff", maintain_order=True).agg(
        (_deviance(name).sum() + ADDED_DEVIANCE * pl.len()).alias(name) for name in ("upper_mean", "total")
    )
    # No origin: no evidence.
    evidence = RATE * float((losses["upper_mean"] / losses["total"]).log().sum())
    return 1 / (1 + (1 - PRIOR) / PRIOR * math.exp(min(evidence, MOST_EVIDENCE)))


def _deviance(mean: str) -> pl.Expr:
    """Return half the Poisson deviance of ``y`` from a mean."""
    y = pl.col("y")
    return pl.when(y > 0).then(y * (y / pl.col(mean)).log()).otherwise(0.0) - y + pl.col(mean)
