"""Replays on a time chain: which unit goes, what is drawn, and the fleet behind unit records."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.dispatch import record_replay, unit_fleet
from pipelines.dispatch.posts import PlanError

START = datetime(2020, 4, 6)
HOMES = pl.DataFrame({"unit_id": ["E1", "E2"], "lon": [127.00, 127.10], "lat": [37.5, 37.5]})


def week(per_day: int = 24, seed: int = 1, transports: bool = True) -> pl.DataFrame:
    """A call every hour: the closer of two engines, and one of three ambulances, which takes the patient along."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(7 * per_day):
        called = START + timedelta(hours=24 / per_day * number, minutes=5)
        lon = 127.0 + 0.1 * rng.random()
        engine = 1 if lon < 127.05 else 2
        call = {
            "incident_id": f"{number:04}",
            "call_kind": "medical",
            "priority": "1",
            "area": "a",
            "lon": lon,
            "lat": 37.5,
        }
        km = abs(lon - HOMES["lon"][engine - 1]) * 88
        steps = np.cumsum([60, 60, 60 + 90 * km * rng.lognormal(0, 0.2), 600 * rng.lognormal(0, 0.5)])
        rows.append(_row(call, called, f"E{engine}", "ENGINE", steps[0], steps[1], steps[2], None, None, steps[3]))
        steps = np.cumsum([60, 20, *(rng.lognormal(np.log([400, 900, 600, 1200]), 0.3))])
        ends = steps[3:5] if transports else (None, None)
        rows.append(_row(call, called, f"M{number % 3}", "MEDIC", *steps[:3], *ends, steps[5]))
    return pl.DataFrame(rows, infer_schema_length=None)


def _row(call: dict[str, object], called: datetime, unit: str, kind: str, *seconds: float | None) -> dict[str, object]:
    names = ("dispatched_at", "en_route_at", "arrived_at", "left_scene_at", "hospital_at", "available_at")
    steps = {
        name: None if value is None else called + timedelta(seconds=round(value))
        for name, value in zip(names, seconds, strict=True)
    }
    return {**call, "called_at": called, "unit_id": unit, "unit_type": kind, **steps}


def calls_of(records: pl.DataFrame) -> pl.DataFrame:
    columns = ("incident_id", "called_at", "call_kind", "priority", "area", "lon", "lat")
    shifted = records.select(columns).unique("incident_id", keep="first", maintain_order=True)
    return shifted.with_columns(pl.col("called_at") + timedelta(days=7))


def _durations(units: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Call to arrival, and dispatch to available, in seconds."""
    response, task = units["arrived_at"] - units["called_at"], units["available_at"] - units["dispatched_at"]
    return response.dt.total_seconds(), task.dt.total_seconds()


@pytest.fixture(scope="module")
def fitted() -> record_replay.Fitted:
    records = week(per_day=48)
    return record_replay.fit(records, unit_fleet.infer(records, HOMES), "straight line from the station")


def test_a_replay_has_the_response_times_and_the_load_of_the_records(fitted: record_replay.Fitted) -> None:
    records = week(per_day=48, seed=2)
    units = record_replay.replay(fitted, calls_of(records), np.random.default_rng(3))
    assert units.height == records.height
    for kind in ("ENGINE", "MEDIC"):
        observed, drawn = (_durations(frame.filter(pl.col("unit_type") == kind)) for frame in (records, units))
        assert drawn[0].median() == pytest.approx(observed[0].median(), rel=0.1)
        assert drawn[0].quantile(0.9) == pytest.approx(observed[0].quantile(0.9), rel=0.15)
        assert drawn[1].mean() == pytest.approx(observed[1].mean(), rel=0.1)


def test_the_closest_idle_unit_goes_and_a_busy_one_never_twice(fitted: record_replay.Fitted) -> None:
    units = record_replay.replay(fitted, calls_of(week(per_day=48)), np.random.default_rng(4))
    places = calls_of(week(per_day=48)).select("incident_id", "lon")
    engines = units.filter(pl.col("unit_type") == "ENGINE").join(places, on="incident_id")
    nearest = pl.when(pl.col("lon") < 127.05).then(pl.lit("E1")).otherwise(pl.lit("E2"))
    assert engines.select((pl.col("unit_id") == nearest).mean()).item() > 0.75
    # No task of a unit begins before its last one ended.
    ordered = units.sort("unit_id", "dispatched_at")
    overlap = ordered.select((pl.col("dispatched_at") < pl.col("available_at").shift().over("unit_id")).any()).item()
    assert overlap is False


def test_a_replay_uses_no_duration_of_the_replayed_calls_and_is_repeatable(fitted: record_replay.Fitted) -> None:
    calls = calls_of(week())
    first, again, other = (record_replay.replay(fitted, calls, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.equals(again)
    assert not first["available_at"].equals(other["available_at"])


def test_a_substitute_type_goes_where_none_is_idle(fitted: record_replay.Fitted) -> None:
    at_once = calls_of(week()).head(5).with_columns(pl.col("called_at").min())
    waits = record_replay.replay(fitted, at_once, np.random.default_rng(7))
    assert waits.filter(pl.col("unit_type") == "MEDIC")["waiting_seconds"].max() > 600
    helped = record_replay.replay(fitted, at_once, np.random.default_rng(7), {"ENGINE": "MEDIC"})
    assert (helped["unit_type"] == "MEDIC").sum() > (waits["unit_type"] == "MEDIC").sum()


def test_a_stage_that_was_never_observed_is_refused_and_not_zero() -> None:
    records = week().with_columns(hospital_at=pl.lit(None, pl.Datetime("us")))
    fleet = unit_fleet.infer(records, HOMES)
    unknown = record_replay.fit(records, fleet, "straight line from the station")
    with pytest.raises(PlanError, match="no transport that was observed"):
        record_replay.replay(unknown, calls_of(week()), np.random.default_rng(8))


def test_units_sent_at_all_hours_are_in_service_all_day_and_of_others_the_number_is_inferred() -> None:
    always = week().filter(pl.col("unit_type") == "MEDIC")
    by_day = always.filter(pl.col("called_at").dt.hour().is_between(8, 15)).with_columns(
        unit_id=pl.format("D{}", pl.col("called_at").dt.day() % 3), unit_type=pl.lit("DAY")
    )
    fleet = unit_fleet.infer(pl.concat([always, by_day]), HOMES)
    duty = dict(fleet.on_duty.filter(pl.col("hour") == 11).select("unit_type", "on_duty").iter_rows())
    assert duty == {"MEDIC": 3, "DAY": 1}
    night = dict(fleet.on_duty.filter(pl.col("hour") == 3).select("unit_type", "on_duty").iter_rows())
    assert night == {"MEDIC": 3, "DAY": 0}


def test_busy_units_are_counted_by_the_hours_in_which_they_were_busy() -> None:
    tasks = pl.DataFrame(
        {
            "unit_type": ["E", "E", "E"],
            "dispatched_at": [
                START + timedelta(hours=8, minutes=30),
                START - timedelta(hours=1),
                START + timedelta(hours=23),
            ],
            "available_at": [START + timedelta(hours=10), START + timedelta(minutes=15), START + timedelta(hours=26)],
        }
    )
    busy = unit_fleet.busy_hours(tasks, START, START + timedelta(days=1))
    hours = dict(busy.filter(pl.col("busy") > 0).select("hour", "busy").iter_rows())
    assert hours == pytest.approx({0: 0.25, 8: 0.5, 9: 1.0, 23: 1.0})
    assert busy.height == 24
