"""Calls, units and hospitals as people have them, and what the simulation of them states."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from pipelines.dispatch import own_simulation, own_times
from pipelines.dispatch.own_simulation import OwnCalls
from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.simulation import Fleet, simulate
from pipelines.dispatch.travel import Travel

TRAVEL = Travel(("a", "b", "c"), np.array([[0.0, 10, 20], [10, 0, 10], [20, 10, 0]]))


def rows(**columns: Sequence[object]) -> pl.DataFrame:
    return pl.DataFrame(columns, strict=False)


def calls_of(frame: pl.DataFrame, has_hospitals: bool = True) -> OwnCalls:
    return own_simulation.calls_of(frame, TRAVEL, has_hospitals, "calls.csv")


def simple(**columns: Sequence[object]) -> OwnCalls:
    given = {"called_at": ["0", "5"], "zone": ["a", "b"], "on_scene_minutes": ["10", "20"]} | columns
    return calls_of(rows(**given))


def fleet_of(calls: OwnCalls, **columns: Sequence[object]) -> Fleet:
    return own_simulation.fleet_of(rows(**columns), TRAVEL, calls, "units.csv")[1]


def test_calls_are_sorted_by_run_and_time_and_results_are_in_the_order_of_the_file() -> None:
    frame = rows(called_at=[30, 5, 0], zone=["c", "b", "a"], on_scene_minutes=[1, 1, 20], run=["x", "y", "x"])
    called = calls_of(frame)
    assert called.calls.count.tolist() == [2, 1] and called.calls.at[0].tolist() == [0, 30]
    units, fleet = own_simulation.fleet_of(rows(unit_id=["u"], zone=["a"]), TRAVEL, called, "units.csv")
    way = own_simulation.way_of(TRAVEL, None, 1.0, "")
    outcome = simulate(way, fleet, np.zeros(0, dtype=int), called.calls)
    result = own_simulation.results(called, outcome, units, TRAVEL, within=10)
    assert result["run"].to_list() == ["x", "y", "x"]
    assert result["response_minutes"].to_list() == [20, 10, 0] and result["is_missed"].to_list() == [True, False, False]
    assert own_simulation.summary(result).row(0) == (3, pytest.approx(1 / 3), 10, 18, 0, 0)
    (unit,) = own_simulation.by_unit(result, units, called).iter_rows(named=True)
    assert (unit["calls"], unit["busy_minutes"]) == (3, 20 + 21 + 11)


@pytest.mark.parametrize(
    ("times", "minutes", "midnight"),
    [
        (["2026-03-01 23:30", "2026-03-02 00:15"], [1410, 1455], datetime(2026, 3, 1)),
        (["1.5", "3"], [1.5, 3], None),
        ([1.5, 3.0], [1.5, 3], None),
        ([datetime(2026, 3, 1, 0, 0, 30), datetime(2026, 3, 2)], [0.5, 1440], datetime(2026, 3, 1)),
    ],
)
def test_calls_have_local_times_or_minutes(
    times: Sequence[object], minutes: Sequence[float], midnight: datetime | None
) -> None:
    called = simple(called_at=times)
    assert called.calls.at[0].tolist() == minutes and called.midnight == midnight
    back = own_times.written(pl.Series("called_at", called.calls.at[0]), midnight)
    assert back[0] == (minutes[0] if midnight is None else own_times.written(back, None)[0])


def test_minutes_may_be_the_name_of_the_column() -> None:
    called = calls_of(rows(minutes=["7"], zone=["a"], on_scene_minutes=["3"]))
    assert called.calls.at.tolist() == [[7]]


def test_calls_end_at_a_hospital_if_stated_or_if_they_have_a_drop_off() -> None:
    stated = simple(to_hospital=["True", "no"], drop_off_minutes=["15", "15"])
    assert stated.calls.drop_off[0].tolist() == [15, pytest.approx(np.nan, nan_ok=True)]
    implied = simple(drop_off_minutes=["", "15"])
    assert np.isnan(implied.calls.drop_off[0]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("zone", "x", "row 2: zone x is not in --travel"),
        ("called_at", "noon", "row 2: called_at 'noon' is not a time or a number of minutes"),
        ("on_scene_minutes", "", "row 2: on_scene_minutes is empty"),
        ("on_scene_minutes", "-3", "row 2: on_scene_minutes -3 is negative"),
        ("to_hospital", "maybe", "row 2: to_hospital 'maybe' is neither true nor false"),
        ("to_hospital", "true", "row 2: drop_off_minutes is empty, but to_hospital is true"),
        ("priority", "high", "row 2: priority 'high' is not a number"),
    ],
)
def test_a_call_that_cannot_be_used_is_refused_with_its_row(column: str, value: str, message: str) -> None:
    usual = {"zone": "a", "called_at": "0", "on_scene_minutes": "1", "to_hospital": "", "priority": "1"}
    with pytest.raises(PlanError) as error:
        simple(**{column: [usual[column], value]})
    assert f"calls.csv, {message}" in str(error.value)


def test_times_with_an_offset_are_refused() -> None:
    with pytest.raises(PlanError, match=r"calls\.csv, row 1: called_at '2026-03-01T00:00\+09:00' has an offset"):
        simple(called_at=["2026-03-01T00:00+09:00", "2026-03-01T00:05+09:00"])


def test_a_call_to_a_hospital_needs_hospitals() -> None:
    frame = rows(called_at=[0], zone=["a"], on_scene_minutes=[1], to_hospital=["1"], drop_off_minutes=[5])
    with pytest.raises(PlanError, match="row 1: to_hospital is true, but there are no --hospitals"):
        calls_of(frame, has_hospitals=False)


def test_units_may_have_hours_of_every_day() -> None:
    fleet = fleet_of(simple(), unit_id=["d", "n", "w"], zone=["a"] * 3, **{"from": ["08:00", "20:00", "9:00"],
                     "to": ["20:00", "08:00", "09:00"]})  # fmt: skip
    assert fleet.hours is not None
    assert fleet.hours.start.tolist() == [480, 1200, 540] and fleet.hours.length.tolist() == [720, 720, 1440]
    at = np.array([600.0, 600.0, 600.0])
    assert fleet.hours.next(at).tolist() == [600, 1200, 600]
    assert fleet.hours.next(at - 480).tolist() == [480, 120, 120], "the night shift of the day before ends at 08:00"


def test_units_may_have_hours_once_or_none() -> None:
    dated = simple(called_at=["2026-03-01 07:00", "2026-03-02 00:15"])
    columns = {"from": ["2026-03-01 08:00", ""], "to": ["2026-03-02 08:00", ""]}
    fleet = fleet_of(dated, unit_id=["d", "n"], zone=["a"] * 2, **columns)
    assert fleet.hours is not None
    assert fleet.hours.next(np.array([0.0, 0.0])).tolist() == [480, 0]
    assert fleet.hours.next(np.array([1920.0, 0.0])).tolist() == [np.inf, 0]
    assert fleet_of(simple(), unit_id=["d"], zone=["a"]).hours is None
    minutes = fleet_of(simple(), unit_id=["d"], zone=["a"], **{"from": ["3"], "to": ["9.5"]})
    assert minutes.hours is not None and minutes.hours.length.tolist() == [6.5]


def test_units_may_be_numbers_at_zones_as_plan_posts_writes_them() -> None:
    listed = rows(zone=["a", "b", "c", "a"], units=["2", "0", "1", "1"], capability=["als", "", "", ""])
    units, fleet = own_simulation.fleet_of(listed, TRAVEL, simple(capability=["als", ""]), "plan.csv")
    assert units.rows() == [("a-1", "a"), ("a-2", "a"), ("c-1", "c"), ("a-3", "a")]
    assert fleet.homes.tolist() == [0, 0, 2, 0]
    assert fleet.skills is not None and fleet.skills[:, 0].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("zone", "units", "message"),
    [("b", "1.5", "row 2: units 1.5 is not whole"), ("x", "1", "row 2: zone x is not in"), ("b", "0", "no units is")],
)
def test_a_number_of_units_that_cannot_be_used_is_refused(zone: str, units: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        fleet_of(simple(), zone=["a", zone], units=["0", units])


def test_what_a_unit_does_after_the_last_call_is_not_in_its_busy_share() -> None:
    called = simple(called_at=["0", "10"], zone=["a", "a"], on_scene_minutes=["30", "30"])
    units, fleet = own_simulation.fleet_of(rows(unit_id=["u", "v"], zone=["a", "b"]), TRAVEL, called, "units.csv")
    outcome = simulate(own_simulation.way_of(TRAVEL, None, 1.0, ""), fleet, np.zeros(0, dtype=int), called.calls)
    result = own_simulation.results(called, outcome, units, TRAVEL, within=10)
    shares = own_simulation.by_unit(result, units, called).select("busy_minutes", "busy_share")
    assert shares.rows() == [(30, 1), (40, 0)]


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("08:00", "", "row 1: one of from and to is empty; give both, or neither"),
        ("9", "9", "row 1: to 9 is not later than from 9"),
        ("early", "9", "row 1: from 'early' is neither hh:mm nor minutes, as the calls have"),
        ("08:00", "25:00", "row 1: to '25:00' is not hh:mm, but the other is; write both alike"),
        ("480", "20:00", "row 1: from '480' is not hh:mm, but the other is; write both alike"),
    ],
)
def test_hours_that_cannot_be_read_are_refused_with_their_row(start: str, end: str, message: str) -> None:
    with pytest.raises(PlanError) as error:
        fleet_of(simple(), unit_id=["u"], zone=["a"], **{"from": [start], "to": [end]})
    assert f"units.csv, {message}" in str(error.value)
    dated = simple(called_at=["2026-03-01 07:00", "2026-03-02 00:15"])
    with pytest.raises(PlanError, match="to 'late' is neither hh:mm nor a date with a time"):
        fleet_of(dated, unit_id=["u"], zone=["a"], **{"from": ["2026-03-01 08:00"], "to": ["late"]})


def test_units_have_capabilities_that_calls_need() -> None:
    called = simple(capability=["als", ""])
    fleet = fleet_of(called, unit_id=["1", "2"], zone=["a", "b"], capability=["bls", "bls + als"])
    assert fleet.skills is not None and fleet.skills.tolist() == [[False], [True]]
    assert called.calls.needs.tolist() == [[0, -1]]
    with pytest.raises(PlanError, match=r"units\.csv: no unit has the capability als that a call needs \(row 1 of"):
        fleet_of(called, unit_id=["1"], zone=["a"], capability=["bls"])


@pytest.mark.parametrize(
    ("ids", "zone", "message"),
    [
        (["1", "1"], "a", "row 1: unit_id 1 occurs twice; give each unit its own"),
        (["1", ""], "a", "row 2: unit_id is empty"),
        (["1", "2"], "x", "row 2: zone x is not in --travel"),
    ],
)
def test_units_that_cannot_be_used_are_refused_with_their_row(ids: list[str], zone: str, message: str) -> None:
    with pytest.raises(PlanError) as error:
        fleet_of(simple(), unit_id=ids, zone=["a", zone])
    assert f"units.csv, {message}" in str(error.value)


def test_a_simulation_needs_minutes_and_coordinates_of_all_zones() -> None:
    partial = Travel(("a", "b"), np.array([[0, np.inf], [1, 0]]))
    with pytest.raises(PlanError, match="1 pairs have no minutes, such as a to b"):
        own_simulation.way_of(partial, None, 0.95, "")
    points = rows(zone=["b", "a", "c"], x=["1", "0", "-2"], y=["0", "0", "3.5"])
    way = own_simulation.way_of(TRAVEL, points, 0.95, "places.csv")
    assert way.points is not None and way.points.tolist() == [[0, 0], [1, 0], [-2, 3.5]]
    with pytest.raises(PlanError, match=r"places\.csv: zone c of --travel has no row"):
        own_simulation.way_of(TRAVEL, points[:2], 0.95, "places.csv")
    with pytest.raises(PlanError, match=r"places\.csv, row 1: x 'east' is not a number"):
        own_simulation.way_of(TRAVEL, rows(zone=["a"], x=["east"], y=["1"]), 0.95, "places.csv")


def test_hospitals_are_zones_of_travel() -> None:
    assert own_simulation.hospitals_of(rows(zone=["c", "a"]), TRAVEL, "h.csv").tolist() == [2, 0]
    assert own_simulation.hospitals_of(None, TRAVEL, "").size == 0
    with pytest.raises(PlanError, match=r"h\.csv, row 1: zone x is not in --travel"):
        own_simulation.hospitals_of(rows(zone=["x"]), TRAVEL, "h.csv")
