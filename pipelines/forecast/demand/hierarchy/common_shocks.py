"""Common shocks: how far the calls of one area and one day vary together, estimated from the errors of a backtest.

Calls are counts around ``mean × shock × shock × …``; every shock has mean 1 and belongs to a group of series (a level
of one nested hierarchy: nation, region, area, the series itself) and to a span of time (the whole forecast, a week, a
day, one step). Variances are moments of residuals r = y - mean: over pairs of targets that share a level, a span and
nothing finer, sum(r·r') / sum(mean·mean') is the sum of the variances that both share. No target is paired with itself,
so the noise of single counts, however sparse, adds nothing (variance components by pairs: Searle, Casella and McCulloch
1992). Shocks are lognormal: their log variances add, and non-negative least squares assigns each its part.

Series of one area may also substitute for each other (a call is recorded as one category or another; units are
limited): then pairs inside an area vary together less than pairs of different areas, which no common shock can cause.
The substituted share of their own shocks is estimated as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from pipelines.config.seeds import seed

SPANS: Final = ("issue", "week", "day", "step")
"""Widest first: all targets of one forecast, each seven days from its cutoff, each local day, each hour or day."""
SERIES: Final = "unique_id"
"""The finest level: the series itself."""
SCHEMA: Final = {"level": pl.String, "span": pl.String, "variance": pl.Float64}

Floats = NDArray[np.float64]
Draws = NDArray[np.float32]


class TreeError(ValueError):
    """Report that the groups of the series do not form one nested hierarchy."""


@dataclass(frozen=True, slots=True)
class Shocks:
    """The shocks common to several series.

    ``variances``: ``level, span, variance`` of the multiplicative shocks (0.0025 is 5 % up or down), without zeros.
    ``substitution``: the share, 0 to 1, of a series' own shocks offset by the other series of its finest group.
    """

    variances: pl.DataFrame
    substitution: float = 0.0

    @property
    def log_variance(self) -> float:
        """Return the variance of the logarithm of all shocks together."""
        return float(np.log1p(self.variances["variance"].to_numpy()).sum())


INDEPENDENT: Final = Shocks(pl.DataFrame(schema=SCHEMA))


def learn(residuals: pl.DataFrame, members: pl.DataFrame, origin: datetime) -> Shocks:
    """Estimate the shocks from outcomes before ``origin``; without any, series are independent.

    Args:
        residuals: ``unique_id, cutoff, ds, y, mean`` of a backtest, all of one kind (such as a service).
        members: ``unique_id`` and one column per level above it, widest first, each nested in the one before.
        origin: Local time; targets and cutoffs from it on are ignored.

    Raises:
        TreeError: A group is in two wider ones.
    """
    levels = [*tree(members), SERIES]
    known = residuals.filter(pl.col("ds") < origin, pl.col("cutoff") < origin, pl.col("mean") > 0).drop_nulls("y")
    if known.is_empty():
        return INDEPENDENT
    miss = pl.col("y") - pl.col("mean")
    alpha = known.select(((miss**2 - pl.col("mean")).sum() / (pl.col("mean") ** 2).sum()).clip(0.0).round(6)).item()
    rows = (
        known.select(
            SERIES, "cutoff", "ds", miss.alias("miss"), "mean",
            (pl.col("mean") + alpha * pl.col("mean") ** 2).alias("spread"),
        )
        .join(members, on=SERIES, how="inner", maintain_order="left")
        .with_columns(blocks())
    )  # fmt: skip
    squares = _squares(rows, levels)
    every = _log_variances(squares, range(len(levels)))
    if len(levels) == 1:
        return Shocks(_named(every, levels))
    # Pairs inside an area would lower the wider shocks if the area's series substitute for each other.
    finest = len(levels) - 2
    wider = _log_variances(squares, [i for i in range(len(levels)) if i != finest])
    share = _substitution(squares[finest:, -1], float(np.expm1(wider[:finest].sum())), float(known["mean"].sum()))
    return Shocks(_named(wider if share else every, levels), share)


def tree(members: pl.DataFrame) -> list[str]:
    """Return the levels above the series, widest first.

    Raises:
        TreeError: A series is repeated, or a group is in two wider ones.
    """
    levels = [name for name in members.columns if name != SERIES]
    if members[SERIES].is_duplicated().any():
        raise TreeError("a unique_id is repeated in the members")
    for wide, fine in pairwise([*levels, SERIES]):
        torn = members.select(wide, fine).unique().filter(pl.col(fine).is_duplicated())
        if torn.height:
            raise TreeError(f"{fine} {torn[fine].min()!r} is in more than one {wide}; shocks need one nested hierarchy")
    return levels


def blocks() -> list[pl.Expr]:
    """Return the block of each span of a target (``cutoff, ds``), as integers in columns named by span."""
    age = (pl.col("ds") - pl.col("cutoff")).dt.total_days()
    return [
        pl.lit(0, pl.Int64).alias("issue"),
        (age // 7).alias("week"),
        pl.col("ds").dt.epoch("d").cast(pl.Int64).alias("day"),
        pl.col("ds").dt.epoch("s").cast(pl.Int64).alias("step"),
    ]


def _squares(rows: pl.DataFrame, levels: list[str]) -> Floats:
    """Return sums over groups and blocks of (sum error)², (sum mean)² and (sum spread)²: levels × spans × 3."""
    sums = ["miss", "mean", "spread"]
    totals = np.zeros((len(levels), len(SPANS), 3))
    steps = rows
    for i in reversed(range(len(levels))):
        # Sorted, so that the sums are identical to the last digit on any number of threads.
        keep = [*levels[: i + 1], "cutoff", *SPANS]
        steps = steps.group_by(keep, maintain_order=True).agg(pl.col(sums).sum())
        part = steps
        for j in reversed(range(len(SPANS))):
            part = part.group_by([levels[i], "cutoff", *SPANS[: j + 1]], maintain_order=True).agg(pl.col(sums).sum())
            totals[i, j] = part.select((pl.col(sums) ** 2).sum()).row(0)
    return totals


def _log_variances(squares: Floats, used: Sequence[int]) -> Floats:
    """Return the log variance of every level × span, from the pairs at the levels ``used``; 0 at the others."""
    wide = np.pad(squares, ((0, 1), (0, 1), (0, 0)))
    # Pairs that share something finer are counted there.
    miss, mean, spread = np.moveaxis(wide[:-1, :-1] - wide[1:, :-1] - wide[:-1, 1:] + wide[1:, 1:], 2, 0)
    has_pairs = mean > 1e-9 * squares[..., 1]
    # A target paired with itself: its unshared variation is its own dispersion, not a shock.
    has_pairs[-1, -1] = False
    has_pairs &= np.isin(np.arange(len(squares)), used)[:, None]
    at = np.argwhere(has_pairs)
    shared = np.log1p(np.maximum(miss[has_pairs] / mean[has_pairs], -0.5))
    holds = (at[:, None, :] >= at[None, :, :]).all(axis=2).astype(float)
    weight = mean[has_pairs] / np.sqrt(np.maximum(spread[has_pairs], 1e-12))
    totals = np.zeros(mean.shape)
    if len(at):
        from scipy.optimize import nnls

        totals[has_pairs], _ = nnls(holds * weight[:, None], shared * weight)
    return totals


def _named(log_variances: Floats, levels: list[str]) -> pl.DataFrame:
    cells = [
        (level, span, round(float(np.expm1(log_variances[i, j])), 9))
        for i, level in enumerate(levels)
        for j, span in enumerate(SPANS)
    ]
    return pl.DataFrame(cells, schema=SCHEMA, orient="row").filter(pl.col("variance") > 0)


def _substitution(squares: Floats, wider: float, calls: float) -> float:
    """Return how far series of a group offset each other's own shocks.

    If each series' own shock is reduced by ``share`` of the group's mean shock, the own part of the group's variance is
    (1 - share)² of its full value. A shortfall within twice its sampling error counts as zero.

    Args:
        squares: For the finest group and for the series, step by step: (sum error)², (sum mean)², (sum spread)².
        wider: Variance common to series of one group through wider levels.
        calls: Sum of all means, which is the noise of Poisson counts.
    """
    pairs, (own_miss, own_mean, _) = squares[0] - squares[1], squares[1]
    short = wider * pairs[1] - pairs[0]
    own_part = own_miss - calls - wider * own_mean
    if own_part <= 0 or short <= 2 * np.sqrt(2 * max(pairs[2], 0.0)):
        return 0.0
    return round(1.0 - float(np.sqrt(max(1.0 - short / own_part, 0.0))), 6)


def generator(*words: object) -> np.random.Generator:
    """Return a generator determined by the words, as `seeds.generator` does, but faster: paths are many draws."""
    return np.random.Generator(np.random.SFC64(seed(*words)))


def draw(variances: pl.DataFrame, level: str, group: object, calendar: pl.DataFrame, paths: int) -> Draws:
    """Return the sum of the log shocks of one group, without their means: one row per step, one column per path.

    Every block has its own seed, made of level, group, span, block and cutoff: neither other groups nor a longer
    horizon change it. Normals are stratified, so that few paths already have the spread of the shocks.

    Args:
        variances: Those of ``Shocks``.
        level: Level of the group.
        group: The group's name.
        calendar: ``cutoff``, a single one, and the columns of ``blocks``, one row per step.
        paths: Number of paths.
    """
    total = np.zeros((calendar.height, paths), np.float32)
    cutoff = calendar["cutoff"][0]
    parts = zip(*(variances.get_column(name).to_list() for name in SCHEMA), strict=True)
    for span, variance in [part[1:] for part in parts if part[0] == level]:
        names, place = np.unique(calendar[span].to_numpy(), return_inverse=True)
        normals = np.stack([_normals(paths, level, group, span, name, cutoff) for name in names.tolist()])
        total += (normals * np.float32(np.sqrt(np.log1p(variance))))[place]
    return total


def _normals(paths: int, *words: object) -> Draws:
    rng = generator("demand shock", *words)
    strata = (rng.permutation(paths) + rng.random(paths)) / paths
    normals: Draws = ndtri(np.clip(strata, 1e-9, 1 - 1e-9)).astype(np.float32)
    return normals
