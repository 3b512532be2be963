"""States of crime: each evaluated on its own values, known since first received, and exclusions."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.store import warehouse
from tests.release.conftest import AS_OF, SENSITIVE, create_all, incident, insert, settings_at

DAY = timedelta(days=1)
FIRST = AS_OF - 30 * DAY
HERE, THERE = {"lon": 126.98, "lat": 37.58}, {"lon": 126.99, "lat": 37.59}


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Empty tables of the whole dictionary, three words of the police and two places."""
    with warehouse.connect(settings_at(tmp_path)) as con:
        create_all(con)
        for word, category, is_sensitive in (
            ("절도", "theft", False),
            ("폭력", "violence", False),
            ("스토킹", "stalking", True),
        ):
            insert(con, "reference.category_map", {"feed": "police_112", "source_category": word, "category": category})
            common = {"category": category, "is_sensitive": is_sensitive, "is_risk_allowed": not is_sensitive}
            insert(con, "reference.categories", common)
        insert(con, "reference.places", HERE | {"cell_id": "here", "admin_area_id": "11010"})
        insert(con, "reference.places", THERE | {"cell_id": "there", "admin_area_id": "11020"})
        yield con


def version(days: float = 0, **given: Any) -> dict[str, Any]:
    """A version of a theft, known this many days after its report."""
    return {
        "incident_id": "police_112:1",
        "agency": "police",
        "feed": "police_112",
        "source_category": "절도",
        "occurred_at": FIRST,
        "reported_at": FIRST,
        "location_quality": "exact",
        "location_source": "scene",
        "is_discovered": False,
        "is_withdrawn": False,
        "known_at": FIRST + days * DAY,
    } | HERE | given  # fmt: skip


def states(con: duckdb.DuckDBPyConnection, *versions: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Category, cell, and the days after the report from and until which the state was known."""
    if versions:
        insert(con, "staging.versions", *versions)
    warehouse.run_models(con, "core", ["restricted_incidents"])
    warehouse.run_models(con, "marts", ["crime_points"])
    result = con.execute(
        "select category, cell_id, known_at, superseded_at from marts.crime_points order by known_at"
    ).fetchall()
    return [
        (category, cell, *(None if at is None else (at - FIRST) / DAY for at in ends))
        for category, cell, *ends in result
    ]


def test_a_record_with_equal_versions_is_known_since_it_was_first_received(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "core.incidents", incident("police_112:1", known_at=FIRST + 9 * DAY, cell_id="here"))
    assert states(con) == [("theft", "here", 9, None)]
    insert(con, "staging.firsts", {"incident_id": "police_112:1", "first_known_at": FIRST})
    assert states(con) == [("theft", "here", 0, None)]


def test_a_withdrawn_record_is_current_until_then(con: duckdb.DuckDBPyConnection) -> None:
    assert states(con, version(), version(7, is_withdrawn=True)) == [("theft", "here", 0, 7)]


def test_each_state_has_the_span_in_which_it_was_known_to_have_happened(con: duckdb.DuckDBPyConnection) -> None:
    states(con, version(occurred_until=FIRST + DAY), version(7))
    spans = con.execute("select occurred_until from marts.crime_points order by known_at").fetchall()
    assert spans == [(FIRST + DAY,), (None,)]


def test_a_vanished_record_is_current_until_it_was_missed(con: duckdb.DuckDBPyConnection) -> None:
    gone = version(2, missing_at=FIRST + 6 * DAY)
    del gone["is_withdrawn"]
    insert(con, "staging.missing", gone, gone | {"incident_id": "police_112:2"})
    insert(con, "staging.firsts", {"incident_id": "police_112:2", "first_known_at": FIRST + DAY})
    assert states(con, version(), version(2, source_category="폭력")) == [
        ("theft", "here", 0, 2),
        ("theft", "here", 1, 6),
        ("violence", "here", 2, 6),
    ]


@pytest.mark.parametrize(
    "barred",
    [
        {"is_discovered": True},
        {"is_discovered": None},
        {"location_source": "caller_lookup", "location_quality": "centroid"},
        {"location_quality": "none", "lon": None, "lat": None},
    ],
    ids=["found by patrol", "unknown channel", "caller look-up", "no location"],
)
def test_each_state_is_evaluated_on_its_own_values(con: duckdb.DuckDBPyConnection, barred: dict[str, Any]) -> None:
    assert states(con, version(**barred), version(3), version(5)) == [
        ("theft", "here", 3, 5),
        ("theft", "here", 5, None),
    ]


@pytest.mark.parametrize("barred", [{"is_discovered": True}, {"location_source": "caller_lookup"}])
def test_a_later_discovery_flag_does_not_apply_earlier(con: duckdb.DuckDBPyConnection, barred: dict[str, Any]) -> None:
    assert states(con, version(), version(3, **barred)) == [("theft", "here", 0, 3)]


@pytest.mark.parametrize("word", ["스토킹", "새로운 말"])
@pytest.mark.parametrize("turn", [0, 1, 2])
@pytest.mark.parametrize("is_withdrawn", [True, False])
def test_a_record_that_is_sensitive_or_unmapped_in_any_version_never_enters(
    con: duckdb.DuckDBPyConnection, word: str, turn: int, is_withdrawn: bool
) -> None:
    versions = [version(), version(3), version(5, is_withdrawn=is_withdrawn)]
    versions[turn]["source_category"] = word
    assert states(con, *versions) == []


def test_a_record_vanished_as_sensitive_never_enters(con: duckdb.DuckDBPyConnection) -> None:
    gone = version(2, missing_at=FIRST + 6 * DAY, source_category="스토킹")
    del gone["is_withdrawn"]
    insert(con, "staging.missing", gone)
    insert(con, "core.incidents", incident("police_112:3", **SENSITIVE))
    assert states(con) == []


def test_a_record_has_its_location_of_that_time(con: duckdb.DuckDBPyConnection) -> None:
    assert states(con, version(), version(3, **THERE)) == [("theft", "here", 0, 3), ("theft", "there", 3, None)]


def test_the_district_of_the_source_belongs_to_the_current_location(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "core.incidents", incident("police_112:1", admin_area_id="11030", **THERE))
    states(con, version(), version(3, **THERE))
    named = con.execute("select admin_area_id from marts.crime_points order by known_at").fetchall()
    assert named == [("11010",), ("11030",)]


# Piles


def staged(number: int, **given: Any) -> dict[str, Any]:
    """A theft as staged, without versions."""
    row = version(incident_id=f"police_112:{number}", source_id=str(number), **given)
    del row["is_withdrawn"]
    return row


def piled(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Piles, of thirty thefts at one point among two hundred elsewhere and forty at a centroid."""
    insert(con, "staging.incidents", *(staged(number) for number in range(30)))
    insert(con, "staging.incidents", *(staged(number, lon=127 + number / 1e5) for number in range(30, 230)))
    centre = THERE | {"location_quality": "centroid"}
    insert(con, "staging.incidents", *(staged(number, **centre) for number in range(230, 270)))
    warehouse.run_models(con, "core", ["place_piles", "restricted_incidents", "incidents"])
    return con.execute("select feed, lon, lat, incidents from core.place_piles").fetchall()


def test_crime_at_a_point_with_a_tenth_of_the_records_is_counted_and_enters_no_risk(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert piled(con) == [("police_112", HERE["lon"], HERE["lat"], 30)]
    at_pile = "from core.incidents where lon = 126.98"
    assert con.execute(f"select count(*), count(*) filter (is_risk_allowed) {at_pile}").fetchone() == (30, 0)
    assert states(con, version(incident_id="police_112:400"), version(3, incident_id="police_112:400", **THERE)) == [
        ("theft", "there", 3, None)
    ]
    con.execute("update core.incidents set is_crime = true")
    warehouse.run_models(con, "marts", ["risk_exclusions"])
    reasons = dict(con.execute("select reason, incidents from marts.risk_exclusions").fetchall())
    assert reasons["place probably a geocoder's default"] == 30


def test_a_source_that_knows_few_points_has_no_pile(con: duckdb.DuckDBPyConnection) -> None:
    places = [HERE, THERE, {"lon": 127.01, "lat": 37.57}]
    insert(con, "staging.incidents", *(staged(number, **places[number % 3]) for number in range(300)))
    warehouse.run_models(con, "core", ["place_piles"])
    assert con.execute("from core.place_piles").fetchall() == []


def test_crime_at_a_point_that_the_profile_confirms_enters_risk(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "reference.confirmed_points", {"feed": "police_112", "lon": 126.980001, "lat": 37.58})
    insert(con, "reference.confirmed_points", {"feed": "fire_119", **THERE})
    assert piled(con) == []
    assert len(states(con)) == 30
