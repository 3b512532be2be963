"""Joint sample paths: whole, never negative, coherent over areas and time, with each series' calibrated marginals.

Each bottom series and step has a negative binomial of its own. Draws under shared shocks (``shocks``) say which paths
are high where, and in that order each step's paths take the values of its own distribution (the Schaake shuffle, Clark
et al. 2004): the marginals stay as calibrated, one value to each 1/paths of probability, the dependence is the shocks'.
Every area and period is a sum over the same paths, so sums are exact on each of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri
from scipy.stats import nbinom

from pipelines.forecast.demand import shocks
from pipelines.forecast.demand.quantiles import LEVELS, POISSON
from pipelines.forecast.demand.shocks import SERIES, Draws, Floats

PATHS: Final = 500
SMOOTH: Final = 12.0
"""Expected counts from here on are ordered by a normal approximation; only the order of the draws is used."""

Counts = NDArray[np.int32]


class PathsError(ValueError):
    """The marginals do not make one grid of series and steps."""


@dataclass(frozen=True, slots=True)
class Paths:
    """``values[i, t, s]``: calls of ``ids[i]`` in the step that begins at ``starts[t]`` on path ``s``."""

    ids: pl.Series
    starts: pl.Series
    values: Counts


@dataclass(frozen=True, slots=True)
class _Marginal:
    """One series: mean and dispersion per step, and the map of levels where it has one (steps × ``LEVELS``)."""

    name: object
    mean: Floats
    dispersion: Floats
    adjusted: Floats | None


def draw(marginals: pl.DataFrame, members: pl.DataFrame, variances: pl.DataFrame, paths: int = PATHS) -> Paths:
    """Draw joint sample paths of bottom series from one cutoff.

    The draws of a series depend on its ``unique_id``, its groups' names and the cutoff alone: call with fewer series or
    fewer steps at a time, and each gets the same paths. So ``unique_id`` must be a lasting name, not a row number.

    Args:
        marginals: ``unique_id, cutoff, ds, mean, dispersion``: every series has every step, one cutoff. A list column
            ``adjusted`` (optional) bends the distributions: for each of ``quantiles.LEVELS`` the level at which the
            negative binomial gives the calibrated quantile.
        members: ``unique_id`` and the levels above it, widest first, as for ``shocks.learn``.
        variances: ``level, span, variance`` as learnt; no row: series and steps are independent.
        paths: Number of paths; 100 or a multiple lets each published level fall between two strata.

    Returns:
        Series in order of ``unique_id``, steps in order of ``ds``. 4 bytes per series, step and path.

    Raises:
        PathsError: a step, a mean or a group is missing, or there is more than one cutoff.
        TreeError: the levels are not nested.
    """
    grid = marginals.sort(SERIES, "ds")
    calendar = _calendar(grid, members)
    ids = grid[SERIES].unique(maintain_order=True)
    levels = shocks.tree(members)
    rows = ids.to_frame().with_row_index("row").join(members, on=SERIES, how="left", maintain_order="left")
    values = np.empty((len(ids), calendar.height, paths), np.int32)
    each = _marginals(grid, calendar.height)
    none = np.zeros((calendar.height, paths), np.float32)
    log_variance = shocks.log_variance(variances)
    for row, shock in _descend(rows, [*levels, SERIES], variances, calendar, none):
        values[row] = _series_paths(each[row], calendar["cutoff"][0], shock, log_variance)
    return Paths(ids, calendar["ds"], values)


def _calendar(grid: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """``cutoff, ds`` and the blocks of every step, or say why the grid is none."""
    steps = grid.select("cutoff", "ds").unique().sort("ds")
    if steps["cutoff"].n_unique() != 1:
        raise PathsError("paths are drawn from one cutoff at a time")
    count = grid[SERIES].n_unique()
    if grid.height != count * steps.height or grid.select(SERIES, "ds").is_duplicated().any():
        raise PathsError("every series needs one row for every step")
    if grid.select("mean", "dispersion").null_count().sum_horizontal().item():
        raise PathsError("a mean or dispersion is missing: choose a model that has one, or leave the series out")
    if grid.join(members, on=SERIES, how="anti").height:
        raise PathsError("a series is not among the members: name its groups")
    return steps.with_columns(shocks.blocks())


def _marginals(grid: pl.DataFrame, steps: int) -> list[_Marginal]:
    mean = grid["mean"].cast(pl.Float64).to_numpy().reshape(-1, steps)
    dispersion = grid["dispersion"].cast(pl.Float64).to_numpy().reshape(-1, steps)
    names = grid[SERIES].unique(maintain_order=True).to_list()
    if "adjusted" not in grid.columns:
        return [_Marginal(name, mean[i], dispersion[i], None) for i, name in enumerate(names)]
    bent = np.asarray(grid["adjusted"].list.to_array(len(LEVELS)).to_numpy(), float).reshape(len(names), steps, -1)
    return [_Marginal(name, mean[i], dispersion[i], bent[i]) for i, name in enumerate(names)]


def _descend(
    rows: pl.DataFrame, levels: Sequence[str], variances: pl.DataFrame, calendar: pl.DataFrame, above: Draws
) -> Iterator[tuple[int, Draws]]:
    """Walk down the tree: each series' row and the sum of the log shocks of all its groups and of itself."""
    level, below = levels[0], levels[1:]
    for (group,), part in rows.group_by(level, maintain_order=True):
        total = above + shocks.draw(variances, level, group, calendar, above.shape[1])
        if below:
            yield from _descend(part, below, variances, calendar, total)
        else:
            yield part["row"].item(), total


def _series_paths(marginal: _Marginal, cutoff: object, shock: Draws, log_variance: float) -> Counts:
    """Paths of one series: its own values, in the order in which draws under the shocks come."""
    steps, paths = shock.shape
    # What dispersion the shocks do not explain is each step's own.
    own = np.maximum(np.log1p(marginal.dispersion) - log_variance, 0.0)
    expected = shocks.generator("demand own", marginal.name, cutoff).standard_normal((steps, paths), dtype=np.float32)
    expected *= np.sqrt(own).astype(np.float32)[:, None]
    expected += shock
    expected -= (0.5 * (own + log_variance)).astype(np.float32)[:, None]
    np.exp(expected, out=expected)
    expected *= marginal.mean.astype(np.float32)[:, None]
    chance = shocks.generator("demand count", marginal.name, cutoff).random((steps, paths), dtype=np.float32)
    offset = shocks.generator("demand stratum", marginal.name, cutoff).random((steps, 1))
    place = _order(_scores(expected, chance)) + (np.arange(steps) * paths)[:, None]
    values = np.empty(steps * paths, np.int32)
    values[place.ravel()] = _sorted_values(marginal, offset, paths).ravel()
    return values.reshape(steps, paths)


def _scores(expected: Draws, chance: Draws) -> Draws:
    """What Poisson counts at ``chance`` would be, with ties broken: never negative, and only their order counts."""
    scores = np.empty_like(expected)
    many = expected >= SMOOTH
    few = ~many
    # The low digits of a chance say nothing of its count.
    ties = np.modf(chance[few] * np.float32(4097))[0]
    scores[few] = _counted(expected[few], chance[few]) + ties
    if many.any():
        large = expected[many]
        normal = ndtri(np.clip(chance[many], np.float32(1e-6), np.float32(1 - 1e-6)))
        scores[many] = np.maximum(large + np.sqrt(large) * normal, 0.0)
    return scores


def _counted(expected: Draws, chance: Draws) -> Draws:
    """Poisson quantiles, counting up for all at once."""
    level = np.minimum(chance, np.float32(1 - 1e-6))
    mass = np.exp(-expected)
    total, found, count = mass.copy(), np.zeros_like(expected), 0
    while (above := level > total).any() and count < 100:
        count += 1
        found += above
        mass *= expected
        mass *= np.float32(1 / count)
        total += mass
    return found


def _order(scores: Draws) -> NDArray[np.int64]:
    """Indices that sort each row. The index rides in a number's last bits: five times as fast as ``argsort``."""
    paths = scores.shape[1]
    last = np.uint32((1 << (paths - 1).bit_length()) - 1)
    keys = (scores.view(np.uint32) & ~last) | np.arange(paths, dtype=np.uint32)
    keys.sort(axis=1)
    return (keys & last).astype(np.int64)


def _sorted_values(marginal: _Marginal, offset: Floats, paths: int) -> Counts:
    """Ascending counts, one from each of ``paths`` equal parts of probability, ``offset`` (steps × 1) into it."""
    size = 1.0 / np.maximum(marginal.dispersion, POISSON)[:, None]
    mean = np.maximum(marginal.mean, 1e-12)[:, None]
    chance = size / (size + mean)
    low, high = nbinom.ppf([1e-9, 1 - 1e-7], size, chance).T
    counts = np.arange(int(low.min()), int(high.max()) + 1)
    mass = gammaln(counts + size) - gammaln(size) - gammaln(counts + 1.0)
    mass += size * np.log(chance) + counts * np.log(mean / (size + mean))
    cumulative = np.cumsum(np.exp(mass, out=mass), axis=1)
    if marginal.adjusted is not None:
        ends = [np.concatenate([[0.0], row, [1.0]]) for row in np.maximum.accumulate(marginal.adjusted, axis=1)]
        levels = np.array([0.0, *LEVELS, 1.0])
        cumulative = np.stack([np.interp(row, end, levels) for row, end in zip(cumulative, ends, strict=True)])
    reached = np.clip(np.floor(cumulative * paths - offset) + 1, 0, paths).astype(np.int64)
    reached[:, -1] = paths
    times = np.diff(reached, axis=1, prepend=0)
    return np.repeat(np.tile(counts.astype(np.int32), len(mean)), times.ravel()).reshape(-1, paths)
