"""Sums of paths: exact on every path, over crossing trees and time."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.forecast.demand.hierarchy import path_sums
from pipelines.forecast.demand.hierarchy.sample_paths import Counts, Paths, PathsError

START = datetime(2024, 1, 1)


def built(values: Counts) -> Paths:
    series, steps, _ = values.shape
    ids = pl.Series("unique_id", [f"s{i}" for i in range(series)])
    return Paths(ids, pl.Series("ds", [START + timedelta(hours=6 * i) for i in range(steps)]), values)


counts = hnp.arrays(
    np.int32, st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 9)), elements=st.integers(0, 99)
)


@given(counts, st.data())
def test_every_group_of_crossing_trees_is_the_exact_sum_of_its_series_on_each_path(
    values: Counts, data: st.DataObject
) -> None:
    drawn = built(values)
    pairs = [(name, f"{tree}{data.draw(st.integers(0, 2))}") for name in drawn.ids for tree in "xy"]
    membership = pl.DataFrame(pairs, schema=["unique_id", "group"], orient="row")
    result = path_sums.over_areas(drawn, membership)
    for group, total in zip(result.ids, result.values, strict=True):
        rows = [int(name[1:]) for name, of in pairs if of == group]
        assert (total == values[rows].sum(axis=0)).all()
    for tree in "xy":
        is_tree = result.ids.str.starts_with(tree).to_numpy()
        assert (result.values[is_tree].sum(axis=0) == values.sum(axis=0)).all()


@given(counts)
def test_days_are_the_exact_sums_of_their_steps_on_each_path(values: Counts) -> None:
    drawn = built(values)
    result = path_sums.over_time(drawn, drawn.starts.dt.truncate("1d"))
    for i, day in enumerate(result.starts):
        inside = (drawn.starts.dt.truncate("1d") == day).to_numpy()
        assert (result.values[:, i] == values[:, inside].sum(axis=1)).all()
    assert (result.values.sum(axis=1) == values.sum(axis=1)).all()


@given(counts)
def test_areas_then_time_is_time_then_areas(values: Counts) -> None:
    drawn = built(values)
    membership = drawn.ids.to_frame().with_columns(pl.lit("all").alias("group"))
    days = drawn.starts.dt.truncate("1d")
    single = path_sums.over_time(path_sums.over_areas(drawn, membership), days)
    other = path_sums.over_areas(path_sums.over_time(drawn, days), membership)
    assert (single.values == other.values).all()


def test_steps_without_a_period_are_left_out() -> None:
    drawn = built(np.ones((1, 3, 2), np.int32))
    result = path_sums.over_time(drawn, pl.Series([START, None, START]))
    assert result.values.tolist() == [[[2, 2]]]


def test_periods_of_another_length_are_rejected() -> None:
    with pytest.raises(PathsError, match="one period for every step"):
        path_sums.over_time(built(np.ones((1, 3, 2), np.int32)), pl.Series([START]))


def test_a_group_without_one_of_its_series_is_rejected() -> None:
    membership = pl.DataFrame({"unique_id": ["s0", "gone"], "group": ["all", "all"]})
    with pytest.raises(PathsError, match="'all' has no paths of 'gone'"):
        path_sums.over_areas(built(np.ones((1, 1, 2), np.int32)), membership)


def test_a_dispersion_is_that_of_the_negative_binomial_drawn() -> None:
    rng = np.random.default_rng(3)
    for mean in (2.0, 400.0):
        drawn = built(rng.negative_binomial(20, 20 / (20 + mean), (1, 6, 2_000)).astype(np.int32))
        assert path_sums.dispersions(drawn, pl.lit(0))["dispersion"].to_list() == pytest.approx([0.05] * 6, rel=0.25)


def test_a_storm_in_a_few_paths_does_not_widen_all_levels_of_a_large_sum() -> None:
    values = np.random.default_rng(4).poisson(400, (1, 6, 500)).astype(np.int32)
    calm = path_sums.dispersions(built(values), pl.lit(0))["dispersion"][0]
    values[:, :, :10] += 2_000
    stormy = path_sums.dispersions(built(values), pl.lit(0))["dispersion"][0]
    assert stormy == pytest.approx(calm, abs=0.001)
