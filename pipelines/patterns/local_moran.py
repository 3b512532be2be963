"""Local Moran: whether a place and its neighbours are alike or unlike, beyond what chance arranges (Anselin 1995).

Inference is by conditional permutation: the place keeps its value and the other values are dealt out again. All places
share the same deals, as in esda, and here they also share the sums: a deal of k values out of all n is a deal out of
the n - 1 others unless it holds the place itself, and then its value gives way to one more drawn in advance. So 99,999
deals for 10,000 cells are a sort and a search, not a billion look-ups, and p-values are fine enough to hold false
discoveries among thousands of cells; nothing is compiled.

Quadrants name the place first: high-high is a cluster, high-low a high place among low ones. A place is high above
the mean of all places. With few incidents a low place is nearly always one that chance leaves empty; the permutation
knows that, so low-low is rarely significant there.
"""

import hashlib
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.patterns.statistics.neighbours import neighbour_count, neighbour_sum

DEALS: Final = 99_999

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class LocalMoran(NamedTuple):
    """``local_moran``: the statistic. ``p_value``: two-sided. ``quadrant``: high-high, low-low, high-low, low-high.

    All three are not a number, or None, where a place has no neighbours or nothing varies.
    """

    local_moran: Floats
    p_value: Floats
    quadrant: NDArray[np.object_]


def local_moran(values: Floats, neighbours: Integers, *seed: object, deals: int = DEALS) -> LocalMoran:
    """Local Moran's I with row-standardised weights.

    Args:
        values: One per place: counts or rates.
        neighbours: Positions of each place's neighbours, filled up with ``NONE``.
        seed: Words that say what the deals are for (category, day …); they alone decide how these fall.
        deals: Number of permutations; the smallest p-value is ``2 / (deals + 1)``.

    Returns:
        I as in Anselin (1995, equation 12) with the variance over n - 1, as esda and GeoDa have it. The p-value is
        twice the smaller tail of the neighbours' sum, at most 1 (GeoDa shows the tail itself).
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
    upper, lower = _tails(values, total, count, _dealt(n, int(count.max()), deals, *seed))
    p = np.where(usable, np.minimum(2 * np.minimum(upper, lower), 1.0), np.nan)
    names = np.array([["low-low", "low-high"], ["high-low", "high-high"]], dtype=object)
    quadrant = names[(deviation > 0).astype(int), (lag > 0).astype(int)]
    quadrant[~usable] = None
    return LocalMoran(statistic, p, quadrant)


def gathering_p_value(values: Floats, neighbours: Integers, *seed: object, deals: int = DEALS) -> Floats:
    """How often values dealt out at random over all places add up, in a place and its neighbours, to as much.

    The permutation p-value of Gi* with binary weights, one-sided; unlike local Moran's, the place itself is dealt a
    value too, as in the moments behind Gi*'s own normal approximation.
    """
    n, count = values.size, neighbour_count(neighbours)
    if n < 2:
        return np.ones(n)
    total = neighbour_sum(values, neighbours) + values
    dealt = _dealt(n, int(count.max()), deals, "gathering", *seed)
    p = np.ones(n)
    for k in np.unique(count):
        ranked = np.sort(values[dealt[:, : k + 1]].sum(axis=1))
        here = count == k
        p[here] = (deals - np.searchsorted(ranked, total[here] - _slack(values), side="left") + 1) / (deals + 1)
    return p


def _slack(values: Floats) -> float:
    """Sums of rates differ in their last digits by the order of adding; equal ones must count as equal."""
    return 1e-9 * float(np.abs(values).max())


def _dealt(n: int, neighbours: int, deals: int, *seed: object) -> Integers:
    """Positions of ``neighbours`` + 1 distinct places out of ``n``, in random order, one row per deal."""
    digest = hashlib.blake2b("|".join(map(str, ("local moran", *seed))).encode(), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest, "big"))
    drawn = np.empty((deals, 0), dtype=np.int64)
    for taken in range(min(neighbours + 1, n)):
        # A number among those not yet drawn, counted past the drawn ones in ascending order.
        place = random.integers(0, n - taken, deals)
        for earlier in np.sort(drawn, axis=1).T:
            place += place >= earlier
        drawn = np.column_stack([drawn, place])
    return drawn


def _tails(values: Floats, total: Floats, count: Integers, dealt: Integers) -> tuple[Floats, Floats]:
    """Share of deals in which each place's neighbours add up to at least, and to at most, what they do.

    The observed arrangement counts as one of the deals (Phipson and Smyth 2010), so no p-value is zero.
    """
    slack = _slack(values)
    upper, lower = np.ones(total.size), np.ones(total.size)
    deals = dealt.shape[0]
    for k in np.unique(count[count > 0]):
        here = count == k
        sums = values[dealt[:, :k]].sum(axis=1)
        ranked = np.sort(sums)
        above = deals - np.searchsorted(ranked, total - slack, side="left").astype(float)
        below = np.searchsorted(ranked, total + slack, side="right").astype(float)
        # Where a deal holds the place itself, its value gives way to the next one drawn.
        itself = dealt[:, :k].ravel()
        held, at = np.repeat(sums, k), total[itself]
        instead = held - values[itself] + np.repeat(values[dealt[:, k]], k)
        more = (instead >= at - slack).astype(float) - (held >= at - slack)
        less = (instead <= at + slack).astype(float) - (held <= at + slack)
        above += np.bincount(itself, weights=more, minlength=total.size)
        below += np.bincount(itself, weights=less, minlength=total.size)
        upper[here] = (above[here] + 1) / (deals + 1)
        lower[here] = (below[here] + 1) / (deals + 1)
    return upper, lower
