"""Posts that must not be left empty, compliance tables, and relocation."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dispatch import comparison, posts, standby
from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.relocation import Relocation
from pipelines.dispatch.simulation import Calls, Fleet, Hours, simulate
from pipelines.dispatch.way_home import Way
from tests.dispatch import utrecht
from tests.dispatch.test_simulation import days_of_utrecht, region
from tests.dispatch.utrecht import needs_utrecht

COVERS = np.array([[True, True, False, False], [False, True, True, False], [False, False, False, True]])
WEIGHTS = np.array([4.0, 3, 2, 1])


def test_a_post_is_missed_by_what_only_it_reaches() -> None:
    regret = standby.regrets(COVERS, WEIGHTS, np.array([1, 1, 0]), busy=0.0)
    assert regret.lost == pytest.approx([0.4, 0.2, 0])
    # Without the first post, the unit of the second gains by moving there; without the second, none should move.
    assert regret.lost_after_move == pytest.approx([0.2, 0.2, 0])
    assert regret.move_from.tolist() == [1, -1, -1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_compliance_table_is_near_the_best_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covers, weights, chances = rng.random((6, 10)) < 0.4, rng.random(10), rng.random(4)
    capacity = np.ones(6, dtype=int)
    order = standby.compliance(covers, weights, chances, 0.3, capacity)

    def value(chosen: tuple[int, ...]) -> float:
        manned = [np.bincount(chosen[:number], minlength=6) for number in range(1, 5)]
        return float(sum(c * posts.coverage(covers, weights, m, 0.3) for c, m in zip(chances, manned, strict=True)))

    best = max(value(chosen) for chosen in permutations(range(6), 4))
    assert sorted(set(order.tolist())) == sorted(order.tolist())
    assert 0.95 * best <= value(tuple(order.tolist())) <= best + 1e-9


def test_the_gap_to_the_best_posts_without_nesting_is_reported() -> None:
    # One unit reaches most from the middle; two units do best at the ends, and one of them would have to move.
    covers = np.array([[True, True, False, False], [False, True, True, False], [False, False, True, True]])
    weights, capacity = np.array([2.0, 3, 3, 2]), np.ones(3, dtype=int)
    order = standby.compliance(covers, weights, np.array([0.9, 0.1, 0.1]), 0.0, capacity)
    table = standby.gaps(covers, weights, order, 0.0, capacity, ["a", "b", "c"])
    assert table["idle_units"].to_list() == [1, 2, 3] and table["zone"].to_list() == ["b", "a", "c"]
    assert table["coverage"].to_list() == pytest.approx([0.6, 0.8, 1])
    assert table["best_coverage"].to_list() == pytest.approx([0.6, 1, 1])
    assert table["gap"].to_list() == pytest.approx([0, 0.2, 0])
    likely_two = standby.compliance(covers, weights, np.array([0.1, 0.9, 0.1]), 0.0, capacity)
    assert sorted(likely_two.tolist()[:2]) == [0, 2], "exchanged, because two idle units are more likely"


def test_units_without_room_get_no_table() -> None:
    with pytest.raises(PlanError, match="4 units do not fit: the posts have room for 3"):
        standby.compliance(COVERS, WEIGHTS, np.ones(4), 0.5, np.ones(3, dtype=int))


LINE = Way(np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0))) * 10, speed=1.0)


def one_run(*rows: tuple[float, int, float]) -> Calls:
    at, zone, on_scene = (np.array([values], dtype=float) for values in zip(*rows, strict=True))
    return Calls(np.array([len(rows)]), at, zone.astype(int), on_scene, at * np.nan, at * 0, zone.astype(int) * 0 - 1)


def relocation(*zones: int, weights: tuple[float, ...] = (1, 1, 1, 1, 1), busy: float = 0.5) -> Relocation:
    at = np.array(zones)
    return Relocation(at, LINE.minutes[at] <= 10, np.array(weights), busy)


def test_a_unit_that_becomes_idle_drives_to_the_post_where_it_helps_most() -> None:
    # Both units live in zone 0. The second covers zones 0 and 1, so the first drives to zone 4 after its call.
    fleet = Fleet(np.array([0, 0]), relocation=relocation(0, 4))
    calls = one_run((0, 2, 10), (51, 4, 1), (52, 0, 1))
    result = simulate(LINE, fleet, np.zeros(0, dtype=int), calls)
    assert result.unit.tolist() == [[0, 0, 1]] and result.driving.tolist() == [[20, 0, 0]]
    still = simulate(LINE, Fleet(np.array([0, 0])), np.zeros(0, dtype=int), calls)
    assert still.driving.tolist() == [[20, 40, 0]]


def test_units_that_become_idle_together_are_relocated_one_after_another() -> None:
    fleet = Fleet(np.array([0, 0, 0]), relocation=relocation(0, 4, weights=(2, 1, 0, 1, 2)))
    calls = one_run((0, 2, 5), (0, 2, 6), (0, 2, 7), (90, 4, 1), (90, 0, 1), (90, 4, 1))
    result = simulate(LINE, fleet, np.zeros(0, dtype=int), calls)
    # The first goes to zone 0 (equal gain, listed first), the second to 4, the third to 0.
    assert result.unit.tolist()[0][3:] == [1, 0, 2] and result.driving.tolist()[0][3:] == [0, 0, 40]


def test_a_unit_takes_a_call_that_waits_before_it_is_relocated() -> None:
    fleet = Fleet(np.array([0]), relocation=relocation(0, 4))
    result = simulate(LINE, fleet, np.zeros(0, dtype=int), one_run((0, 2, 10), (5, 2, 1), (90, 0, 1)))
    assert result.waiting.tolist() == [[0, 25, 0]] and result.driving.tolist() == [[20, 0, 0]]


def test_relocation_needs_posts_for_every_home_and_units_without_hours() -> None:
    calls, none = one_run((0, 2, 10)), np.zeros(0, dtype=int)
    with pytest.raises(PlanError, match="a unit's home is not among the posts"):
        simulate(LINE, Fleet(np.array([1]), relocation=relocation(0, 4)), none, calls)
    hours = Hours(np.zeros(1), np.full(1, 60.0), np.full(1, 1440.0))
    with pytest.raises(PlanError, match="units with hours of service cannot be relocated"):
        simulate(LINE, Fleet(np.array([0]), hours, relocation=relocation(0)), none, calls)


@needs_utrecht
def test_relocation_misses_a_quarter_fewer_calls_in_utrecht() -> None:
    way, place, hospitals = region()
    calls, homes = days_of_utrecht(200, place), np.array([place[zone] for zone in utrecht.bases(24)])
    bases = np.array([place[zone] for zone in utrecht.column("RAVU_base_locations_Utrecht_2021.csv")])
    moving = Relocation(bases, way.minutes[bases] <= 12, utrecht.nodes()["weight"].to_numpy(), 0.4)
    missed = [
        (simulate(way, Fleet(homes, relocation=policy), hospitals, calls).response > 12).astype(float).ravel()
        for policy in (moving, None)
    ]
    change = comparison.paired_difference(*missed, np.repeat(np.arange(200), 288), np.random.default_rng(1))
    assert change.high is not None and change.high < -0.03
    assert missed[0].mean() / missed[1].mean() == pytest.approx(0.725, abs=0.02)
