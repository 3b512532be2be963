"""Toronto fires: local times marked as UTC, arrivals, and all real rows."""

from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.feeds.feed import conform
from pipelines.feeds.toronto_fire_incidents import FEED, parse
from pipelines.schema.dictionary import sql_types
from tests import replay
from tests.feeds.portal import as_of, load, memory, needs_shared_data, request, rows, stage


def fire(**overrides: Any) -> dict[str, Any]:
    known = {
        "tfs_alarm_time": "2018-02-24T21:04:29+00:00",
        "tfs_arrival_time": "2018-02-24T21:10:11+00:00",
        "latitude": 43.68,
        "longitude": -79.59,
    }
    return known | overrides


def staged(*fires: dict[str, Any]) -> pl.DataFrame:
    con = memory()
    load(con, FEED, rows(FEED, *fires))
    return stage(con, FEED.name)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("stamp", ["", "Z", "+00:00", ".000+00:00"])
@pytest.mark.parametrize(
    ("local", "instant"),
    [("2018-02-24T21:04:29", "2018-02-25 02:04:29"), ("2018-07-24T21:04:29", "2018-07-25 01:04:29")],
)
def test_the_utc_mark_is_ignored_and_times_are_local(local: str, instant: str, stamp: str) -> None:
    row = staged(fire(tfs_alarm_time=local + stamp, tfs_arrival_time=None)).row(0, named=True)
    assert (row["reported_at"], row["occurred_at"], row["first_arrived_at"]) == (utc(instant), None, None)


def test_an_arrival_in_the_second_of_two_equal_hours_follows_its_alarm() -> None:
    row = staged(
        fire(tfs_alarm_time="2018-11-04T01:58:00", tfs_arrival_time="2018-11-04T01:03:00"),
    ).row(0, named=True)
    assert (row["first_arrived_at"] - row["reported_at"]).total_seconds() == 300


def test_a_night_that_springs_forward_keeps_short_response_times_short() -> None:
    row = staged(
        fire(tfs_alarm_time="2018-03-11T01:58:00", tfs_arrival_time="2018-03-11T03:03:00"),
    ).row(0, named=True)
    assert (row["first_arrived_at"] - row["reported_at"]).total_seconds() == 300


def test_known_at_is_the_alarm_plus_the_declared_delay() -> None:
    assert staged(fire())["known_at"].to_list() == [utc("2018-02-26 02:04:29")]


def test_a_point_at_zero_zero_is_not_a_location() -> None:
    row = staged(fire(latitude=0.0, longitude=0.0)).row(0, named=True)
    assert (row["lon"], row["lat"], row["location_quality"]) == (None, None, "none")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"tfs_alarm_time": None}, "without an alarm"),
        ({"tfs_alarm_time": "24/02/2018"}, "not written as date and time"),
        ({"tfs_arrival_time": "later"}, "not written as date and time"),
        ({"latitude": 436.8}, "outside the earth"),
        ({"tfs_alarm_time": "2018-02-30T00:00:00"}, "no day of the calendar"),
    ],
)
def test_rows_that_staging_cannot_read_are_quarantined_with_a_reason(broken: dict[str, Any], reason: str) -> None:
    verdict = load(memory(), FEED, rows(FEED, fire(), fire(**broken)))
    assert verdict.accepted["_row"].to_list() == [0]
    assert any(reason in failure for failure in verdict.failures["reason"])


def test_a_missing_or_an_earlier_arrival_is_counted_and_kept() -> None:
    given = [fire(tfs_arrival_time=None), fire(tfs_arrival_time="2018-02-24T20:00:00")]
    verdict = load(memory(), FEED, rows(FEED, *given))
    assert verdict.accepted.height == 2 and verdict.results["failed"].sum() == 2


def test_the_portals_column_names_are_mapped_and_its_row_number_dropped() -> None:
    portal_names = {old: fire().get(new) for old, new in FEED.aliases.items()}
    page = {"success": True, "result": {"records": [{"_id": 5, **portal_names, "Incident_Ward": 1}], "total": 1}}
    row = conform(FEED, parse([orjson.dumps(page)])).row(0, named=True)
    assert row["tfs_alarm_time"] == "2018-02-24T21:04:29+00:00" and row["latitude"] == 43.68
    assert orjson.loads(row["_extra"]) == {"Incident_Ward": 1}


def test_an_empty_delivery_is_an_empty_table() -> None:
    assert conform(FEED, parse([])).is_empty()


@needs_shared_data
def test_all_real_rows_are_loaded() -> None:
    con = memory()
    with replay.serve() as base:
        (delivery,) = FEED.fetch(request(FEED.name, base + replay.PATHS[FEED.name]))
    verdict = load(con, FEED, FEED.parse(delivery.parts))
    assert verdict.accepted.height == 13_103
    frame = stage(con, FEED.name)
    assert frame.height == frame["incident_id"].n_unique() == 13_103
    assert frame.columns == list(sql_types("staging.incidents"))
    seconds = (frame["first_arrived_at"] - frame["reported_at"]).dt.total_seconds()
    assert (seconds.min(), seconds.median(), seconds.max()) == (19, 291, 17_871)
    as_of(con, "2020-12-01 10:15:00+00")
    assert stage(con, FEED.name).height == 13_016
