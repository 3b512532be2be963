"""Observation windows: from records, batches and the profile, for feeds, services, categories and areas."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.config.profile import DaySpan, Profile
from pipelines.store import warehouse
from pipelines.transform import observation
from tests.release.conftest import create_all, insert, settings_at

AS_OF = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYS = 200
FIRST = AS_OF.replace(hour=0, minute=0) - timedelta(days=DAYS)
KOREA = profiles.load("korea")


def ago(days: float) -> datetime:
    return AS_OF.replace(hour=0, minute=0) - timedelta(days=days)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two feeds that were fetched through as_of in one batch each."""
    with warehouse.connect(settings_at(tmp_path / "home")) as con:
        create_all(con)
        for feed, agency, service in (("police_112", "police", "police"), ("fire_119", "fire", "ems")):
            facts = {"agency": agency, "load_type": "keyed", "is_reference": False, "delay_seconds": 0}
            insert(con, "reference.feeds", {"feed": feed, "freshness_hours": 30.0} | facts)
            insert(con, "reference.feed_services", {"feed": feed, "service": service})
            insert(con, "reference.demand_services", {"demand_service": service, "service": service})
            insert(con, "ops.cursors", {"feed": feed, "fetched_through_at": AS_OF})
            batch(con, feed, FIRST, AS_OF)
        insert(
            con, "reference.category_map", *({"feed": "police_112", "category": name} for name in ("theft", "robbery"))
        )
        yield con


def batch(con: duckdb.DuckDBPyConnection, feed: str, start: datetime, end: datetime) -> None:
    insert(con, "ops.batches", {"feed": feed, "verdict": "accepted", "window_start": start, "window_end": end})


def records(con: duckdb.DuckDBPyConnection, per_day: float, *gaps: tuple[float, float], **given: Any) -> None:
    """Records on the last days, but none in the gaps, from so many days ago to so many."""
    hours = np.arange(DAYS * 24 + AS_OF.hour)
    many = np.random.default_rng(int(per_day)).poisson(per_day / 24, hours.size)
    for start, end in gaps:
        many[int((DAYS - start) * 24) : int((DAYS - end) * 24)] = 0
    times = [FIRST + HOUR * int(hour) for hour in np.repeat(hours, many)]
    common = {"feed": "fire_119", "agency": "fire", "service": "ems", "admin_area_id": "11010"} | given
    frame = pl.DataFrame({"reported_at": times}).with_columns(
        *(pl.lit(value).alias(name) for name, value in common.items())
    )
    con.register("_rows", frame.with_columns(known_at="reported_at").to_arrow())
    for table in ("core.incidents", "staging.incidents"):
        columns = {name for (name,) in con.execute(f"select column_name from (describe {table})").fetchall()}
        shared = ", ".join(name for name in [*frame.columns, "known_at"] if name in columns)
        con.execute(f"insert into {table} by name select {shared} from _rows")
    con.unregister("_rows")


def windows(con: duckdb.DuckDBPyConnection, profile: Profile = KOREA) -> list[tuple[Any, ...]]:
    """What is not observed, from and until in days ago, to the day."""
    warehouse.run_models(con, "core", ["record_hours"])
    observation.write(con, profile)
    warehouse.run_models(
        con,
        "marts",
        [
            "feed_status",
            "untimed_records",
            "observation_windows",
            "region",
            "demand_areas",
            "area_gaps",
            "demand_windows",
            "crime_gaps",
            "outage_days",
        ],
    )
    rows = con.execute(
        "select feed, service, category, area_id, observation_state, from_at, until_at, evidence "
        "from marts.observation_windows where observation_state <> 'observed' and not (observation_state = "
        "'before_first_record' and from_at is null) order by all"
    ).fetchall()
    day = timedelta(days=1)
    return [(*row[:5], *(round((ago(0) - at.astimezone(UTC)) / day) for at in row[5:7]), row[7]) for row in rows]


def test_an_outage_of_a_feed_is_unknown_to_its_service_and_not_to_another_feeds(con: duckdb.DuckDBPyConnection) -> None:
    records(con, 40, (60, 20))
    records(con, 40, feed="police_112", agency="police", service="police", category="theft")
    assert windows(con) == [("fire_119", None, None, None, "outage", 60, 20, "records")]
    spans = con.execute("select service, count(*) from marts.demand_windows group by all order by all").fetchall()
    assert spans == [("ems", 2), ("police", 1)]
    assert con.execute("select count(*), min(local_date) from marts.outage_days").fetchall() == [
        (41, (ago(60) + 8 * HOUR).date())
    ]


def test_the_windows_of_a_feed_follow_each_other_without_a_gap(con: duckdb.DuckDBPyConnection) -> None:
    records(con, 40, (60, 20), (100, 97))
    con.execute("update reference.feeds set delay_seconds = 86400")
    windows(con)
    rows = con.execute(
        "select from_at, until_at from marts.observation_windows where feed = 'fire_119' and service is null "
        "and area_id is null order by from_at nulls first"
    ).fetchall()
    assert rows[0][0] is None and rows[-1][1] == AS_OF
    assert all(before[1] == after[0] for before, after in pairwise(rows))


def test_a_station_or_category_that_stops_alone_is_unknown_alone(con: duckdb.DuckDBPyConnection) -> None:
    records(con, 40)
    records(con, 8, (50, 0), admin_area_id="11020", fire_area_id="F-9")
    records(con, 20, feed="police_112", agency="police", service="police", category="theft")
    records(con, 10, (90, 0), feed="police_112", agency="police", service="police", category="robbery")
    assert windows(con) == [
        ("fire_119", "ems", None, "11020", "outage", 50, 0, "records"),
        ("fire_119", "ems", None, "F-9", "outage", 50, 0, "records"),
        ("police_112", None, "robbery", None, "outage", 90, 0, "records"),
    ]
    gaps = con.execute(
        "select category, observation_state from marts.crime_gaps where from_date is not null"
    ).fetchall()
    assert gaps == [("robbery", "outage")]


def areas(con: duckdb.DuckDBPyConnection) -> None:
    """Two districts of a province, the second with two wards, and two fire stations."""
    listed = [("11", "province", None), ("11010", "district", "11"), ("11020", "district", "11")]
    listed += [(f"1102{number}", "subdistrict", "11020") for number in (1, 2)]
    for area_id, level, parent in listed:
        row = {"area_id": area_id, "hierarchy": "admin", "area_level": level, "parent_area_id": parent}
        insert(con, "reference.areas", row)
    for area_id, level, parent in (("F", "headquarters", None), ("F-1", "station", "F"), ("F-2", "station", "F")):
        row = {"area_id": area_id, "hierarchy": "fire", "area_level": level, "parent_area_id": parent}
        insert(con, "reference.areas", row)


def gaps(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Areas that are unknown, from and until in days ago, to the day."""
    windows(con)
    rows = con.execute(
        "select distinct service, area_id, from_at, until_at from marts.area_gaps order by all"
    ).fetchall()
    day = timedelta(days=1)
    return [(*row[:2], *(round((ago(0) - at.astimezone(UTC)) / day) for at in row[2:])) for row in rows]


@pytest.mark.parametrize(("stopped", "above"), [(20.0, ["11"]), (4.0, [])])
def test_areas_above_one_that_stopped_are_unknown_with_a_tenth_of_their_records(
    con: duckdb.DuckDBPyConnection, stopped: float, above: list[str]
) -> None:
    areas(con)
    records(con, 50)
    records(con, stopped, (60, 0), admin_area_id="11020")
    assert gaps(con) == [("ems", name, 60, 0) for name in (*above, "11020", "11021", "11022")]


def test_areas_that_stopped_add_up_to_a_tenth_while_both_are_silent(con: duckdb.DuckDBPyConnection) -> None:
    areas(con)
    records(con, 60, admin_area_id="11010", fire_area_id="F-1")
    records(con, 4, (60, -1), admin_area_id="11021", fire_area_id="F-1")
    records(con, 4.5, (30, -1), admin_area_id="11022", fire_area_id="F-1")
    assert gaps(con) == [
        ("ems", "11", 30, -1),
        ("ems", "11020", 60, 30),
        ("ems", "11020", 30, -1),
        ("ems", "11021", 60, -1),
        ("ems", "11022", 30, -1),
        ("ems", "F", 30, -1),
        ("ems", "F-1", 30, -1),
    ]


def test_crime_is_unknown_in_an_area_that_stopped_and_known_elsewhere(con: duckdb.DuckDBPyConnection) -> None:
    areas(con)
    theft = {"feed": "police_112", "agency": "police", "service": "police", "category": "theft"}
    records(con, 20, **theft)
    records(con, 5, (60, 0), **theft, admin_area_id="11020")
    windows(con)
    rows = con.execute(
        "select area_id, from_date, until_date from marts.crime_gaps where category = 'theft' "
        "and from_date is not null and feed is null order by all"
    ).fetchall()
    span = ((ago(60) + 8 * HOUR).date(), (ago(-1) + 8 * HOUR).date())
    assert rows == [(name, *span) for name in ("11", "11020", "11021", "11022")]


def test_the_profile_confirms_and_overrules(con: duckdb.DuckDBPyConnection) -> None:
    records(con, 40, (60, 20))

    def stating(**spans: tuple[DaySpan, ...]) -> Profile:
        fire = KOREA.feeds["fire_119"].model_copy(update=spans)
        return KOREA.model_copy(update={"feeds": {**KOREA.feeds, "fire_119": fire}})

    days = (DaySpan(first_day=ago(55).date(), last_day=ago(50).date()),)
    assert windows(con, stating(quiet_spans=days)) == []
    assert [row[-1] for row in windows(con, stating(outages=days))] == ["records", "profile"]
    assert con.execute("select count(*) from marts.demand_windows where service = 'ems'").fetchall() == [(2,)]


def test_a_hole_between_fetched_windows_is_unknown_until_it_is_fetched(con: duckdb.DuckDBPyConnection) -> None:
    """Rare records, so that their lack says nothing; when a batch was received plays no part."""
    records(con, 0.2)
    con.execute("delete from ops.batches where feed = 'fire_119'")
    batch(con, "fire_119", FIRST, ago(80))
    batch(con, "fire_119", ago(70), AS_OF)
    assert windows(con) == [("fire_119", None, None, None, "outage", 80, 70, "batches")]
    batch(con, "fire_119", ago(90), ago(60))
    assert windows(con) == []


def test_a_month_without_a_record_of_a_feed_dated_by_month_is_unknown(con: duckdb.DuckDBPyConnection) -> None:
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 8, 9)]
    theft = {"feed": "police_112", "agency": "police", "service": "police", "category": "theft"}
    crimes = [
        theft
        | {"incident_id": f"{month.month}-{number}", "occurred_at": month - 9 * HOUR}
        | {"occurred_until": month + timedelta(days=30) - 9 * HOUR}
        for month in months
        for number in range(3)
    ]
    for table in ("core.incidents", "staging.incidents"):
        columns = {name for (name,) in con.execute(f"select column_name from (describe {table})").fetchall()}
        insert(con, table, *({key: value for key, value in row.items() if key in columns} for row in crimes))
    windows(con)
    gaps = con.execute(
        "select from_date, until_date from marts.crime_gaps where category = 'theft' and observation_state = 'outage'"
    ).fetchall()
    assert gaps == [(date(2026, 7, 1), date(2026, 8, 1))]


def test_a_feed_without_a_record_is_unknown_at_all_times(con: duckdb.DuckDBPyConnection) -> None:
    records(con, 40)
    windows(con)
    assert con.execute(
        "select observation_state, from_at, until_at from marts.observation_windows where feed = 'police_112'"
    ).fetchall() == [("before_first_record", None, AS_OF)]
    assert con.execute("select distinct service from marts.demand_windows").fetchall() == [("ems",)]


def test_a_feed_that_never_had_a_record_leaves_the_categories_of_another_known(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "reference.feeds", {"feed": "other", "agency": "police", "load_type": "keyed", "is_reference": False})
    insert(con, "reference.category_map", {"feed": "other", "category": "theft"})
    records(con, 20, feed="police_112", agency="police", service="police", category="theft")
    windows(con)
    gaps = con.execute("select distinct category, feed from marts.crime_gaps order by all").fetchall()
    assert gaps == [("robbery", "police_112"), ("theft", "police_112")]


@pytest.mark.parametrize(("young", "lacking"), [(10.0, ["other", "police_112"]), (1.0, ["police_112"])])
def test_a_young_feed_makes_a_category_unknown_only_with_a_tenth_of_its_records(
    con: duckdb.DuckDBPyConnection, young: float, lacking: list[str]
) -> None:
    other = {"feed": "other", "agency": "police", "load_type": "keyed", "is_reference": False, "delay_seconds": 0}
    insert(con, "reference.feeds", other | {"freshness_hours": 30.0})
    insert(con, "reference.category_map", {"feed": "other", "category": "theft"})
    insert(con, "ops.cursors", {"feed": "other", "fetched_through_at": AS_OF})
    records(con, 20, feed="police_112", agency="police", service="police", category="theft")
    records(con, young, (DAYS, 60), feed="other", agency="police", service="police", category="theft")
    windows(con)
    feeds = con.execute("select distinct feed from marts.crime_gaps where category = 'theft' order by all").fetchall()
    assert feeds == [(name,) for name in lacking]


def test_a_span_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="swap them"):
        DaySpan(first_day=date(2026, 3, 2), last_day=date(2026, 3, 1))
