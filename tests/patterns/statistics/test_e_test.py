"""The E-test against its paper and against counting every outcome."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.patterns.statistics.e_test import e_test, e_tests


def by_counting(first: int, second: int, n1: float = 1.0, n2: float = 1.0) -> float:
    """Krishnamoorthy and Thomson's sum over all pairs of counts, as it is written."""
    rate = (first + second) / (n1 + n2)
    highest = int(6 * rate * max(n1, n2) + 60)
    pmf = [
        [math.exp(-rate * n) * (rate * n) ** x / math.factorial(x) for x in range(min(highest, 150))] for n in (n1, n2)
    ]
    observed = abs(first / n1 - second / n2) / math.sqrt(first / n1**2 + second / n2**2)
    total = 0.0
    for x, p in enumerate(pmf[0]):
        for y, q in enumerate(pmf[1]):
            apart = abs(x / n1 - y / n2) / math.sqrt(x / n1**2 + y / n2**2) if x + y else 0.0
            total += p * q * (apart >= observed - 1e-9)
    return total


def test_the_papers_examples_come_out() -> None:
    """Krishnamoorthy and Thomson 2004, as the tests of Wheeler's ptools give them."""
    assert e_test(0, 3) == pytest.approx(0.0884, abs=0.0005)
    assert e_test(6, 2) == pytest.approx(0.1749, abs=0.00005)
    assert e_test(20, 10) == pytest.approx(0.069, abs=0.0005)


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from([1.0, 2.0, 0.5]), st.sampled_from([1.0, 3.0]))
def test_every_outcome_counted_one_by_one_gives_the_same(first: int, second: int, n1: float, n2: float) -> None:
    if first + second:
        assert e_test(first, second, n1, n2) == pytest.approx(by_counting(first, second, n1, n2), abs=1e-9)


def test_order_does_not_matter_and_equal_counts_do_not_differ() -> None:
    assert e_test(2, 6) == pytest.approx(e_test(6, 2))
    assert e_test(20, 20) == 1 and e_test(10, 5, 2, 1) == 1


def test_two_zeros_give_no_p_value_and_invalid_input_is_rejected() -> None:
    assert math.isnan(e_test(0, 0))
    with pytest.raises(ValueError, match="are not rates"):
        e_test(3, -2)
    with pytest.raises(ValueError, match="are not rates"):
        e_test(3, 3, 1, 0)


def test_large_counts_approach_the_normal_test() -> None:
    z = (20_300 - 20_000) / math.sqrt(40_300)
    assert e_test(20_000, 20_300) == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.001)


def test_chance_alone_is_significant_one_time_in_twenty() -> None:
    draws = np.random.default_rng(11).poisson(12, (2, 4000))
    assert 0.03 < (e_tests(*draws) < 0.05).mean() < 0.06


def test_many_pairs_equal_one_by_one() -> None:
    result = e_tests([3, 0, 6, 0], [0, 3, 2, 0])
    assert result[:3].tolist() == [e_test(0, 3), e_test(0, 3), e_test(2, 6)] and math.isnan(result[3])
    assert e_tests([], []).shape == (0,)
