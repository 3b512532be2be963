"""Quantiles of counts: whole, never negative, rising, and the same as an independent implementation's."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from pipelines.forecast.demand.evaluation import negative_binomial
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS

means = st.lists(st.floats(0, 400), min_size=1, max_size=8)


@given(means, st.floats(0, 3))
def test_quantiles_are_whole_non_negative_and_never_fall(mean: list[float], dispersion: float) -> None:
    found = negative_binomial.quantiles(mean, dispersion)
    assert (found >= 0).all()
    assert (found == np.round(found)).all()
    assert (np.diff(found, axis=1) >= 0).all()


@pytest.mark.parametrize("dispersion", [0.03, 0.4, 2.5])
def test_quantiles_equal_scipys_for_small_and_large_means(dispersion: float) -> None:
    mean = np.array([0.01, 0.3, 2.0, 12.5, 29.9, 30.1, 250.0])
    size = 1 / dispersion
    expected = nbinom.ppf(np.array(LEVELS)[None, :], size, (size / (size + mean))[:, None])
    assert (negative_binomial.quantiles(mean, dispersion) == expected).all()


def test_no_dispersion_is_poisson() -> None:
    mean = np.array([0.2, 3.0, 80.0])
    assert (negative_binomial.quantiles(mean, 0.0) == poisson.ppf(np.array(LEVELS)[None, :], mean[:, None])).all()
    assert negative_binomial.cumulative(3, 3.0, 0.0) == pytest.approx(poisson.cdf(3, 3.0))


def test_a_mean_of_zero_has_only_zeros() -> None:
    assert (negative_binomial.quantiles([0.0], 0.5) == 0).all()
    assert negative_binomial.cumulative(0, 0.0, 0.5) == 1


def test_the_probability_of_less_than_no_call_is_zero() -> None:
    assert negative_binomial.cumulative(-1, 2.0, 0.5) == 0


def test_the_dispersion_of_a_known_distribution_is_recovered() -> None:
    rng = np.random.default_rng(7)
    mean = rng.uniform(1, 20, 20_000)
    y = rng.negative_binomial(1 / 0.3, 1 / (1 + 0.3 * mean))
    rows = pl.DataFrame({"series": 1, "pool": "a", "y": y.astype(float), "mean": mean})
    learnt = negative_binomial.dispersions(
        negative_binomial.moments(rows, ["series", "pool"]), ["series", "pool"], ["pool"]
    )
    assert learnt["dispersion"].item() == pytest.approx(0.3, rel=0.05)


def test_a_series_with_little_evidence_leans_on_its_pool() -> None:
    rng = np.random.default_rng(8)
    many, few = 4_000, 6
    mean = np.full(many + few, 5.0)
    y = np.append(rng.negative_binomial(2, 2 / 7, many), np.full(few, 5)).astype(float)
    rows = pl.DataFrame({"series": [1] * many + [2] * few, "pool": "a", "y": y, "mean": mean})
    learnt = dict(
        negative_binomial.dispersions(negative_binomial.moments(rows, ["series", "pool"]), ["series", "pool"], ["pool"])
        .select("series", "dispersion")
        .iter_rows()
    )
    assert learnt[1] == pytest.approx(0.5, rel=0.1)
    assert 0.1 < learnt[2] < learnt[1]


def test_no_call_and_none_expected_is_no_dispersion() -> None:
    rows = pl.DataFrame({"series": [1, 1], "y": [0.0, 1.0], "mean": [0.0, 0.0]})
    assert negative_binomial.dispersions(negative_binomial.moments(rows, ["series"]), ["series"], [])[
        "dispersion"
    ].to_list() == [0.0]


def test_the_described_dispersion_is_read_back() -> None:
    frame = pl.DataFrame({"dispersion": [0.0123456, 2e-6, 0.0], "is_calibrated": [True, True, False]})
    words = frame.select(method=negative_binomial.described())
    assert words.select(negative_binomial.dispersion_in(pl.col("method")))["dispersion"].to_list() == [
        0.012346,
        2e-6,
        0.0,
    ]
    assert words["method"][2] == "Poisson, no backtest yet: dispersion 0"


def test_the_columns_are_named_after_their_levels() -> None:
    assert COLUMNS[0] == "q0.05" and COLUMNS[6] == "q0.5" and COLUMNS[-1] == "q0.99"
    frame = negative_binomial.with_quantiles(pl.DataFrame({"centre": [4.0], "dispersion": [0.1]}))
    assert frame.columns == ["centre", "dispersion", *COLUMNS]
