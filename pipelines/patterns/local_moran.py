"""Local Moran: whether a place and its neighbours are more similar or different than by chance (Anselin 1995).

Inference is by conditional permutation: the place keeps its value and the other values are permuted. All places share
the same permutations, as in esda, and here also their sums: k values drawn out of all n are a draw out of the n - 1
others unless they include the place itself, whose value is then replaced by an extra one drawn in advance. So 99,999
permutations for 10,000 cells need a sort and a search instead of a billion look-ups, and p-values are fine enough to
control false discoveries among thousands of cells without compiled code.

Quadrants name the place first: high-high is a cluster, high-low a high place among low ones. A place is high above the
mean of all places. With few incidents most low places are empty by chance; the permutation accounts for that, so
low-low is rarely significant there.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.config.seeds import generator
from pipelines.patterns.statistics.neighbours import neighbour_count, neighbour_sum

PERMUTATIONS: Final = 99_999

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class LocalMoran(NamedTuple):
    """``local_moran``: the statistic. ``p_value``: two-sided. ``quadrant``: high-high, low-low, high-low, low-high.

    All three are NaN, or None, for a place without neighbours or if all values are equal.
    """

    local_moran: Floats
    p_value: Floats
    quadrant: NDArray[np.object_]


def local_moran(values: Floats, neighbours: Integers, *seed: object, permutations: int = PERMUTATIONS) -> LocalMoran:
    """Compute local Moran's I with row-standardised weights.

    Args:
        values: One per place: counts or rates.
        neighbours: Positions of each place's neighbours, padded with ``NONE``.
        seed: Words that identify the permutations (category, day …) and determine them.
        permutations: Number of permutations; the smallest p-value is ``2 / (permutations + 1)``.

    Returns:
        I as in Anselin (1995, equation 12) with the variance over n - 1, as in esda and GeoDa. The p-value is twice the
        smaller tail of the neighbours' sum, at most 1 (GeoDa shows the tail itself).
    """
    n, count = values.size, neighbour_count(neighbours)
    nothing = np.full(n, np.nan)
    usable = count > 0
    spread = values.std() if n else 0.0
    if n < 3 or not usable.any() or spread <= 1e-12 * np.abs(values).max():
        return LocalMoran(nothing, nothing.copy(), np.full(n, None, dtype=object))
    deviation = values - values.mean()
    total = neighbour_sum(values, neighbours)
    lag = np.divide(total, count, out=np.full(n, np.nan), where=usable) - values.mean()
    statistic = deviation * lag * (n - 1) / (deviation**2).sum()
    upper, lower = _tails(values, total, count, _drawn(n, int(count.max()), permutations, *seed))
    p = np.where(usable, np.minimum(2 * np.minimum(upper, lower), 1.0), np.nan)
    names = np.array([["low-low", "low-high"], ["high-low", "high-high"]], dtype=object)
    quadrant = names[(deviation > 0).astype(int), (lag > 0).astype(int)]
    quadrant[~usable] = None
    return LocalMoran(statistic, p, quadrant)


def gathering_p_value(values: Floats, neighbours: Integers, *seed: object, permutations: int = PERMUTATIONS) -> Floats:
    """Return how often permuted values sum to at least as much in a place and its neighbours.

    This is the one-sided permutation p-value of Gi* with binary weights; unlike in local Moran, the place's own value
    is permuted too, as in the moments of Gi*'s normal approximation.
    """
    n, count = values.size, neighbour_count(neighbours)
    if n < 2:
        return np.ones(n)
    total = neighbour_sum(values, neighbours) + values
    drawn = _drawn(n, int(count.max()), permutations, "gathering", *seed)
    p = np.ones(n)
    for k in np.unique(count):
        ranked = np.sort(values[drawn[:, : k + 1]].sum(axis=1))
        has_k = count == k
        p[has_k] = (permutations - np.searchsorted(ranked, total[has_k] - _slack(values), side="left") + 1) / (
            permutations + 1
        )
    return p


def _slack(values: Floats) -> float:
    """Return the tolerance for comparing sums of rates.

    Their last digits depend on the order of addition, but equal sums must compare as equal.
    """
    return 1e-9 * float(np.abs(values).max())


def _drawn(n: int, neighbours: int, permutations: int, *seed: object) -> Integers:
    """Draw positions of ``neighbours`` + 1 distinct places out of ``n``, in random order, one row per permutation."""
    rng = generator("local moran", *seed)
    drawn = np.empty((permutations, 0), dtype=np.int64)
    for taken in range(min(neighbours + 1, n)):
        # A number among those not yet drawn, counted past the drawn ones in ascending order.
        place = rng.integers(0, n - taken, permutations)
        for earlier in np.sort(drawn, axis=1).T:
            place += place >= earlier
        drawn = np.column_stack([drawn, place])
    return drawn


def _tails(values: Floats, total: Floats, count: Integers, drawn: Integers) -> tuple[Floats, Floats]:
    """Return the share of permutations in which each place's neighbours sum to at least, and at most, the observed sum.

    The observed arrangement counts as one permutation (Phipson and Smyth 2010), so no p-value is zero.
    """
    slack = _slack(values)
    upper, lower = np.ones(total.size), np.ones(total.size)
    permutations = drawn.shape[0]
    for k in np.unique(count[count > 0]):
        has_k = count == k
        sums = values[drawn[:, :k]].sum(axis=1)
        ranked = np.sort(sums)
        above = permutations - np.searchsorted(ranked, total - slack, side="left").astype(float)
        below = np.searchsorted(ranked, total + slack, side="right").astype(float)
        # If a permutation includes the place itself, its value is replaced by the next one drawn.
        itself = drawn[:, :k].ravel()
        included, at = np.repeat(sums, k), total[itself]
        instead = included - values[itself] + np.repeat(values[drawn[:, k]], k)
        more = (instead >= at - slack).astype(float) - (included >= at - slack)
        less = (instead <= at + slack).astype(float) - (included <= at + slack)
        above += np.bincount(itself, weights=more, minlength=total.size)
        below += np.bincount(itself, weights=less, minlength=total.size)
        upper[has_k] = (above[has_k] + 1) / (permutations + 1)
        lower[has_k] = (below[has_k] + 1) / (permutations + 1)
    return upper, lower
