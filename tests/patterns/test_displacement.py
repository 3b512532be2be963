"""The weighted displacement difference against its paper."""

import math

import pytest

from pipelines.patterns.displacement import displacement_difference


def test_the_papers_example_is_reproduced() -> None:
    """Wheeler and Ratcliffe 2018: −118 incidents, variance 1,568, z −2.98, 95 % interval −196 to −40."""
    result = displacement_difference((207, 110), (308, 318), (178, 157), (150, 140))
    assert result.estimate == -118
    assert result.standard_error == pytest.approx(math.sqrt(1568))
    assert (round(result.z, 2), round(result.low), round(result.high)) == (-2.98, -196, -40)


def test_surroundings_add_to_the_change_and_may_be_left_out() -> None:
    assert displacement_difference((20, 10), (20, 20)).estimate == -10
    assert displacement_difference((20, 10), (20, 20), (20, 30), (20, 20)).estimate == 0


def test_a_wider_confidence_is_a_wider_interval() -> None:
    narrow, wide = (displacement_difference((20, 10), (20, 20), confidence=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("counts", [((0, 0), (0, 0)), ((-1, 2), (3, 4))])
def test_zero_and_negative_counts_are_rejected(counts: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="no change"):
        displacement_difference(*counts)
