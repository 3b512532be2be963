"""Calibration: bands of equal expectation by hand, nothing lost, and a biased forecast is detected."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.risk.evaluation import calibration
from pipelines.forecast.risk.evaluation.scoring import FEWEST_WINDOWS


def counted(expected: np.ndarray, *outcomes: np.ndarray) -> pl.DataFrame:
    order = np.argsort(-expected, kind="stable")
    return pl.concat(
        calibration.bands(28 * n, "theft", {"stack": order}, {"stack": expected}, outcome)
        for n, outcome in enumerate(outcomes)
    )


def test_every_band_expects_a_tenth_and_has_more_cells_than_the_one_before() -> None:
    expected = np.r_[np.full(10, 10.0), np.full(100, 9.0), np.full(900, 0.0 + 1.0)]
    result = calibration.pooled(counted(expected, expected)).filter(pl.col("band") > 0)
    assert result["expected_incidents"].to_numpy() == pytest.approx(expected.sum() / 10, rel=0.06)
    assert result["cells"].is_sorted() and result["cells"].sum() == expected.size
    assert result["calibration_ratio"].to_list() == pytest.approx([1.0] * 10)


def test_a_cell_with_the_expectation_of_two_bands_leaves_one_empty() -> None:
    result = calibration.pooled(counted(np.array([2.0, *[1.0] * 8]), np.ones(9)))
    assert result["cells"].to_list() == [9, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert result["calibration_ratio"].to_list()[:3] == [0.9, None, 0.5]


def test_incidents_in_cells_without_expectation_count_in_the_last_band() -> None:
    expected = np.array([1.0] * 10 + [0.0] * 90)
    result = calibration.pooled(counted(expected, np.ones(100)))
    last = result.filter(band=10).row(0, named=True)
    assert (last["cells"], last["incidents"], last["expected_incidents"]) == (91, 91, 1.0)
    nothing = calibration.pooled(counted(np.zeros(100), np.ones(100)))
    assert nothing["calibration_ratio"].null_count() == 11
    assert nothing.filter(band=0)["incidents"].item() == 100


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.3])
def test_a_forecast_biased_by_a_third_is_outside_its_interval(factor: float) -> None:
    rng = np.random.default_rng(4)
    rate = rng.gamma(0.3, 0.5, 5_000)
    result = calibration.pooled(counted(rate * factor, *(rng.poisson(rate).astype(float) for _ in range(12))))
    is_inside = result.select(
        (pl.col("calibration_ratio_low") <= 1) & (pl.col("calibration_ratio_high") >= 1)
    ).to_series()
    assert (is_inside.sum() >= 9) if factor == 1 else not is_inside.any()
    assert result.filter(band=0)["calibration_ratio"].item() == pytest.approx(1 / factor, rel=0.03)


def test_few_windows_give_no_interval() -> None:
    result = calibration.pooled(counted(np.ones(20), *[np.ones(20)] * (FEWEST_WINDOWS - 1)))
    assert result["calibration_ratio_low"].null_count() == result.height == 11
    assert calibration.pooled(pl.DataFrame(schema=calibration.COUNTED)).is_empty()


@given(
    st.lists(st.tuples(st.floats(0, 100, allow_subnormal=False), st.integers(0, 5)), min_size=1, max_size=80),
)
def test_no_cell_or_incident_is_lost_or_counted_twice(cells: list[tuple[float, int]]) -> None:
    expected, fell = (np.array(column, float) for column in zip(*cells, strict=True))
    result = counted(expected, fell)
    whole, parts = result.filter(band=0), result.filter(pl.col("band") > 0)
    for name in ("cells", "incidents", "expected_incidents"):
        assert parts[name].sum() == pytest.approx(whole[name].item())
    assert (whole["cells"].item(), whole["incidents"].item()) == (len(cells), int(fell.sum()))
