"""Whether an operation lowered crime, including its surroundings: the weighted displacement difference.

For analysts who evaluate one operation: they know its area, its comparison area and its dates, which no nightly run
can.
Nothing here is part of the nightly tables.
"""

from dataclasses import dataclass

from scipy.stats import norm


@dataclass(frozen=True, slots=True)
class Change:
    """A weighted displacement difference: incidents, standard error, z, and the ends of the confidence interval."""

    estimate: float
    standard_error: float
    z: float
    low: float
    high: float


def displacement_difference(
    treated: tuple[int, int],
    control: tuple[int, int],
    displacement_treated: tuple[int, int] = (0, 0),
    displacement_control: tuple[int, int] = (0, 0),
    confidence: float = 0.95,
) -> Change:
    """Compare the change of an area and its surroundings with comparison areas (Wheeler and Ratcliffe 2018).

    Each pair counts incidents before and after, over spans of equal length. The comparison area is assumed to change by
    the same *number* without the operation, so it should be of similar size. Counts are assumed to be Poisson.

    Args:
        treated: The area of the operation.
        control: A similar area without an operation.
        displacement_treated: The surroundings to which crime may have moved; (0, 0) to ignore them.
        displacement_control: The same of the comparison area.
        confidence: Of the interval.

    Returns:
        ``estimate`` below 0: that many incidents fewer than without the operation, surroundings included.

    Raises:
        ValueError: A count is negative, or all counts are zero.
    """
    before_and_after = (treated, control, displacement_treated, displacement_control)
    counts = [count for pair in before_and_after for count in pair]
    if min(counts) < 0 or sum(counts) == 0:
        raise ValueError(f"no change can be estimated from counts of {before_and_after}")
    changes = [after - before for before, after in before_and_after]
    estimate = changes[0] - changes[1] + changes[2] - changes[3]
    # The variance of a sum of independent Poisson counts, whatever their signs, is the sum of the counts.
    error = float(sum(counts)) ** 0.5
    reach = float(norm.isf((1 - confidence) / 2)) * error
    return Change(float(estimate), error, estimate / error, estimate - reach, estimate + reach)
