"""The E-test: whether two counts differ by more than chance (Krishnamoorthy and Thomson 2004).

More powerful than the conditional binomial test and accurate enough for small counts, where a normal approximation is
not. It assumes Poisson counts: crime that comes in bursts varies more, so a small p is a reason to look and not proof.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import poisson

_TAIL = 1e-15
"""Outcomes with less probability are left out of the sum."""

_SLACK = 1e-9
"""Outcomes exactly as far apart as the observed ones count as at least as far, despite rounding."""


def e_test(first: int, second: int, exposure_first: float = 1.0, exposure_second: float = 1.0) -> float:
    """Return the two-sided p-value of the difference between two Poisson rates (Krishnamoorthy and Thomson 2004).

    Args:
        first: A count.
        second: Another, independent count.
        exposure_first: Exposure of the first count (days, area), in any unit.
        exposure_second: Exposure of the second count.

    Returns:
        Probability that two rates differ by at least as many standard errors if both counts have the pooled rate; NaN
        if both counts are 0.

    Raises:
        ValueError: A count is negative, or an exposure is not positive.
    """
    if min(first, second) < 0 or min(exposure_first, exposure_second) <= 0:
        raise ValueError(f"counts {first}, {second} over {exposure_first}, {exposure_second} are not rates")
    if first + second == 0:
        return float("nan")
    a, b = 1 / exposure_first, 1 / exposure_second
    squared = (a * first - b * second) ** 2 / (a * a * first + b * b * second)
    if squared == 0:
        return 1.0
    rate = (first + second) / (exposure_first + exposure_second)
    x = np.arange(poisson.ppf(_TAIL, rate * exposure_first), poisson.isf(_TAIL, rate * exposure_first) + 1)
    # For each first count, the second counts at least as far away are outside two roots of a quadratic.
    middle = a * x / b + squared / 2
    spread = np.sqrt(np.maximum(middle**2 - (a / b) ** 2 * (x**2 - squared * x), 0.0))
    below = np.floor(middle - spread + _SLACK)
    # The statistic is undefined for 0 and 0: they do not differ.
    below[x == 0] = -1
    above = np.ceil(middle + spread - _SLACK)
    expected = rate * exposure_second
    far = poisson.cdf(below, expected) + poisson.sf(above - 1, expected)
    return float(min(poisson.pmf(x, rate * exposure_first) @ far, 1.0))


def e_tests(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Compute ``e_test`` for many pairs with equal exposure; each pair is computed once, in either order."""
    pairs = np.sort(np.stack([np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)], axis=-1), axis=-1)
    distinct, inverse = np.unique(pairs, axis=0, return_inverse=True)
    values = np.array([e_test(int(low), int(high)) for low, high in distinct], dtype=float)
    return values[inverse.reshape(-1)]
