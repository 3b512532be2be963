"""Joint sample paths: integer, never negative, additive over areas and time, with each series' calibrated marginals.

Each bottom series and step has its own negative binomial. Draws under common shocks (``common_shocks``) determine the
order of the paths, and in that order each step's paths take the values of its own distribution (the Schaake shuffle,
Clark et al. 2004): the marginals stay as calibrated, one value per 1/paths of probability; the dependence is that of
the shocks. Every area and period is a sum over the same paths, so sums are exact on each of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from pipelines.forecast.demand.evaluation.negative_binomial import POISSON
from pipelines.forecast.demand.hierarchy import common_shocks
from pipelines.forecast.demand.hierarchy.common_shocks import SERIES, Draws, Floats, Shocks

PATHS: Final = 500
SMOOTH: Final = 12.0
"""Expected counts from here on are ordered by a normal approximation; only the order of the draws is used."""

WIDE: Final = 20_000
"""Distributions over more counts than this are inverted value by value: a table of all counts would be too long."""

Counts = NDArray[np.int32]

UNMOVED: Final[Floats] = np.array([[0.0, 1.0]])
"""The calibration maps of marginals that are not recalibrated."""


class PathsError(ValueError):
    """Report that the marginals do not form one grid of series and steps."""


@dataclass(frozen=True, slots=True)
class Paths:
    """``values[i, t, s]``: calls of ``ids[i]`` in the step that begins at ``starts[t]`` on path ``s``."""

    ids: pl.Series
    starts: pl.Series
    values: Counts


@dataclass(frozen=True, slots=True)
class _Marginal:
    """One series, step by step: mean, dispersion and number of its calibration map."""

    name: object
    mean: Floats
    dispersion: Floats
    curve: NDArray[np.int64]


def draw(
    marginals: pl.DataFrame,
    members: pl.DataFrame,
    learnt: Shocks,
    paths: int = PATHS,
    curves: Floats = UNMOVED,
) -> Paths:
    """Draw joint sample paths of bottom series from one cutoff.

    The draws of a series depend only on its ``unique_id``, its groups' names and the cutoff: with fewer series or fewer
    steps at a time, each gets the same paths (with ``substitution``: use whole finest groups). So ``unique_id`` must be
    a stable name, not a row number.

    Args:
        marginals: ``unique_id, cutoff, ds, mean, dispersion``: every series has every step, one cutoff. ``curve``
            (optional) is the row of ``curves`` that recalibrates a step; 0 is the identity.
        members: ``unique_id`` and the levels above it, widest first, as for ``common_shocks.learn``.
        learnt: Shocks estimated before the cutoff; ``common_shocks.INDEPENDENT``: series and steps are independent.
        paths: Number of paths; with a multiple of 100 each published level is between two strata.
        curves: Row 0: probabilities of a negative binomial, rising from 0 to 1; row k: their calibrated values.

    Returns:
        Series in order of ``unique_id``, steps in order of ``ds``. 4 bytes per series, step and path.

    Raises:
        PathsError: A step, a mean or a group is missing, or there is more than one cutoff.
        TreeError: The levels are not nested.
    """
    grid = marginals.sort(SERIES, "ds")
    calendar = _calendar(grid, members)
    ids = grid[SERIES].unique(maintain_order=True)
    rows = ids.to_frame().with_row_index("row").join(members, on=SERIES, how="left", maintain_order="left")
    values = np.empty((len(ids), calendar.height, paths), np.int32)
    each = _marginals(grid, calendar.height)
    none = np.zeros((calendar.height, paths), np.float32)
    for places, common in _descend(rows, common_shocks.tree(members), learnt, calendar, none):
        group = [each[place] for place in places]
        common -= _made_up(group, learnt, calendar, paths)
        for place, marginal in zip(places, group, strict=True):
            shock = common + _own_shocks(marginal, learnt, calendar, paths)
            order = _order(_scores(*_expected(marginal, calendar["cutoff"][0], shock)))
            np.put_along_axis(values[place], order, _sorted_values(marginal, calendar["cutoff"][0], paths, curves), 1)
    return Paths(ids, calendar["ds"], values)


def _calendar(grid: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Return ``cutoff, ds`` and the blocks of every step, or raise why the grid is invalid."""
    steps = grid.select("cutoff", "ds").unique().sort("ds")
    if steps["cutoff"].n_unique() != 1:
        raise PathsError("paths are drawn from one cutoff at a time")
    count = grid[SERIES].n_unique()
    if grid.height != count * steps.height or grid.select(SERIES, "ds").is_duplicated().any():
        raise PathsError("every series needs one row for every step")
    if grid.select("mean", "dispersion").null_count().sum_horizontal().item():
        raise PathsError("a mean or dispersion is missing: choose a model that has one, or leave the series out")
    if grid.join(members, on=SERIES, how="anti").height:
        raise PathsError("a series is missing from the members: add its groups")
    return steps.with_columns(common_shocks.blocks())


def _marginals(grid: pl.DataFrame, steps: int) -> list[_Marginal]:
    mean = grid["mean"].cast(pl.Float64).to_numpy().reshape(-1, steps)
    dispersion = grid["dispersion"].cast(pl.Float64).to_numpy().reshape(-1, steps)
    names = grid[SERIES].unique(maintain_order=True).to_list()
    curve = (grid["curve"] if "curve" in grid.columns else pl.repeat(0, grid.height, eager=True)).cast(pl.Int64)
    curves = curve.to_numpy().reshape(-1, steps)
    return [_Marginal(name, mean[i], dispersion[i], curves[i]) for i, name in enumerate(names)]


def _descend(
    rows: pl.DataFrame, levels: Sequence[str], learnt: Shocks, calendar: pl.DataFrame, above: Draws
) -> Iterator[tuple[list[int], Draws]]:
    """Walk down the hierarchy: yield the rows of each finest group and the sum of the log shocks of all its groups."""
    if not levels:
        yield rows["row"].to_list(), above.copy()
        return
    for (group,), part in rows.group_by(levels[0], maintain_order=True):
        shock = common_shocks.draw(learnt.variances, levels[0], group, calendar, above.shape[1])
        yield from _descend(part, levels[1:], learnt, calendar, above + shock)


def _own_shocks(marginal: _Marginal, learnt: Shocks, calendar: pl.DataFrame, paths: int) -> Draws:
    """Return log shocks of one series: those of its days and weeks, and each step's own."""
    total = common_shocks.draw(learnt.variances, SERIES, marginal.name, calendar, paths)
    # The dispersion that the shocks do not explain is each step's own.
    rest = np.sqrt(np.maximum(np.log1p(marginal.dispersion) - learnt.log_variance, 0.0))
    generator = common_shocks.generator("demand own", marginal.name, calendar["cutoff"][0])
    total += generator.standard_normal(total.shape, dtype=np.float32) * rest.astype(np.float32)[:, None]
    return total


def _made_up(group: list[_Marginal], learnt: Shocks, calendar: pl.DataFrame, paths: int) -> Draws | float:
    """Return the offset part of the group's mean own shock; drawn twice rather than stored for all."""
    if not learnt.substitution:
        return 0.0
    whole = np.sum([marginal.mean for marginal in group], axis=0)
    total = np.zeros((calendar.height, paths), np.float32)
    for marginal in group:
        share = learnt.substitution * marginal.mean / np.maximum(whole, 1e-12)
        total += _own_shocks(marginal, learnt, calendar, paths) * share.astype(np.float32)[:, None]
    return total


def _expected(marginal: _Marginal, cutoff: object, shock: Draws) -> tuple[Draws, Draws]:
    """Return expected counts of one series under its shocks, and the uniform numbers at which its counts are drawn."""
    # A lognormal's mean is above its median.
    shock -= (0.5 * np.log1p(marginal.dispersion)).astype(np.float32)[:, None]
    expected = np.exp(shock, out=shock)
    expected *= marginal.mean.astype(np.float32)[:, None]
    return expected, common_shocks.generator("demand count", marginal.name, cutoff).random(
        shock.shape, dtype=np.float32
    )


def _scores(expected: Draws, chance: Draws) -> Draws:
    """Return Poisson counts at ``chance``, with ties broken: never negative, and only their order is used."""
    scores = np.empty_like(expected)
    many = expected >= SMOOTH
    few = ~many
    # The low digits of a uniform number are independent of its count.
    ties = np.modf(chance[few] * np.float32(4097))[0]
    scores[few] = _counted(expected[few], chance[few]) + ties
    if many.any():
        large = expected[many]
        normal = ndtri(np.clip(chance[many], np.float32(1e-6), np.float32(1 - 1e-6)))
        scores[many] = np.maximum(large + np.sqrt(large) * normal, 0.0)
    return scores


def _counted(expected: Draws, chance: Draws) -> Draws:
    """Return Poisson quantiles, counting up for all at once."""
    level = np.minimum(chance, np.float32(1 - 1e-6))
    mass = np.exp(-expected)
    total, counted, count = mass.copy(), np.zeros_like(expected), 0
    while (above := level > total).any() and count < 100:
        count += 1
        counted += above
        mass *= expected
        mass *= np.float32(1 / count)
        total += mass
    return counted


def _order(scores: Draws) -> NDArray[np.int64]:
    """Return indices that sort each row. The index is in a number's last bits: five times as fast as ``argsort``."""
    paths = scores.shape[1]
    last = np.uint32((1 << (paths - 1).bit_length()) - 1)
    keys = (scores.view(np.uint32) & ~last) | np.arange(paths, dtype=np.uint32)
    keys.sort(axis=1)
    return (keys & last).astype(np.int64)


def _sorted_values(marginal: _Marginal, cutoff: object, paths: int, curves: Floats) -> Counts:
    """Return ascending counts of the calibrated distribution, one from each of ``paths`` equal parts of probability."""
    from scipy.stats import nbinom

    offset = common_shocks.generator("demand stratum", marginal.name, cutoff).random((len(marginal.mean), 1))
    size = 1.0 / np.maximum(marginal.dispersion, POISSON)[:, None]
    mean = np.maximum(marginal.mean, 1e-12)[:, None]
    chance = size / (size + mean)
    low, high = nbinom.ppf([1e-9, 1 - 1e-7], size, chance).T
    if high.max() - low.min() > WIDE:
        levels = (np.arange(paths) + offset) / paths
        for curve in np.unique(marginal.curve[marginal.curve > 0]):
            moved = marginal.curve == curve
            levels[moved] = np.interp(levels[moved], curves[curve], curves[0])
        return np.asarray(nbinom.ppf(np.minimum(levels, 1 - 1e-7), size, chance), np.int32)
    counts = np.arange(int(low.min()), int(high.max()) + 1)
    mass = gammaln(counts + size) - gammaln(size) - gammaln(counts + 1.0)
    mass += size * np.log(chance) + counts * np.log(mean / (size + mean))
    cumulative = np.cumsum(np.exp(mass, out=mass), axis=1)
    for curve in np.unique(marginal.curve[marginal.curve > 0]):
        moved = marginal.curve == curve
        cumulative[moved] = np.interp(cumulative[moved], curves[0], curves[curve])
    reached = np.clip(np.floor(cumulative * paths - offset) + 1, 0, paths).astype(np.int64)
    reached[:, -1] = paths
    times = np.diff(reached, axis=1, prepend=0)
    return np.repeat(np.tile(counts.astype(np.int32), len(mean)), times.ravel()).reshape(-1, paths)
