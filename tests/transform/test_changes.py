"""Changes of incidents: reclassified, relocated or withdrawn and when, who may read them, and revision rates."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from pipelines.release import audiences, views
from pipelines.store import warehouse
from tests.release.conftest import AS_OF, UNMAPPED, create_all, incident, insert

DAY = timedelta(days=1)
REPORTED = datetime(2026, 8, 10, 3, tzinfo=UTC)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Empty tables of the whole dictionary, and four words of the police."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute("set variable time_zone = 'Asia/Seoul'")
        for schema in warehouse.SCHEMAS:
            con.execute(f"create schema {schema}")
        create_all(con)
        insert(con, "reference.feeds", {"feed": "police_112", "agency": "police", "load_type": "keyed"})
        read = {"feed": "police_112", "verdict": "accepted", "window_start": datetime(2026, 7, 31, 15, tzinfo=UTC)}
        insert(con, "ops.batches", read)
        for word, category, sensitive in (
            ("절도", "theft", False),
            ("빈집털이", "theft", False),
            ("폭력", "violence", False),
            ("스토킹", "stalking", True),
        ):
            insert(
                con,
                "reference.category_map",
                {"feed": "police_112", "source_category": word, "category": category},
            )
            insert(con, "reference.categories", {"category": category, "is_sensitive": sensitive})
        con.execute("create or replace table reference.categories as select distinct * from reference.categories")
        yield con


def version(days: float = 0, number: int = 1, **given: Any) -> dict[str, Any]:
    """A version of a theft, known this many days after its report."""
    return {
        "incident_id": f"police_112:{number}",
        "agency": "police",
        "feed": "police_112",
        "service": "police",
        "source_category": "절도",
        "priority": 2,
        "reported_at": REPORTED,
        "lon": 127.0,
        "lat": 37.5,
        "location_quality": "exact",
        "location_source": "scene",
        "is_withdrawn": False,
        "known_at": REPORTED + days * DAY,
    } | given


def changes(con: duckdb.DuckDBPyConnection, *versions: dict[str, Any]) -> list[tuple[Any, ...]]:
    insert(con, "staging.versions", *versions)
    warehouse.run_models(con, "core", ["restricted_incidents", "incident_changes"])
    return con.execute(
        'select changed, "before", "after", days_after_report from core.incident_changes order by changed_at, changed'
    ).fetchall()


def test_a_reclassification_has_both_vocabularies(con: duckdb.DuckDBPyConnection) -> None:
    result = changes(con, version(), version(9, source_category="폭력"))
    assert result == [("category", "theft", "violence", 9.0), ("source_category", "절도", "폭력", 9.0)]


def test_another_source_category_with_the_same_mapping_is_not_a_reclassification(
    con: duckdb.DuckDBPyConnection,
) -> None:
    result = changes(con, version(), version(1, source_category="빈집털이"))
    assert result == [("source_category", "절도", "빈집털이", 1.0)]


def test_withdrawn_and_restored_are_two_changes(con: duckdb.DuckDBPyConnection) -> None:
    result = changes(con, version(), version(2, is_withdrawn=True), version(3, priority=1))
    assert result == [
        ("status", "standing", "withdrawn", 2.0),
        ("priority", "2", "1", 3.0),
        ("status", "withdrawn", "standing", 3.0),
    ]


def test_only_the_distance_of_a_relocation_is_released(con: duckdb.DuckDBPyConnection) -> None:
    assert changes(con, version(), version(1, lat=37.51)) == [("place", "exact", "exact", 1.0)]
    ((metres,),) = con.execute("select distance_m from core.incident_changes").fetchall()
    assert metres == pytest.approx(1112, abs=1)


def test_a_location_added_later_has_no_distance(con: duckdb.DuckDBPyConnection) -> None:
    nowhere = {"lon": None, "lat": None, "location_quality": "none"}
    assert changes(con, version(**nowhere), version(1)) == [("place", "none", "exact", 1.0)]
    assert con.execute("select distance_m from core.incident_changes").fetchall() == [(None,)]


def test_the_distance_from_a_caller_lookup_is_not_released(con: duckdb.DuckDBPyConnection) -> None:
    telephone = {"location_quality": "centroid", "location_source": "caller_lookup"}
    assert changes(con, version(**telephone), version(1, lat=37.51)) == [("place", "centroid", "exact", 1.0)]
    assert con.execute("select distance_m from core.incident_changes").fetchall() == [(None,)]


def test_a_vanished_record_is_withdrawn_at_the_time_of_its_list(con: duckdb.DuckDBPyConnection) -> None:
    gone = {"incident_id": "police_112:7", "agency": "police", "feed": "police_112", "service": "police"}
    facts = {"source_category": "절도", "reported_at": REPORTED, "missing_at": REPORTED + 6 * DAY}
    insert(con, "staging.missing", gone | facts, gone | facts | {"incident_id": "police_112:1"})
    result = changes(con, version(), version(1, source_category="폭력"))
    assert result[2:] == [("status", "standing", "withdrawn", 6.0)] * 2


@pytest.mark.parametrize("hidden", ["스토킹", "새로운 말"])
def test_changes_of_records_ever_sensitive_or_unknown_are_not_released(
    con: duckdb.DuckDBPyConnection, hidden: str
) -> None:
    changes(con, version(), version(1, source_category=hidden), version(2), version(number=2))
    assert con.execute("select distinct is_releasable from core.incident_changes").fetchall() == [(False,)]
    insert(con, "core.incidents", incident("police_112:1"))
    views.build(con, ["releasable_incidents", "incident_changes"])
    assert con.execute("from views.incident_changes").fetchall() == []


def test_an_agency_reads_the_changes_of_its_records_by_their_released_name(con: duckdb.DuckDBPyConnection) -> None:
    changes(con, version(), version(9, source_category="폭력"))
    insert(con, "core.incidents", incident("police_112:1"))
    views.build(con, ["releasable_incidents", "incident_changes"])
    (entry,) = [entry for entry in audiences.tables_of("police") if entry.name == "incident_changes"]
    result = con.execute(entry.select).pl()
    assert result["record_id"].n_unique() == 1 and not {"incident_id", "lon", "lat"} & set(result.columns)
    (entry,) = [entry for entry in audiences.tables_of("fire") if entry.name == "incident_changes"]
    assert con.execute(entry.select).fetchall() == []


def rates(con: duckdb.DuckDBPyConnection, complete: datetime = AS_OF) -> dict[tuple[str, int], tuple[int, int]]:
    con.execute("delete from marts.feed_status")
    insert(con, "marts.feed_status", {"feed": "police_112", "agency": "police", "complete_through_at": complete})
    warehouse.run_models(con, "marts", ["revision_rates"])
    result = con.execute(
        "select changed, within_days, incidents, changed_incidents from marts.revision_rates"
    ).fetchall()
    return {(changed, days): (incidents, count) for changed, days, incidents, count in result}


def test_the_share_of_changed_records_counts_withdrawn_ones_and_no_withheld_one(con: duckdb.DuckDBPyConnection) -> None:
    august = {"reported_at": REPORTED, "report_date": date(2026, 8, 10)}
    insert(con, "core.incidents", *(incident(f"police_112:{number}", **august) for number in range(1, 9)))
    insert(con, "core.incidents", incident("police_112:50", **UNMAPPED, **august))
    changes(
        con,
        version(),
        version(9, source_category="폭력"),
        version(number=60),
        version(3, 60, is_withdrawn=True),
        version(number=2),
        version(1, 2, source_category="스토킹"),
        version(2, 2),
    )
    result = rates(con)
    assert result["category", 7] == (8, 0) and result["category", 30] == (8, 1)
    assert result["status", 7] == (8, 1), "seven current releasable records, and the withdrawn one"


def test_a_month_is_evaluated_once_its_last_day_had_time_to_change(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "core.incidents", incident("police_112:1", report_date=date(2026, 8, 10)))
    changes(con, version(), version(9, source_category="폭력"))
    complete = datetime(2026, 9, 30, 15, tzinfo=UTC)
    assert {days for _, days in rates(con, complete)} == {7, 30}
    assert {days for _, days in rates(con, complete - timedelta(seconds=1))} == {7}


def test_a_partly_read_month_is_not_evaluated(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "core.incidents", incident("police_112:1", report_date=date(2026, 8, 10)))
    changes(con, version(), version(9, source_category="폭력"))
    con.execute("update ops.batches set window_start = window_start + interval 1 hour")
    assert rates(con) == {}


def test_a_share_of_few_records_is_not_published(con: duckdb.DuckDBPyConnection) -> None:
    row = {"feed": "police_112", "agency": "police", "month_start_date": date(2026, 8, 1), "changed": "category"}
    for days, incidents, changed in ((7, 99, 33), (30, 1000, 33), (90, 1000, 4)):
        counts = {"within_days": days, "incidents": incidents, "changed_incidents": changed}
        insert(con, "marts.revision_rates", row | counts)
    views.build(con, ["revision_rates"])
    assert con.execute("select within_days, changed_share from views.revision_rates").fetchall() == [(30, 0.03)]


def test_revision_rates_of_cases_are_for_their_agency_only(
    con: duckdb.DuckDBPyConnection,
) -> None:
    row = {"month_start_date": date(2026, 8, 1), "changed": "category", "within_days": 7, "incidents": 200}
    for agency in ("police", "investigation"):
        insert(con, "marts.revision_rates", row | {"feed": agency, "agency": agency, "changed_incidents": 20})
    views.build(con, ["revision_rates"])
    seen = {}
    for audience in ("public", "investigation"):
        (entry,) = [entry for entry in audiences.tables_of(audience) if entry.name == "revision_rates"]
        seen[audience] = con.execute(entry.select).pl()["agency"].to_list()
    assert seen == {"public": ["police"], "investigation": ["investigation"]}


def test_a_record_whose_times_were_corrected_counts_in_one_month_only(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "core.incidents", incident("police_112:1", reported_at=REPORTED, report_date=date(2026, 8, 10)))
    july = REPORTED - 20 * DAY
    changes(
        con,
        version(reported_at=july),
        version(1, source_category="폭력"),
        version(2, priority=1),
        version(number=2, reported_at=july),
        version(3, 2, is_withdrawn=True),
    )
    common = con.execute("select incident_id, count(distinct report_date) from core.incident_changes group by all")
    assert set(common.fetchall()) == {("police_112:1", 1), ("police_112:2", 1)}
    assert all(changed <= incidents for incidents, changed in rates(con).values())


def test_records_without_a_report_time_use_the_month_of_occurrence_and_have_no_days_after_report(
    con: duckdb.DuckDBPyConnection,
) -> None:
    happened = {"reported_at": None, "occurred_at": REPORTED - 20 * DAY}
    result = changes(con, version(**happened), version(9, source_category="폭력", **happened))
    assert [days for *_, days in result] == [None, None]
    assert con.execute("select distinct report_date from core.incident_changes").fetchall() == [(date(2026, 7, 21),)]
    insert(con, "core.incidents", incident("police_112:1", report_date=date(2026, 8, 10)) | happened)
    assert rates(con) == {}
