"""Joint incidents: near in place and time for that spot, of kinds that go together, whole and deterministic."""

from datetime import UTC, datetime, timedelta
from random import Random

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.store import warehouse
from pipelines.transform import joint

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAT, LON = 37.57, 126.98
CATEGORIES = ["traffic_accident", "theft", "other"]
METRE = 1 / 111_195
COLUMNS = {
    "incident_id": pl.String,
    "agency": pl.String,
    "feed": pl.String,
    "service": pl.String,
    "source_category": pl.String,
    "reported_at": pl.Datetime("us", "UTC"),
    "occurred_at": pl.Datetime("us", "UTC"),
    "occurred_until": pl.Datetime("us", "UTC"),
    "lon": pl.Float64,
    "lat": pl.Float64,
    "location_quality": pl.String,
}


def incident(incident_id: str, north_m: float = 0, minutes: float = 0, **overrides: object) -> dict[str, object]:
    agency = {"p": "police", "f": "fire", "i": "investigation"}[incident_id[0]]
    return {
        "incident_id": incident_id,
        "agency": agency,
        "feed": agency,
        "service": "ems" if agency == "fire" else agency,
        "source_category": "traffic_accident" if agency == "police" else "bombing",
        "reported_at": NOON + timedelta(minutes=minutes),
        "occurred_at": None,
        "occurred_until": None,
        "lon": LON,
        "lat": LAT + north_m * METRE,
        "location_quality": "exact",
        **overrides,
    }


def linked(*incidents: dict[str, object], outside: tuple[str, ...] = (), **limits: object) -> dict[str, str]:
    con = duckdb.connect()
    con.execute("create schema staging; create schema reference; set timezone = 'UTC'")
    frame = pl.DataFrame(list(incidents), schema=COLUMNS)
    warehouse.write_frame(con, "staging", "incidents", frame)
    con.execute(
        "create table reference.places as select distinct lon, lat, "
        "case when not list_contains($outside, incident_id) then '11110' end as admin_area_id from staging.incidents",
        {"outside": list(outside)},
    )
    words = pl.DataFrame({"feed": "police", "source_category": CATEGORIES, "category": CATEGORIES})
    warehouse.write_frame(con, "reference", "category_map", words)
    joint.link(con, **limits)  # type: ignore[arg-type]
    return dict(con.execute("select * from reference.joint_links order by all").fetchall())


def test_two_agencies_near_in_place_and_time_attended_one_event() -> None:
    assert linked(incident("p1"), incident("f1", north_m=250, minutes=29)) == {"f1": "f1", "p1": "f1"}


@pytest.mark.parametrize("other", [incident("f1", north_m=310), incident("f1", minutes=31), incident("p2")])
def test_too_far_too_late_or_of_one_agency_is_not_one_event(other: dict[str, object]) -> None:
    assert linked(incident("p1"), other) == {}


def test_linked_records_are_one_event_under_its_smallest_id() -> None:
    chain = [incident("p1"), incident("f9", north_m=90), incident("p0", north_m=180), incident("i5", north_m=280)]
    expected = {name: "f9" for name in ("f9", "i5", "p0", "p1")}
    assert linked(*chain) == expected
    assert linked(*reversed(chain)) == expected


@pytest.mark.parametrize("quality", ["centroid", "withheld", "none"])
def test_locations_other_than_the_scene_are_ignored(quality: str) -> None:
    assert linked(incident("p1"), incident("f1", location_quality=quality)) == {}


def test_locations_outside_the_region_are_ignored() -> None:
    assert linked(incident("p1", lat=0.0, lon=0.0), incident("f1", lat=0.0, lon=0.0), outside=("p1", "f1")) == {}


def test_the_occurrence_time_is_used_without_a_report_time_unless_it_is_vague() -> None:
    known = incident("p1", reported_at=None, occurred_at=NOON, occurred_until=NOON + timedelta(hours=1))
    vague = incident("p1", reported_at=None, occurred_at=NOON, occurred_until=NOON + timedelta(days=1))
    assert linked(known, incident("f1")) == {"f1": "f1", "p1": "f1"}
    assert linked(vague, incident("f1")) == {}
    assert linked(incident("p1", reported_at=None), incident("f1")) == {}


def test_the_limits_can_be_tightened() -> None:
    assert linked(incident("p1"), incident("f1", north_m=90), max_distance_m=100.0) != {}
    assert linked(incident("p1"), incident("f1", north_m=110), max_distance_m=100.0) == {}
    assert linked(incident("p1"), incident("f1", minutes=6), max_gap=timedelta(minutes=5)) == {}


@pytest.mark.parametrize(
    ("police", "fire", "is_one"),
    [
        ("traffic_accident", "ems", True),
        ("traffic_accident", "rescue", True),
        ("theft", "ems", False),
        ("theft", "fire", True),
        ("other", "ems", False),
        ("other", "fire", True),
        ("an unmapped category", "ems", False),
        ("traffic_accident", None, False),
    ],
)
def test_only_calls_that_bring_both_agencies_out_are_one_event(police: str, fire: str | None, is_one: bool) -> None:
    result = linked(incident("p1", source_category=police), incident("f1", service=fire))
    assert bool(result) == is_one


def test_police_and_investigation_are_linked_whatever_the_category() -> None:
    assert linked(incident("p1", source_category="theft"), incident("i1")) == {"i1": "i1", "p1": "i1"}


def test_where_calls_are_dense_only_the_nearest_are_linked() -> None:
    busy = [
        incident(f"p{day}{hour:02d}", north_m=20, minutes=60 * 24 * day + 60 * hour, lon=LON + 0.0001)
        for day in range(1, 5)
        for hour in range(1, 24)
    ]
    quiet = [incident("p1"), incident("f1", north_m=200, minutes=20)]
    assert linked(*quiet) == {"f1": "f1", "p1": "f1"}
    assert set(linked(*quiet, *busy)) == set()
    assert set(linked(incident("p1"), incident("f1", north_m=30, minutes=2), *busy)) == {"f1", "p1"}
    elsewhere = [record | {"lon": record["lon"] + 0.1} for record in busy]  # type: ignore[operator]
    assert set(linked(*quiet, *elsewhere)) == {"f1", "p1"}


def test_random_records_have_a_partner_no_more_often_than_documented() -> None:
    rng = np.random.default_rng(11)
    days, size = 10, 0.04
    records = [
        incident(
            f"{name}{number:05d}",
            minutes=float(rng.uniform(0, days * 24 * 60)),
            lon=LON + float(rng.uniform(0, size)),
            lat=LAT + float(rng.uniform(0, size)),
        )
        for name, count in (("p", 6_000), ("f", 3_000))
        for number in range(count)
    ]
    result = linked(*records)
    fire = sum(name.startswith("f") for name in result) / 3_000
    # With fixed limits more than a third of these records would have a partner.
    assert 0.0005 < fire < 2 * joint.MAX_CHANCE


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(random: Random) -> None:
    rng = np.random.default_rng(3)
    records = [
        incident(
            f"{'pfi'[number % 3]}{number:02d}",
            north_m=float(rng.integers(0, 12)) * 50,
            minutes=float(rng.integers(0, 12)) * 5,
        )
        for number in range(45)
    ]
    expected = linked(*records)
    random.shuffle(records)
    assert linked(*records) == expected != {}


def test_boxes_find_every_pair_of_a_full_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "MAX_CHANCE", 1e9)
    rng = np.random.default_rng(7)
    records = [
        incident(
            f"{'pf'[number % 2]}{number:03d}",
            minutes=float(rng.uniform(0, 300)),
            lon=LON + float(rng.uniform(0, 0.03)),
            lat=LAT + float(rng.uniform(0, 0.03)),
        )
        for number in range(300)
    ]
    near = {
        name
        for single in records
        for other in records
        if single["agency"] != other["agency"]
        and abs(single["reported_at"] - other["reported_at"]) <= joint.MAX_GAP  # type: ignore[operator]
        and np.hypot(
            (single["lat"] - other["lat"]) / METRE,  # type: ignore[operator]
            (single["lon"] - other["lon"]) / METRE * np.cos(np.radians((single["lat"] + other["lat"]) / 2)),  # type: ignore[operator]
        )
        <= joint.MAX_DISTANCE_M
        for name in (single["incident_id"],)
    }
    assert len(near) > 20
    assert set(linked(*records)) == near
