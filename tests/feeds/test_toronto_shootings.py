"""Toronto shootings: keyed records, unknown hours, two notations of a point, and all real rows."""

from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.feeds.feed import conform
from pipelines.feeds.toronto_shootings import FEED
from pipelines.schema.dictionary import sql_types
from tests import replay
from tests.feeds.portal import as_of, load, memory, needs_shared_data, request, rows, stage

PYTHON_POINT = "{'type': 'MultiPoint', 'coordinates': [[-79.538218382, 43.7337424510001]]}"


def event(**overrides: Any) -> dict[str, Any]:
    known = {
        "X_id": 1,
        "EVENT_UNIQUE_ID": "GO-2004133803",
        "OCC_DATE": "2004-01-01",
        "OCC_HOUR": 13,
        "OCC_TIME_RANGE": "Afternoon",
        "HOOD_140": "023",
        "geometry": PYTHON_POINT,
    }
    return known | overrides


def staged(*events: dict[str, Any]) -> pl.DataFrame:
    con = memory()
    for event in events:
        load(con, FEED, rows(FEED, event))
    return stage(con, FEED.name)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "start", "end"),
    [
        ({}, "2004-01-01 18:00", "2004-01-01 19:00"),
        ({"OCC_HOUR": None, "OCC_TIME_RANGE": "Night"}, "2004-01-01 05:00", "2004-01-01 11:00"),
        ({"OCC_HOUR": None, "OCC_TIME_RANGE": "Evening"}, "2004-01-01 23:00", "2004-01-02 05:00"),
        ({"OCC_HOUR": None, "OCC_TIME_RANGE": None}, "2004-01-01 05:00", "2004-01-02 05:00"),
        # the spring day has 23 hours, so its night has five
        (
            {"OCC_DATE": "2004-04-04", "OCC_HOUR": None, "OCC_TIME_RANGE": "Night"},
            "2004-04-04 05:00",
            "2004-04-04 10:00",
        ),
    ],
)
def test_the_time_is_bounded_by_the_hour_or_the_part_of_the_day_or_the_day(
    known: dict[str, Any], start: str, end: str
) -> None:
    row = staged(event(**known)).row(0, named=True)
    assert (row["occurred_at"], row["occurred_until"]) == (utc(start), utc(end))


@pytest.mark.parametrize(
    "point",
    [
        PYTHON_POINT,
        '{"type":"MultiPoint","coordinates":[[-79.538218382,43.7337424510001]]}',
        '{"type":"Point","coordinates":[-7.9538218382e1, 43.7337424510001]}',
    ],
)
def test_a_point_is_read_from_python_literals_and_json(point: str) -> None:
    row = staged(event(geometry=point)).row(0, named=True)
    assert row["lon"] == pytest.approx(-79.538218382) and row["lat"] == 43.7337424510001
    assert row["location_quality"] == "snapped"


def test_an_event_without_a_location_has_no_coordinates() -> None:
    nowhere = "{'type': 'MultiPoint', 'coordinates': [[5.6843418860808e-14, 5.08888749034163e-14]]}"
    row = staged(event(geometry=nowhere, HOOD_140="NSA")).row(0, named=True)
    assert (row["lon"], row["lat"], row["location_quality"], row["named_area_id"]) == (None, None, "none", None)


@pytest.mark.parametrize("order", [1, -1])
def test_the_version_with_the_highest_row_number_is_used_in_any_order_of_arrival(order: int) -> None:
    versions = [event(), event(X_id=2, OCC_HOUR=14)][::order]
    frame = staged(*versions, event())
    assert frame["occurred_at"].to_list() == [utc("2004-01-01 19:00")]


def test_a_case_is_never_marked_as_reported_rather_than_discovered() -> None:
    row = staged(event()).row(0, named=True)
    assert row["is_discovered"] is None and row["service"] == "investigation" and row["named_area_id"] == "T-023"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"EVENT_UNIQUE_ID": None}, "without its key"),
        ({"X_id": None}, "without a row number"),
        ({"OCC_DATE": "1 January"}, "not written as year-month-day"),
        ({"OCC_HOUR": 99}, "outside the day"),
        ({"OCC_DATE": "2004-06-31"}, "no day of the calendar"),
    ],
)
def test_rows_that_staging_cannot_read_are_quarantined_with_a_reason(broken: dict[str, Any], reason: str) -> None:
    verdict = load(memory(), FEED, rows(FEED, event(), event(**{"EVENT_UNIQUE_ID": "GO-2", **broken})))
    assert verdict.accepted["_row"].to_list() == [0]
    assert any(reason in failure for failure in verdict.failures["reason"])


def test_the_names_of_the_portal_are_mapped() -> None:
    record = {**dict.fromkeys(FEED.columns), **event(), "_id": 9}
    del record["X_id"]
    page = {"success": True, "result": {"records": [record], "total": 1}}
    assert conform(FEED, FEED.parse([orjson.dumps(page)]))["X_id"].to_list() == [9]


@needs_shared_data
def test_all_real_rows_are_loaded() -> None:
    con = memory()
    with replay.serve() as base:
        (delivery,) = FEED.fetch(request(FEED.name, base + replay.PATHS[FEED.name]))
    verdict = load(con, FEED, FEED.parse(delivery.parts))
    assert verdict.accepted.height == 4_919
    frame = stage(con, FEED.name)
    assert frame.height == frame["incident_id"].n_unique() == 4_919
    assert frame.columns == list(sql_types("staging.incidents"))
    assert (frame["lon"].null_count(), frame["named_area_id"].null_count()) == (62, 65)
    hours = (frame["occurred_until"] - frame["occurred_at"]).dt.total_hours()
    assert (hours == 1).sum() == 4_330 and (hours > 1).sum() == 589
    as_of(con, "2020-12-01 10:15:00+00")
    assert stage(con, FEED.name).height == 4_898
