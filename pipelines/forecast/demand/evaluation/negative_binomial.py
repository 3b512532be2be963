"""Integer, non-negative quantiles of counts: a negative binomial around a forecast mean.

The variance is ``mean + dispersion · mean²`` (NB2; dispersion 0 is Poisson). The dispersion is estimated from the
errors of the mean in a backtest, never from in-sample residuals, which are too small: so it includes the error of the
mean too.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.special import pdtr

LEVELS: Final = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)
COLUMNS: Final = tuple(f"q{level:g}" for level in LEVELS)
"""Names of the quantile columns, in the order of ``LEVELS``."""

POISSON: Final = 1e-6
"""Dispersions below this are Poisson: the negative binomial loses precision there."""

MANY: Final = 30.0
"""Means from here on are inverted directly; counting up would take too many steps."""

Floats = NDArray[np.float64]


def cumulative(count: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> Floats:
    """Return P(demand <= count), element by element. A count below zero has probability 0."""
    from scipy.stats import nbinom

    counts, means, spread = np.broadcast_arrays(
        np.asarray(count, float), np.asarray(mean, float), np.asarray(dispersion, float)
    )
    size = 1.0 / np.maximum(spread, POISSON)
    negative_binomial = nbinom.cdf(counts, size, size / (size + means))
    poisson = pdtr(np.maximum(counts, 0.0), means)
    result = np.where(spread < POISSON, poisson, negative_binomial)
    return np.where(counts < 0, 0.0, np.where(means <= 0, 1.0, result))


def quantiles(mean: ArrayLike, dispersion: ArrayLike, levels: ArrayLike = LEVELS) -> Floats:
    """Return the smallest counts whose cumulative probability reaches each level.

    Args:
        mean: One per row.
        dispersion: One per row, or one for all.
        levels: Shared by all rows (one dimension), or a row of levels for each mean (two dimensions).

    Returns:
        One row per mean, one column per level.
    """
    means, spread = np.broadcast_arrays(np.asarray(mean, float), np.asarray(dispersion, float))
    wanted_levels = np.asarray(levels, float)
    wanted = np.broadcast_to(wanted_levels, (means.size, wanted_levels.shape[-1]))
    counted = np.zeros(wanted.shape)
    small = means < MANY
    counted[small] = _counted_up(means[small], spread[small], wanted[small])
    if not small.all():
        from scipy.stats import nbinom

        size = 1.0 / np.maximum(spread[~small], POISSON)
        counted[~small] = nbinom.ppf(wanted[~small], size[:, None], (size / (size + means[~small]))[:, None])
    return counted


def _counted_up(means: Floats, spread: Floats, levels: Floats) -> Floats:
    """Return quantiles of small means, counting up from zero for all rows at once: ten times faster than inverting."""
    counted = np.zeros(levels.shape)
    rows = np.arange(means.size)
    mass, ratio, alpha = first_masses(means, spread)
    total, wanted = mass.copy(), levels - 1e-12
    count = 0
    while True:
        below = total[:, None] < wanted
        open_rows = below.any(axis=1)
        if not open_rows.any():
            return counted
        below, wanted, rows = below[open_rows], wanted[open_rows], rows[open_rows]
        mass, total, ratio, alpha = mass[open_rows], total[open_rows], ratio[open_rows], alpha[open_rows]
        counted[rows] += below
        count += 1
        mass = mass * ratio * (1 + alpha * (count - 1)) / count
        total = total + mass


def first_masses(means: Floats, spread: Floats) -> tuple[Floats, Floats, Floats]:
    """Return P(demand = 0), ratio and alpha: each next count has ratio · (1 + alpha · (count - 1)) / count of the
    last.
    """
    alpha = np.where(spread < POISSON, 0.0, spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        none = np.where(alpha == 0, np.exp(-means), np.exp(-np.log1p(alpha * means) / alpha))
    return none, means / (1 + alpha * means), alpha


def with_quantiles(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Add ``q0.05`` … ``q0.99`` to a frame with ``centre`` (the mean of the distribution) and ``dispersion``."""
    values = quantiles(forecasts["centre"].to_numpy(), forecasts["dispersion"].to_numpy())
    return forecasts.with_columns(pl.Series(name, values[:, i]) for i, name in enumerate(COLUMNS))


def moments(residuals: pl.DataFrame, by: Sequence[str], *more: pl.Expr) -> pl.DataFrame:
    """Return the input of ``dispersions`` from backtest ``y`` and ``mean``: sums over each ``by`` group, and
    ``more``.
    """
    mean = pl.col("mean")
    # Sorted, so that the sums are identical to the last digit on any number of threads.
    return residuals.group_by(by, maintain_order=True).agg(
        ((pl.col("y") - mean) ** 2 - mean).sum().alias("excess"),
        *[(mean**power).sum().alias(f"mean_{power}") for power in range(1, 5)],
        *more,
    )


def dispersions(counted: pl.DataFrame, by: Sequence[str], pool: Sequence[str]) -> pl.DataFrame:
    """Estimate a dispersion per ``by`` group from the moments of a backtest, shrunk towards the wider ``pool`` group.

    The moment estimate sum((y - mean)² - mean) / sum(factor · mean²) of a sparse series is mostly noise: a group is
    weighted by its information, the pool like one group whose standard error equals the pool's own dispersion. Never
    negative.

    Args:
        found: ``moments`` of groups no wider than ``by``; ``factor``, if present, is the ratio of a row's dispersion to
            that of its group (by its horizon, for example).
        by: Columns of a group; they include ``pool``.
        pool: Columns of the wider group to shrink towards; none: everything.

    Returns:
        The ``by`` columns, ``dispersion`` and ``information``: the information of the group itself, as one over the
        variance of its estimate.
    """
    factor = pl.col("factor") if "factor" in counted.columns else pl.lit(1.0)
    excess, squares = pl.col("excess").sum(), (factor * pl.col("mean_2")).sum()
    wide = counted.with_columns(pl.lit(1).alias("_all"))
    keys = [*pool, "_all"]
    ratio = pl.when(squares > 0).then(excess / squares).otherwise(0.0)
    pooled = wide.group_by(keys, maintain_order=True).agg(ratio.clip(0.0).alias("_pooled"))
    alpha = pl.col("_pooled")
    spread = alpha * factor
    # The variance of (y - mean)² of a negative binomial, its fourth central moment minus its variance squared, is
    # v + (2 + 6 spread) v² with v = mean + spread mean².
    squared = pl.col("mean_2") + 2 * spread * pl.col("mean_3") + spread**2 * pl.col("mean_4")
    noise = (pl.col("mean_1") + spread * pl.col("mean_2") + (2 + 6 * spread) * squared).sum()
    some = pl.col("_squares") > 0
    weight = pl.when(some).then(pl.col("_squares") ** 2 / pl.col("_noise")).otherwise(0.0)
    estimate = pl.when(some).then(pl.col("_excess") / pl.col("_squares")).otherwise(0.0)
    prior = 1.0 / pl.max_horizontal(alpha, pl.lit(1e-3)) ** 2
    return (
        wide.join(pooled, on=keys, how="left", maintain_order="left")
        .group_by([*by, "_all"], maintain_order=True)
        .agg(excess.alias("_excess"), squares.alias("_squares"), noise.alias("_noise"), alpha.first())
        .with_columns(
            ((estimate * weight + alpha * prior) / (weight + prior)).clip(0.0).alias("dispersion"),
            weight.alias("information"),
        )
        .select(*by, "dispersion", "information")
    )
