"""Differences between two plans on the same calls, with intervals over days: calls of a day are not independent."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 4_000
LEAST_DAYS: Final = 5
"""With fewer days an interval would state more than is known."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``value``: mean per call of the first plan less the second; ``low, high``: 95 % interval, None if unknown."""

    value: float
    low: float | None
    high: float | None


def paired_difference(
    first: NDArray[np.float64], second: NDArray[np.float64], days: NDArray[np.int64], rng: np.random.Generator
) -> Difference:
    """Return the mean difference of a measure per call, such as missed (0 or 1) or minutes.

    Days are drawn with replacement, each with all of its calls and replications.

    Args:
        first: One value per call.
        second: The same calls under the other plan.
        days: Day of each call.
        rng: For the resamples.
    """
    _, day = np.unique(days, return_inverse=True)
    calls = np.bincount(day).astype(float)
    total = np.bincount(day, first - second)
    value = float(total.sum() / calls.sum())
    if calls.size < LEAST_DAYS:
        return Difference(value, None, None)
    drawn = rng.integers(0, calls.size, (RESAMPLES, calls.size))
    low, high = np.quantile(total[drawn].sum(axis=1) / calls[drawn].sum(axis=1), [0.025, 0.975])
    return Difference(value, float(low), float(high))
