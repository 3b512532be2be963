"""The simulation: against published traces, an event loop of its own, and queueing theory."""

import heapq
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dispatch import comparison, queues
from pipelines.dispatch.simulation import SIDE_BY_SIDE, Calls, Fleet, Hours, Outcome, simulate
from pipelines.dispatch.way_home import Way
from tests.dispatch import utrecht
from tests.dispatch.utrecht import needs_utrecht

LINE = Way(np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0))) * 10, speed=1.0)
"""Five zones in a row, 10 minutes apart."""


def calls(*rows: Sequence[float], **columns: Sequence[float]) -> Calls:
    """One run of calls: minute, zone, minutes on scene."""
    at, zone, on_scene = (np.array([values], dtype=float) for values in zip(*rows, strict=True))

    def given(name: str, default: float) -> np.ndarray:
        return np.array([columns.get(name, [default] * len(rows))], dtype=float)

    return Calls(
        np.array([len(rows)]), at, zone.astype(int), on_scene, given("drop_off", np.nan), given("urgency", 0.0),
        given("needs", -1).astype(int),
    )  # fmt: skip


def run(fleet: Fleet, given: Calls, hospitals: Sequence[int] = (), way: Way = LINE) -> list[tuple[int, float, float]]:
    """Unit, waiting and driving minutes of each call of one run."""
    result = simulate(way, fleet, np.array(hospitals, dtype=int), given)
    return list(zip(*(values[0].tolist() for values in (result.unit, result.waiting, result.driving)), strict=True))


def homes(*zones: int, **options: Any) -> Fleet:
    return Fleet(np.array(zones), **options)


def test_the_nearest_idle_unit_is_sent_and_of_several_the_first() -> None:
    assert run(homes(0, 4, 4), calls((0, 3, 5), (1, 3, 5), (2, 3, 5))) == [(1, 0, 10), (2, 0, 10), (0, 0, 30)]


def test_calls_wait_for_the_first_idle_unit_in_their_order() -> None:
    assert run(homes(0), calls((0, 0, 20), (5, 1, 20), (6, 0, 1))) == [(0, 0, 0), (0, 15, 10), (0, 44, 10)]


def test_of_calls_that_wait_the_most_urgent_is_first() -> None:
    waiting = calls((0, 0, 20), (5, 1, 20), (6, 0, 1), urgency=[1, 2, 0])
    assert run(homes(0), waiting) == [(0, 0, 0), (0, 16, 10), (0, 14, 0)]


def test_a_unit_drives_to_the_hospital_nearest_to_the_call() -> None:
    result = simulate(LINE, homes(0), np.array([0, 4]), calls((0, 3, 5), drop_off=[7.0]))
    assert result.hospital.tolist() == [[4]] and result.end.tolist() == [[30 + 5 + 10 + 7]]


def test_a_unit_on_its_way_home_is_sent_from_where_it_is() -> None:
    # Idle in zone 4 at 45, home (0) at 85; at 57 it is 12 minutes from zone 4, so in zone 3; at 62 in zone 2.
    for at, drive in ((57, 10.0), (62, 0.0), (90, 20.0)):
        assert run(homes(0), calls((0, 4, 5), (at, 2, 1)))[1] == (0, 0, drive)
    with_points = Way(LINE.minutes, np.array([[float(zone), 0] for zone in range(5)]), speed=0.5)
    assert run(homes(0), calls((0, 4, 5), (62, 2, 1)), way=with_points)[1] == (0, 0, 10.0), "half as fast: zone 3"


def test_a_call_that_needs_a_capability_waits_for_a_unit_that_has_it() -> None:
    skills = np.array([[True], [False]])
    given = calls((0, 0, 30), (1, 0, 1), (2, 1, 1), needs=[-1, 0, -1])
    assert run(homes(0, 1, skills=skills), given) == [(0, 0, 0), (0, 29, 0), (1, 0, 0)]


def test_a_unit_is_sent_only_in_its_hours() -> None:
    hours = Hours(np.array([60.0, 1380.0]), np.array([30.0, 120.0]), np.array([np.inf, 1440.0]))
    given = calls((10, 0, 100), (130, 0, 1), (1441, 0, 1), (3000, 0, 1))
    # The first unit serves from 60 to 90 only; the second from 23:00 to 01:00 of every day.
    assert run(homes(0, 0, hours=hours), given) == [(1, 0, 0), (1, 1250, 0), (1, 0, 0), (1, 1260, 0)]
    never = run(homes(0, hours=Hours(np.array([0.0]), np.array([5.0]), np.array([np.inf]))), calls((9, 0, 1)))
    assert never[0][0] == -1 and np.isnan(never[0][1:]).all()


def test_runs_side_by_side_do_not_meet() -> None:
    count, fleet = SIDE_BY_SIDE + 9, homes(0, 2, 4)
    rng = np.random.default_rng(4)
    runs = [random_calls(rng, int(rng.integers(1, 30)), False) for _ in range(count)]
    longest = max(int(one_run.count[0]) for one_run in runs)

    def padded(name: str) -> np.ndarray:
        wide = [np.pad(getattr(one_run, name)[0], (0, longest - one_run.count[0])) for one_run in runs]
        return np.array(wide)

    names = ("at", "zone", "on_scene", "drop_off", "urgency", "needs")
    together = Calls(np.array([one_run.count[0] for one_run in runs]), *(padded(name) for name in names))
    joint = simulate(LINE, fleet, np.array([0, 4]), together)
    for row, one_run in enumerate(runs):
        alone, length = simulate(LINE, fleet, np.array([0, 4]), one_run), int(one_run.count[0])
        for name in ("unit", "waiting", "driving", "end", "hospital"):
            assert np.array_equal(getattr(joint, name)[row, :length], getattr(alone, name)[0], equal_nan=True)
            assert length == longest or joint.unit[row, length] == -1


def random_calls(rng: np.random.Generator, count: int, with_needs: bool) -> Calls:
    shape = (1, count)
    return Calls(
        np.array([count]), np.sort(rng.uniform(0, 12 * count, shape)), rng.integers(0, 5, shape),
        rng.exponential(30, shape), np.where(rng.random(shape) < 0.5, rng.exponential(10, shape), np.nan),
        rng.integers(0, 3, shape).astype(float), rng.integers(-1, 2, shape) if with_needs else np.full(shape, -1),
    )  # fmt: skip


def by_events(fleet: Fleet, given: Calls, hospitals: Sequence[int]) -> list[tuple[int, float, float]]:
    """The same rules as a plain loop over events: calls, units that become idle, shifts that begin."""
    count, minutes = int(given.count[0]), LINE.minutes
    idle_since, left = [0.0] * fleet.homes.size, fleet.homes.tolist()
    answers = [(-1, np.nan, np.nan)] * count
    events = [(float(given.at[0, number]), 1, number) for number in range(count)]
    for unit in range(fleet.homes.size if fleet.hours is not None else 0):
        start, period = (float(getattr(fleet.hours, name)[unit]) for name in ("start", "period"))
        days = range(-1, 10) if np.isfinite(period) else range(1)
        events += [(start + day * period if day else start, 1, -1) for day in days]
    heapq.heapify(events)
    waiting: list[int] = []

    def can(unit: int, number: int, now: float) -> bool:
        need = given.needs[0, number]
        skilled = need < 0 or fleet.skills is None or bool(fleet.skills[unit, need])
        if fleet.hours is not None and skilled:
            period = fleet.hours.period[unit]
            since = now - fleet.hours.start[unit] + 1e-9
            since = since % period if np.isfinite(period) else since
            skilled = bool(0 <= since < fleet.hours.length[unit])
        return skilled and idle_since[unit] <= now

    def drive(unit: int, number: int, now: float) -> float:
        home, gone = fleet.homes[unit], now - idle_since[unit]
        whole = minutes[left[unit], home]
        place = home if gone >= whole else left[unit] + np.sign(home - left[unit]) * gone / 10
        nearest = min(range(5), key=lambda zone: (round(abs(zone - place), 9), zone))
        return float(minutes[nearest, given.zone[0, number]])

    while events:
        now, _, number = heapq.heappop(events)
        waiting += [number] if number >= 0 else []
        for call in sorted(waiting, key=lambda call: (given.urgency[0, call], given.at[0, call], call)):
            able = [unit for unit in range(fleet.homes.size) if can(unit, call, now)]
            if not able:
                continue
            unit = min(able, key=lambda unit: (drive(unit, call, now), unit))
            minutes_there, zone = drive(unit, call, now), int(given.zone[0, call])
            end = now + minutes_there + given.on_scene[0, call]
            if not np.isnan(given.drop_off[0, call]):
                hospital = min(hospitals, key=lambda place: minutes[zone, place])
                end, zone = end + minutes[zone, hospital] + given.drop_off[0, call], hospital
            idle_since[unit], left[unit] = end, zone
            answers[call] = (unit, now - given.at[0, call], minutes_there)
            waiting.remove(call)
            heapq.heappush(events, (end, 0, -1))
    return answers


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.booleans(), st.booleans())
def test_the_recursion_equals_a_loop_over_events(seed: int, with_hours: bool, with_needs: bool) -> None:
    rng = np.random.default_rng(seed)
    given = random_calls(rng, 40, with_needs)
    hours = Hours(rng.uniform(0, 400, 3), rng.uniform(60, 400, 3), np.array([480.0, 480.0, np.inf]))
    skills = np.array([[True, False], [False, True], [True, True]]) if with_needs else None
    fleet = homes(0, 2, 4, hours=hours if with_hours else None, skills=skills)
    points = Way(LINE.minutes, np.array([[float(zone), 0] for zone in range(5)]), speed=1.0)
    result = run(fleet, given, (0, 4), points)
    expected = by_events(fleet, given, (0, 4))
    assert [row[0] for row in result] == [row[0] for row in expected]
    assert np.array(result) == pytest.approx(np.array(expected), abs=1e-6, nan_ok=True)


def test_calls_wait_as_often_as_in_an_erlang_c_queue() -> None:
    days, each, rng = 120, 900, np.random.default_rng(11)
    shape = (days, each)
    given = Calls(
        np.full(days, each), np.cumsum(rng.exponential(1 / 4, shape), axis=1), np.zeros(shape, dtype=int),
        rng.exponential(1, shape), np.full(shape, np.nan), np.zeros(shape), np.full(shape, -1),
    )  # fmt: skip
    result = simulate(Way(np.zeros((1, 1))), homes(*[0] * 5), np.zeros(0, dtype=int), given)
    waited = (result.waiting[:, 300:] > 0).mean(axis=1)
    assert waited.mean() == pytest.approx(float(queues.erlang_c(5, 4)), abs=3 * waited.std() / np.sqrt(days))
    assert 3 * waited.std() / np.sqrt(days) < 0.04


# Utrecht


def region() -> tuple[Way, dict[str, int], np.ndarray]:
    travel = utrecht.travel()
    place = travel.index()
    points = utrecht.nodes().select("x", "y").to_numpy()
    hospitals = np.array([place[zone] for zone in utrecht.column("Hospital_Postal_Codes_Utrecht_2021.csv")])
    return Way(travel.minutes, points), place, hospitals


@needs_utrecht
@pytest.mark.parametrize(("number", "units"), [(3, 23), (5, 20)])
def test_every_response_time_of_the_published_traces_is_reproduced(number: int, units: int) -> None:
    way, place, hospitals = region()
    zones = [place[str(int(zone))] for zone in utrecht.trace(number, "location_IDs")]
    drop_off = np.where(utrecht.trace(number, "to_hospital_bool"), utrecht.trace(number, "drop_off_times"), np.nan)
    at, on_scene = utrecht.trace(number, "interarrival_times").cumsum(), utrecht.trace(number, "on_site_aid_times")
    given = calls(*zip(at, zones, on_scene, strict=True), drop_off=drop_off.tolist())
    fleet = homes(*(place[zone] for zone in utrecht.bases(units)))
    result = simulate(way, fleet, hospitals, given)
    wanted = utrecht.published(number, ["response_time", "assigned_to_ambulance_nr"])
    assert np.abs(result.response[0] - wanted["response_time"].to_numpy()).max() < 1e-9
    assert result.unit[0].tolist() == wanted["assigned_to_ambulance_nr"].to_list()


def days_of_utrecht(days: int, place: dict[str, int]) -> Calls:
    """Days of 288 calls, from the inhabitants of the nodes and the tasks of the traces."""
    rng, shape = np.random.default_rng(1), (days, 288)
    names = ("on_site_aid_times", "to_hospital_bool", "drop_off_times")
    on_scene, to_hospital, drop_off = (
        np.concatenate([utrecht.trace(number, name) for number in (3, 5)]) for name in names
    )
    task, weight = rng.integers(0, on_scene.size, shape), utrecht.nodes()["weight"].to_numpy()
    zone = rng.choice(len(place), shape, p=weight / weight.sum())
    return Calls(
        np.full(days, 288), np.sort(rng.uniform(0, 1440, shape), axis=1), zone, on_scene[task],
        np.where(to_hospital[task], drop_off[task], np.nan), np.zeros(shape), np.full(shape, -1),
    )  # fmt: skip


@needs_utrecht
def test_the_best_posts_miss_fewer_calls_than_one_unit_per_base_and_three_where_most_people_live() -> None:
    way, place, hospitals = region()
    weight = utrecht.nodes()["weight"].to_numpy()
    every = [place[zone] for zone in utrecht.column("RAVU_base_locations_Utrecht_2021.csv")]
    even = [*every, *sorted(every, key=lambda base: -weight[base])[:3]]
    given = days_of_utrecht(400, place)

    def missed(zones: Sequence[int]) -> np.ndarray:
        outcome: Outcome = simulate(way, homes(*zones), hospitals, given)
        return (outcome.response > 12).astype(float)

    begun = time.process_time()
    best = missed([place[zone] for zone in utrecht.bases(24)])
    assert (time.process_time() - begun) / 400 < 0.03, "seconds a day"
    usual = missed(even)
    assert (best.mean(), usual.mean()) == pytest.approx((0.1301, 0.1557), abs=5e-5)
    days = np.repeat(np.arange(400), 288)
    change = comparison.paired_difference(best.ravel(), usual.ravel(), days, np.random.default_rng(2))
    assert change.low is not None and change.high is not None
    assert -0.029 < change.low < change.value < change.high < -0.022


def test_an_interval_is_of_days_not_of_calls() -> None:
    days = np.repeat(np.arange(20), 50)
    shifted = np.repeat(np.random.default_rng(3).normal(0, 1, 20), 50)
    change = comparison.paired_difference(shifted, np.zeros(1000), days, np.random.default_rng(4))
    assert change.low is not None and change.high is not None
    assert change.value == pytest.approx(shifted.mean())
    assert change.high - change.low == pytest.approx(2 * 1.96 * shifted.std() / np.sqrt(20), rel=0.15)
    few = comparison.paired_difference(np.ones(4), np.zeros(4), np.arange(4), np.random.default_rng(5))
    assert (few.value, few.low, few.high) == (1.0, None, None)
