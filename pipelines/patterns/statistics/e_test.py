"""The E-test: whether two counts differ by more than chance (Krishnamoorthy and Thomson 2004).

More powerful than the conditional binomial test and exact enough for counts of a handful, where a normal approximation
is not. It takes counts to be Poisson: crime that comes in bursts varies more, so a small p is a reason to look and no
proof.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import poisson

_TAIL = 1e-15
"""Chance of an outcome that is left out of the sum."""

_SLACK = 1e-9
"""Outcomes exactly as far apart as those observed count as at least as far, whatever the last binary digit says."""


def e_test(first: int, second: int, exposure_first: float = 1.0, exposure_second: float = 1.0) -> float:
    """Two-sided p-value of the difference between two Poisson rates.

    Args:
        first: A count.
        second: Another, independent one.
        exposure_first: What the first was counted over (days, area), in any unit.
        exposure_second: The same of the second.

    Returns:
        Chance of rates at least as far apart, in units of their standard error, if both were the pooled rate; NaN
        where both counts are 0, of which nothing can be said.

    Raises:
        ValueError: a count is negative, or an exposure is not positive.
    """
    if min(first, second) < 0 or min(exposure_first, exposure_second) <= 0:
        raise ValueError(f"counts {first}, {second} over {exposure_first}, {exposure_second} are no rates")
    if first + second == 0:
        return float("nan")
    a, b = 1 / exposure_first, 1 / exposure_second
    squared = (a * first - b * second) ** 2 / (a * a * first + b * b * second)
    if squared == 0:
        return 1.0
    rate = (first + second) / (exposure_first + exposure_second)
    x = np.arange(poisson.ppf(_TAIL, rate * exposure_first), poisson.isf(_TAIL, rate * exposure_first) + 1)
    # For each first count, the second counts at least as far away lie outside two roots of a quadratic.
    middle = a * x / b + squared / 2
    spread = np.sqrt(np.maximum(middle**2 - (a / b) ** 2 * (x**2 - squared * x), 0.0))
    below = np.floor(middle - spread + _SLACK)
    # Of 0 and 0 the statistic is undefined: they do not differ.
    below[x == 0] = -1
    above = np.ceil(middle + spread - _SLACK)
    expected = rate * exposure_second
    far = poisson.cdf(below, expected) + poisson.sf(above - 1, expected)
    return float(min(poisson.pmf(x, rate * exposure_first) @ far, 1.0))


def e_tests(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """``e_test`` for many pairs counted over the same span; each pair is worked out once, in either order."""
    pairs = np.sort(np.stack([np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)], axis=-1), axis=-1)
    distinct, inverse = np.unique(pairs, axis=0, return_inverse=True)
    values = np.array([e_test(int(low), int(high)) for low, high in distinct], dtype=float)
    return values[inverse.reshape(-1)]
