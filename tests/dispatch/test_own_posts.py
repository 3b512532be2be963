"""Demand and posts as people have them, and what a plan states."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pytest

from pipelines.dispatch import own_posts
from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.travel import Travel

TRAVEL = Travel(("a", "b", "c"), np.array([[0.0, 4, 9], [5, 0, 9], [9, 9, 0]]))
PAIRS = Travel(TRAVEL.zones, TRAVEL.minutes, is_matrix=False)


def rows(**columns: Sequence[object]) -> pl.DataFrame:
    return pl.DataFrame(columns, strict=False)


def plan(travel: Travel = TRAVEL, within: float = 4, **options: object) -> own_posts.Plan:
    sites = own_posts.sites_of(rows(zone=["a", "b", "c"], units=["1", "0", ""]), travel, "posts.csv")
    given: Mapping[str, object] = {"units": 1, "busy": 0.5} | options
    return own_posts.plan(travel, np.array([5.0, 3, 2]), sites, within, **given)  # type: ignore[arg-type]


def test_a_plan_states_what_is_reached_and_what_is_today() -> None:
    result = plan(PAIRS)
    assert result.placed.rows() == [("a", 1)]
    assert (result.objective, result.coverage) == pytest.approx((0.4, 0.8))
    assert (result.today_objective, result.today_coverage) == pytest.approx((0.4, 0.8))
    assert result.turned_objective is None, "pairs state their direction"


def test_rows_of_a_matrix_are_zones_unless_stated() -> None:
    zones, sites = plan(), plan(matrix_rows="posts")
    assert zones.placed.rows() == [("b", 1)] and sites.placed.rows() == [("a", 1)]
    assert zones.objective == pytest.approx(0.4) and zones.turned_objective == pytest.approx(0.15)
    assert plan(within=5).turned_objective is None, "both directions are within 5 minutes"


def test_without_a_busy_share_sites_are_chosen_once_each() -> None:
    assert plan(units=2, busy=None).placed.rows() == [("b", 1), ("c", 1)]
    with pytest.raises(PlanError, match="4 sites cannot be chosen from 3"):
        plan(units=4, busy=None)


def test_posts_that_reach_nothing_are_refused() -> None:
    sites = own_posts.sites_of(rows(zone=["c"]), TRAVEL, "posts.csv")
    with pytest.raises(PlanError, match="no post reaches any demand within 4 minutes"):
        own_posts.plan(TRAVEL, np.array([1.0, 1, 0]), sites, 4, 1, 0.5)


def test_several_posts_in_a_zone_add_up() -> None:
    listed = rows(zone=["b", "a", "b"], capacity=["2", "", "1"], units=["1", "1", "2"])
    sites = own_posts.sites_of(listed, TRAVEL, "posts.csv")
    assert sites.zones == ("b", "a") and sites.sites.tolist() == [2, 1]
    assert sites.capacity[0] == 3 < 10**6 < sites.capacity[1]
    assert sites.units is not None and sites.units.tolist() == [3, 1]


def test_zones_without_a_pair_are_never_reached_and_noted() -> None:
    notes = list[str]()
    demand = rows(zone=["a", "x"], weight=[3, 1])
    travel, weights = own_posts.demand_of(demand, PAIRS, "demand.csv", notes.append)
    assert travel.zones == ("a", "b", "c", "x") and weights.tolist() == [3, 0, 0, 1]
    assert np.isinf(travel.minutes[3]).all() and np.isinf(travel.minutes[:, 3]).all()
    assert notes == ["demand.csv: zones without a pair in --travel count as never reached: x (25.00% of the demand)"]


def test_a_note_names_a_few_zones() -> None:
    notes = list[str]()
    demand = rows(zone=["a", *"pqrstuv"], weight=[1] * 8)
    own_posts.demand_of(demand, PAIRS, "demand.csv", notes.append)
    assert "p, q, r, s, t and 2 more (87.50%" in notes[0]


@pytest.mark.parametrize(
    ("zone", "weight", "message"),
    [
        ("x", "1", "row 2: zone x is not in --travel; add it there, or correct its name"),
        ("b", "-1", "row 2: weight -1 is negative"),
        ("b", "", "row 2: weight is empty; give a number of 0 or more"),
        ("b", "many", "row 2: weight 'many' is not a number"),
        ("b", "inf", "row 2: weight 'inf' is not a finite number"),
        ("a", "1", "row 1: zone a occurs twice; add up its weights"),
        (None, "1", "row 2: zone is empty"),
    ],
)
def test_demand_that_cannot_be_used_is_refused_with_its_row(zone: str, weight: str, message: str) -> None:
    with pytest.raises(PlanError) as error:
        own_posts.demand_of(rows(zone=["a", zone], weight=["1", weight]), TRAVEL, "demand.csv")
    assert f"demand.csv, {message}" in str(error.value)


def test_demand_without_weight_or_without_a_known_zone_is_refused() -> None:
    with pytest.raises(PlanError, match=r"demand\.csv: no weight is above 0"):
        own_posts.demand_of(rows(zone=["a"], weight=[0]), TRAVEL, "demand.csv")
    with pytest.raises(PlanError, match=r"demand\.csv: none of its zones is in --travel \(row 1: X\)"):
        own_posts.demand_of(rows(zone=["X"], weight=[1]), PAIRS, "demand.csv")
    with pytest.raises(PlanError, match=r"demand\.csv has no rows"):
        own_posts.demand_of(rows(zone=[], weight=[]), PAIRS, "demand.csv")


@pytest.mark.parametrize(
    ("zone", "capacity", "message"),
    [("x", "1", "row 1: zone x is not in --travel"), ("a", "1.5", "row 1: capacity 1.5 is not whole")],
)
def test_posts_that_cannot_be_used_are_refused_with_their_row(zone: str, capacity: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        own_posts.sites_of(rows(zone=[zone], capacity=[capacity]), TRAVEL, "posts.csv")
