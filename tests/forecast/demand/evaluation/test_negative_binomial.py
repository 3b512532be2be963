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
    result = negative_binomial.quantiles(mean, dispersion)
    assert (result >= 0).all()
    assert (result == np.round(result)).all()
    assert (np.diff(result, axis=1) >= 0).all()


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


def test_a_series_with_little_data_is_shrunk_to_its_pool() -> None:
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


def test_no_calls_expected_or_observed_give_zero_dispersion() -> None:
    rows = pl.DataFrame({"series": [1, 1], "y": [0.0, 1.0], "mean": [0.0, 0.0]})
    assert negative_binomial.dispersions(negative_binomial.moments(rows, ["series"]), ["series"], [])[
        "dispersion"
    ].to_list() == [0.0]


def test_the_columns_are_named_after_their_levels() -> None:
    assert COLUMNS[0] == "q0.05" and COLUMNS[6] == "q0.5" and COLUMNS[-1] == "q0.99"
    frame = negative_binomial.with_quantiles(pl.DataFrame({"centre": [4.0], "dispersion": [0.1]}))
    assert frame.columns == ["centre", "dispersion", *COLUMNS]


def test_the_levels_are_the_published_ones() -> None:
    published = "0.05 0.1 0.2 0.25 0.3 0.4 0.5 0.6 0.7 0.75 0.8 0.9 0.95 0.99"
    assert [f"q{level}" for level in published.split()] == list(COLUMNS)
    assert [float(level) for level in published.split()] == list(LEVELS)


def test_information_is_one_over_the_variance_of_the_moment_estimate() -> None:
    alpha, mean, rows = 0.5, np.array([2.0, 6.0]), 40
    # Residuals whose excess over the mean is exactly that of a dispersion of one half.
    y = np.repeat(mean + np.sqrt(mean + alpha * mean**2), rows)
    frame = pl.DataFrame({"series": 1, "y": y, "mean": np.repeat(mean, rows)})
    learnt = negative_binomial.dispersions(negative_binomial.moments(frame, ["series"]), ["series"], [])
    assert learnt["dispersion"].item() == pytest.approx(alpha)
    size = 1 / alpha
    variance, kurtosis = (np.array(part) for part in nbinom.stats(size, size / (size + mean), moments="vk"))
    # Var((y - mean)²) is the fourth central moment less the variance squared.
    spread = rows * ((kurtosis + 3) * variance**2 - variance**2).sum()
    assert learnt["information"].item() == pytest.approx((rows * (mean**2).sum()) ** 2 / spread)


def test_a_group_weighs_by_its_information_against_a_pool_that_weighs_one_over_its_dispersion_squared() -> None:
    rows = pl.DataFrame({"series": [1, 1, 2, 2], "pool": "a", "y": [9.0, 1.0, 5.0, 7.0], "mean": [4.0, 4.0, 6.0, 6.0]})
    learnt = negative_binomial.dispersions(
        negative_binomial.moments(rows, ["series", "pool"]), ["series", "pool"], ["pool"]
    ).sort("series")
    pooled = (26.0 + -10.0) / (2 * 16 + 2 * 36)
    estimates = [26 / 32, -10 / 72]
    weights = learnt["information"].to_numpy()
    expected = (np.array(estimates) * weights + pooled / pooled**2) / (weights + 1 / pooled**2)
    assert learnt["dispersion"].to_list() == pytest.approx(expected.clip(0.0).tolist())


def test_a_factor_by_horizon_is_taken_out_of_the_dispersion_of_the_group() -> None:
    mean, alpha, factor = np.full(2, 5.0), 0.2, np.array([1.0, 3.0])
    y = mean + np.sqrt(mean + alpha * factor * mean**2)
    rows = pl.DataFrame({"series": 1, "block": [0, 1], "y": y, "mean": mean})
    moments = negative_binomial.moments(rows, ["series", "block"]).with_columns(factor=pl.Series(factor))
    assert negative_binomial.dispersions(moments, ["series"], [])["dispersion"].item() == pytest.approx(alpha)


@pytest.mark.parametrize("spread", [0.0, 5e-7, 2e-6, 0.4])
def test_the_first_masses_are_those_of_the_distribution(spread: float) -> None:
    mean = np.array([0.0, 0.7, 12.0])
    none, ratio, alpha = negative_binomial.first_masses(mean, np.full(3, spread))
    is_poisson = spread < negative_binomial.POISSON
    size = 1 / max(spread, negative_binomial.POISSON)
    of = poisson(mean) if is_poisson else nbinom(size, size / (size + mean))
    assert none == pytest.approx(of.pmf(0), rel=1e-4)
    assert none * ratio == pytest.approx(of.pmf(1), rel=1e-4)
    assert alpha.tolist() == [0.0 if is_poisson else spread] * 3
