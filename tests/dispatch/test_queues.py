"""Erlang's formulas and the hypercube, against published values and against each other."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.dispatch import hypercube, queues
from pipelines.dispatch.hypercube import Balance
from pipelines.dispatch.posts import PlanError


@pytest.mark.parametrize(
    ("units", "load", "probability"),
    # By hand: one server waits with probability rho; two servers with 2 rho² / (1 + rho), rho = a / 2. The last two are
    # of textbooks: a call centre of 100 calls in half an hour of 3 minutes each (10 Erlangs) with 14 agents: 17.4 %.
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (14, 10.0, 0.174132), (5, 4.0, 0.554113)],
)
def test_erlang_c_equals_published_values(units: int, load: float, probability: float) -> None:
    assert queues.erlang_c(units, load) == pytest.approx(probability, abs=5e-7)


def test_erlang_b_equals_published_values() -> None:
    assert queues.erlang_b([1, 2, 5], [1.0, 1.0, 3.0]) == pytest.approx([0.5, 0.2, 0.110054], abs=5e-7)
    assert queues.erlang_b([0, 3], [1.0, 0.0]).tolist() == [1, 0]


def test_with_too_few_units_every_call_waits_and_without_load_none() -> None:
    assert queues.erlang_c([0, 2, 5], [1.0, 2.0, 0.0]).tolist() == [1, 1, 0]


def test_correction_factors_equal_those_of_larson_and_odoni() -> None:
    assert queues.correction_factors(3, 0.5) == pytest.approx([1, 0.73684, 0.63158], abs=5e-6)


@given(st.integers(1, 40), st.floats(0.05, 0.95), st.booleans())
def test_the_busy_counts_are_those_of_erlang(units: int, share: float, calls_wait: bool) -> None:
    counts = queues.busy_counts(units, share * units, calls_wait)
    erlang = queues.erlang_c if calls_wait else queues.erlang_b
    assert counts.sum() == pytest.approx(1)
    assert counts[-1] == pytest.approx(float(erlang(units, share * units)))
    first = queues.all_of_first_busy(counts)
    assert first[0] == pytest.approx(1) and first[-1] == pytest.approx(counts[-1])
    assert first[1] == pytest.approx(counts @ np.arange(units + 1) / units), "the busy share of a unit"


# The three-server example of Larson and Odoni (1981), 5.4.3: atoms 1 and 2, atom 4, and the areas of units 2 and 3.
CALLS = np.array([0.5, 0.25, 0.35, 0.4])
ORDER = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1]])


def test_the_exact_hypercube_equals_the_example_of_larson_and_odoni() -> None:
    result = hypercube.exact(CALLS, ORDER, np.ones(3), calls_wait=True)
    assert result.utilisation == pytest.approx([0.5574, 0.4734, 0.4693], abs=5e-5)
    assert result.all_busy == pytest.approx(float(queues.erlang_c(3, 1.5)))
    assert result.served.sum(axis=0) == pytest.approx([1 - result.all_busy] * 4)


def test_the_approximate_hypercube_is_near_the_example_of_larson_and_odoni() -> None:
    result = hypercube.approximate(CALLS, ORDER, np.ones((3, 4)), np.ones(3, dtype=int), calls_wait=True)
    assert result.utilisation == pytest.approx([0.5574, 0.4734, 0.4693], abs=0.007)


def test_units_of_one_kind_lose_as_many_calls_as_erlang_b() -> None:
    result = hypercube.exact(CALLS, ORDER, np.full(3, 2.0), calls_wait=False)
    assert result.all_busy == pytest.approx(float(queues.erlang_b(3, 3.0)))


def random_city(seed: int, several: bool, calls_wait: bool) -> tuple[Balance, Balance, np.ndarray]:
    """The exact balance by place, the approximate one, and the calls, of a random city of 4 to 9 units."""
    rng = np.random.default_rng(seed)
    total = int(rng.integers(4, 10))
    count = max(2, total // 2) if several else total
    units = 1 + np.bincount(rng.integers(0, count, total - count), minlength=count)
    order = ((rng.random((20, 1, 2)) - rng.random((1, count, 2))) ** 2).sum(axis=2).argsort(axis=1)
    hours, calls = rng.uniform(0.7, 1.4, count), rng.gamma(1, 1, 20)
    calls *= rng.uniform(0.3, 0.7) * total / calls.sum()
    place = np.repeat(np.arange(count), units)
    by_unit = np.array([[unit for near in row for unit in np.flatnonzero(place == near)] for row in order])
    exact = hypercube.exact(calls, by_unit, hours[place], calls_wait)
    merged = Balance(
        np.bincount(place, exact.utilisation) / units,
        np.array([exact.served[place == near].sum(axis=0) for near in range(count)]),
        exact.all_busy,
    )
    near = hypercube.approximate(calls, order, np.repeat(hours[:, None], 20, axis=1), units, calls_wait)
    return merged, near, calls


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000), st.booleans(), st.booleans())
@example(7, True, True)
def test_the_approximation_is_near_the_exact_hypercube(seed: int, several: bool, calls_wait: bool) -> None:
    exact, near, calls = random_city(seed, several, calls_wait)
    assert near.utilisation == pytest.approx(exact.utilisation, abs=0.05)
    assert np.abs(near.utilisation - exact.utilisation).mean() < 0.025
    elsewhere = np.abs(near.served - exact.served).sum(axis=0) / 2
    assert calls @ elsewhere / calls.sum() < 0.05
    assert near.all_busy == pytest.approx(exact.all_busy, abs=0.05)


def test_on_average_the_approximation_errs_by_half_a_point() -> None:
    errors = [
        np.abs(near.utilisation - exact.utilisation).mean()
        for seed in range(40)
        for exact, near, _ in [random_city(seed, seed % 2 == 0, seed % 4 < 2)]
    ]
    assert 0.001 < np.mean(errors) < 0.007


def test_times_on_task_may_depend_on_place_and_zone() -> None:
    hours = np.array([[0.5, 0.5, 1, 1], [1, 1, 0.5, 1], [1, 1, 1, 0.5]])
    units = np.array([2, 1, 1])
    result = hypercube.approximate(CALLS, ORDER, hours, units, calls_wait=False)
    work = (result.served * CALLS * hours).sum(axis=1)
    assert result.utilisation * units == pytest.approx(work)
    assert result.served.sum(axis=0) == pytest.approx([1 - result.all_busy] * 4)


def test_more_calls_than_units_can_serve_are_refused_where_they_wait() -> None:
    with pytest.raises(PlanError, match="more than the units can serve"):
        hypercube.exact(CALLS, ORDER, np.full(3, 2.0), calls_wait=True)
    with pytest.raises(PlanError, match="calls would queue up"):
        hypercube.approximate(CALLS, ORDER, np.full((3, 4), 2.0), np.ones(3, dtype=int), calls_wait=True)
    with pytest.raises(PlanError, match="13 units have too many states"):
        hypercube.exact(CALLS, ORDER, np.ones(13), calls_wait=True)
