"""The marts: unknown is not zero, and withheld records are not disclosed by differencing."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import areas
from pipelines.config import profile as profiles
from pipelines.quality import suites
from pipelines.release import audiences, views
from pipelines.steps import inputs
from pipelines.store import warehouse
from tests.release.conftest import AS_OF, FIRST_RECORD, SENSITIVE, UNMAPPED, fill, incident, insert, settings_at

HOUR = timedelta(hours=1)
EDGE = datetime(2026, 11, 22, 20, tzinfo=UTC)
"""The last whole hour before ``AS_OF``."""


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A filled warehouse with ten days of demand, all feeds fetched through as_of."""
    korea = profiles.load("korea")
    short = korea.model_copy(update={"demand": korea.demand.model_copy(update={"history_days": 10})})
    settings = settings_at(tmp_path / "home", profile=short)
    with warehouse.connect(settings) as con:
        fill(con, settings)
        for service, names in (("police", ("police_112",)), ("fire", ("fire_119",)), ("ems", ("fire_119",))):
            for name in names:
                insert(con, "reference.feed_services", {"feed": name, "service": service})
        for priority in (0, 1, 2):
            demand_service = "police_code_2" if priority == 2 else "police_code_0_1"
            row = {"demand_service": demand_service, "service": "police", "priority": priority, "needs_units": True}
            insert(con, "reference.demand_services", row)
        insert(con, "reference.demand_services", {"demand_service": "ems", "service": "ems", "needs_units": True})
        for feed in ("police_112", "fire_119", "investigation_cases"):
            insert(con, "staging.incidents", {"incident_id": f"{feed}:0", "feed": feed, "reported_at": FIRST_RECORD})
        fetched(con, police_112=AS_OF, fire_119=AS_OF, investigation_cases=AS_OF)
        yield con


def fetched(con: duckdb.DuckDBPyConnection, **through: datetime) -> None:
    """Set the feeds' cursors, and build marts and views."""
    con.execute("delete from ops.cursors")
    for feed, instant in through.items():
        insert(con, "ops.cursors", {"feed": feed, "fetched_through_at": instant})
    built(con)


def built(con: duckdb.DuckDBPyConnection) -> None:
    warehouse.run_models(con, "marts")
    views.build(con)


def published(con: duckdb.DuckDBPyConnection, audience: str) -> dict[str, pl.DataFrame]:
    """All that an audience gets."""
    return {entry.name: con.execute(entry.select).pl() for entry in audiences.tables_of(audience)}


def last_hours(con: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """The end of each service's demand."""
    rows = con.execute("select service, max(hour_start_at) from marts.demand_hourly group by 1").fetchall()
    return {service: last.astimezone(UTC) + HOUR for service, last in rows}


def test_demand_ends_where_the_feed_of_its_service_does(con: duckdb.DuckDBPyConnection) -> None:
    assert last_hours(con) == {"police_code_0_1": EDGE, "police_code_2": EDGE, "ems": EDGE}
    fetched(con, police_112=AS_OF + 5 * HOUR, fire_119=AS_OF - 7 * HOUR, investigation_cases=AS_OF)
    assert last_hours(con) == {"police_code_0_1": EDGE, "police_code_2": EDGE, "ems": EDGE - 7 * HOUR}


def test_a_declared_delay_is_not_a_day_without_calls(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update reference.feeds set delay_seconds = 86400 where feed = 'police_112'")
    built(con)
    assert last_hours(con) == {"police_code_0_1": EDGE - 24 * HOUR, "police_code_2": EDGE - 24 * HOUR, "ems": EDGE}


def test_a_service_whose_feed_was_never_fetched_has_no_rows(con: duckdb.DuckDBPyConnection) -> None:
    fetched(con, police_112=AS_OF)
    assert set(last_hours(con)) == {"police_code_0_1", "police_code_2"}
    never = con.execute(
        "select fetched_through_at, complete_through_at, stale_reason from marts.feed_status"
    ).fetchall()
    assert never.count((None, None, "never fetched")) == 2


def test_a_service_of_two_feeds_ends_where_the_first_of_them_does(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "reference.feed_services", {"feed": "investigation_cases", "service": "ems"})
    fetched(con, police_112=AS_OF, fire_119=AS_OF, investigation_cases=AS_OF - 3 * HOUR)
    assert last_hours(con)["ems"] == EDGE - 3 * HOUR
    fetched(con, police_112=AS_OF, fire_119=AS_OF)
    assert "ems" not in last_hours(con)


def test_demand_ends_where_forecasts_stop_reading_it(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update reference.feeds set delay_seconds = 3600 where feed = 'fire_119'")
    fetched(con, police_112=AS_OF - 30 * HOUR, fire_119=AS_OF + HOUR)
    through = inputs.services_complete_until(con)
    assert last_hours(con) == {service: edge.replace(minute=0) for service, edge in through.items()}


def test_hours_inside_the_edge_are_zeros_and_a_call_after_it_is_not_counted(con: duckdb.DuckDBPyConnection) -> None:
    late = {"reported_at": AS_OF - HOUR, "agency": "fire", "service": "ems", "priority": None}
    insert(con, "core.incidents", incident("fire_119:9", **late))
    fetched(con, police_112=AS_OF, fire_119=AS_OF - 5 * HOUR)
    district = (
        "select sum(calls), count(*), count(distinct hour_start_at) from marts.demand_hourly where area_id = '11010'"
    )
    # Two ambulance calls of three days ago, and the police's four of priority 2.
    assert con.execute(f"{district} and service = 'ems'").fetchall() == [(2, 235, 235)]
    assert con.execute(f"{district} and service = 'police_code_2'").fetchall() == [(4, 240, 240)]


def test_units_sent_are_unknown_if_the_agency_reports_none(con: duckdb.DuckDBPyConnection) -> None:
    result = con.execute(
        "select service, sum(dispatches), count(dispatches) = count(*) from marts.demand_hourly "
        "where area_id = '11' group by 1 order by 1"
    ).fetchall()
    assert result == [("ems", 2, True), ("police_code_0_1", None, False), ("police_code_2", None, False)]


def test_a_rerun_of_an_earlier_day_gives_the_same_feed_status(con: duckdb.DuckDBPyConnection) -> None:
    before = warehouse.logical_hash(con, "marts", "feed_status")
    insert(con, "ops.batches", {"feed": "fire_119", "batch_type": "delivery", "received": 9, "loaded": 9})
    fetched(con, police_112=AS_OF + 48 * HOUR, fire_119=AS_OF + HOUR, investigation_cases=AS_OF)
    assert warehouse.logical_hash(con, "marts", "feed_status") == before


def test_boundary_feeds_are_never_stale(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update reference.feeds set is_reference = true where feed = 'fire_119'")
    built(con)
    assert con.execute("select count(*) from marts.feed_status where feed = 'fire_119'").fetchall() == [(0,)]


def test_only_records_with_known_and_not_sensitive_categories_are_releasable(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("delete from staging.incidents")
    for number, word in enumerate(("절도", "스토킹", "새로운 말")):
        row = {"incident_id": f"police_112:{number}", "agency": "police", "feed": "police_112", "source_category": word}
        days = {"occurred_at": AS_OF - 48 * HOUR, "reported_at": AS_OF - 24 * HOUR}
        insert(con, "staging.incidents", row | days)
    warehouse.run_models(con, "core")
    result = con.execute(
        "select category, is_releasable, report_date from core.incidents order by incident_id"
    ).fetchall()
    reported = date(2026, 11, 22)
    assert result == [("theft", True, reported), ("stalking", False, reported), ("other", False, reported)]


def staged(number: int, **given: Any) -> dict[str, Any]:
    """A staged record of theft, without a location by default."""
    return {
        "incident_id": f"police_112:{number}",
        "agency": "police",
        "feed": "police_112",
        "service": "police",
        "priority": 2,
        "source_category": "절도",
        "reported_at": AS_OF - 24 * HOUR,
        "location_quality": "exact",
    } | given


def test_a_record_without_a_location_counts_in_its_named_area_and_one_outside_separately(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("delete from staging.incidents")
    insert(
        con,
        "staging.incidents",
        staged(1, location_quality="withheld", named_area_id="11020"),
        staged(2, lon=0.0, lat=0.0, location_quality="none", named_area_id="11020"),
        staged(3, lon=131.0, lat=34.4),
        staged(4, lon=126.95, lat=37.55, named_area_id="11010"),
        staged(5, lon=126.95, lat=37.55, named_area_id="11030"),
        staged(6, location_quality="none"),
    )
    areas.locate(con, profiles.load("korea"))
    warehouse.run_models(con, "core")
    built(con)
    result = con.execute("select source_category, admin_area_id, cell_id from core.incidents order by incident_id").pl()
    assert result["admin_area_id"].to_list() == ["11020", "11020", None, "11010", "11010", None]
    assert result["cell_id"][:3].to_list() == [None, None, None]
    totals = dict(
        con.execute(
            "select area_id, sum(calls)::bigint from marts.demand_hourly "
            "where service = 'police_code_2' and hierarchy = 'admin' group by 1"
        ).fetchall()
    )
    assert totals == {"11": 6, "11010": 2, "11020": 2, "11030": 0}
    assert con.execute("from marts.place_checks").fetchall() == [("police_112", 6, 4, 0, 2, 1, 0.5, 0.5)]
    shut = suites.validate_table("marts.place_checks", con.execute("from marts.place_checks").pl())
    assert shut["failed"].to_list() == [1, 1]


def test_several_provinces_have_separate_totals_and_the_nation_has_all(con: duckdb.DuckDBPyConnection) -> None:
    for area_id, level, parent in (("26", "province", "KR"), ("26010", "district", "26")):
        row = {"area_id": area_id, "hierarchy": "admin", "area_level": level, "parent_area_id": parent}
        insert(con, "reference.areas", row)
    con.execute("delete from core.incidents")
    where = ("11010", "26010", "26010", "26", None)
    kinds = ({}, SENSITIVE)
    records = [
        incident(f"police_112:{number}", admin_area_id=area_id, **kind)
        for number, (area_id, kind) in enumerate((area_id, kind) for area_id in where for kind in kinds)
    ]
    insert(con, "core.incidents", *records)
    built(con)
    totals = con.execute(
        "select area_id, sum(calls)::bigint from marts.demand_hourly "
        "where service = 'police_code_2' and hierarchy = 'admin' group by 1 order by 1"
    ).fetchall()
    assert totals == [("11", 2), ("11010", 2), ("11020", 0), ("11030", 0), ("26", 6), ("26010", 4), ("KR", 10)]
    yearly = con.execute("select area_id, incidents from marts.sensitive_yearly order by all").fetchall()
    assert yearly == [("11", 1), ("26", 3), ("KR", 1)]


def stations(con: duckdb.DuckDBPyConnection) -> None:
    """Jongno is in one fire station's area, Jung in two; both of one headquarters, as are the police stations."""
    con.execute(
        "delete from core.incidents; delete from core.dispatches; "
        "delete from reference.areas where hierarchy <> 'admin'"
    )
    for hierarchy, letter in (("police", "P"), ("fire", "F")):
        insert(
            con,
            "reference.areas",
            {"area_id": letter, "hierarchy": hierarchy, "area_level": "headquarters", "parent_area_id": "KR"},
        )
        for name in (f"{letter}-1", f"{letter}-2"):
            insert(
                con,
                "reference.areas",
                {"area_id": name, "hierarchy": hierarchy, "area_level": "station", "parent_area_id": letter},
            )
    for number, (district, police, fire) in enumerate(
        (("11010", "P-1", "F-1"), ("11020", "P-2", "F-1"), ("11020", "P-2", "F-2"))
    ):
        row = {"admin_area_id": district, "police_area_id": police, "fire_area_id": fire}
        insert(con, "reference.places", {"lon": float(number), "lat": 37.5} | row)


def totals(con: duckdb.DuckDBPyConnection, service: str, column: str = "calls") -> dict[str, int]:
    """Per area with any, what a column adds up to."""
    query = f"select area_id, sum({column})::bigint as n from marts.demand_hourly where service = ? group by 1"
    return {area_id: n for area_id, n in con.execute(query, [service]).fetchall() if n}


def ambulance(number: int, **given: Any) -> dict[str, Any]:
    fire = {"agency": "fire", "service": "ems", "priority": None, "is_crime": False, "police_area_id": None}
    return incident(f"fire_119:{number}", **(fire | given))


def test_every_hierarchy_counts_the_services_of_its_agency_up_to_its_headquarters(
    con: duckdb.DuckDBPyConnection,
) -> None:
    stations(con)
    insert(
        con,
        "core.incidents",
        incident("police_112:1", police_area_id="P-1", fire_area_id="F-1"),
        incident("police_112:2", admin_area_id="11020", police_area_id="P-2", fire_area_id="F-2"),
        ambulance(3, admin_area_id="11020", fire_area_id="F-2", police_area_id="P-2"),
        ambulance(4, admin_area_id=None, fire_area_id=None),
    )
    built(con)
    assert totals(con, "police_code_2") == {"11": 2, "11010": 1, "11020": 1, "P": 2, "P-1": 1, "P-2": 1}
    assert totals(con, "ems") == {"11": 2, "11020": 1, "F": 1, "F-2": 1}
    levels = con.execute(
        "select hierarchy, area_level, count(distinct area_id), count(*) / count(distinct hour_start_at) "
        "from marts.demand_hourly where service = 'ems' group by 1, 2 order by 1, 2"
    ).fetchall()
    # Zeros are rows, the whole has one row, and police areas have no ambulances.
    assert levels == [
        ("admin", "district", 3, 3),
        ("admin", "province", 1, 1),
        ("fire", "headquarters", 1, 1),
        ("fire", "station", 2, 2),
    ]


def test_a_call_without_a_location_counts_in_stations_that_cover_its_whole_district(
    con: duckdb.DuckDBPyConnection,
) -> None:
    stations(con)
    nowhere = {"fire_area_id": None, "lon": None, "lat": None}
    insert(con, "core.incidents", ambulance(1, **nowhere), ambulance(2, admin_area_id="11020", **nowhere))
    built(con)
    assert totals(con, "ems") == {"11": 2, "11010": 1, "11020": 1, "F": 2, "F-1": 1}


def test_a_station_never_discloses_a_caller_location_within_its_district(con: duckdb.DuckDBPyConnection) -> None:
    stations(con)
    telephone = {"location_source": "caller_lookup", "fire_area_id": "F-1"}
    insert(
        con,
        "core.incidents",
        ambulance(1, admin_area_id="11010", **telephone),
        ambulance(2, admin_area_id="11020", **telephone),
        ambulance(3, admin_area_id="11020", fire_area_id="F-1"),
    )
    insert(
        con,
        "core.dispatches",
        *({"incident_id": f"fire_119:{n}", "unit_id": "구급1", "service": "ems"} for n in (1, 2)),
    )
    built(con)
    # The first one's station covers its whole district, so it discloses no more than the district.
    for column in ("calls", "releasable_calls"):
        assert totals(con, "ems", column) == {"11": 3, "11010": 1, "11020": 2, "F": 3, "F-1": 2}
    for column in ("dispatches", "releasable_dispatches"):
        assert totals(con, "ems", column)["F-1"] == 1
    (row,) = published(con, "dispatch")["demand_hourly"].filter(pl.col("area_id") == "F-1", pl.col("calls") > 0).rows()
    assert 2 in row and 3 not in row


def test_crime_is_counted_in_the_quarter_in_which_it_happened(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("delete from core.incidents")
    happened = {"occurred_at": datetime(2026, 9, 30, 14, 59, tzinfo=UTC)}
    insert(
        con,
        "core.incidents",
        incident("police_112:1", **happened, report_date=date(2026, 10, 1)),
        incident("police_112:2", **happened, report_date=date(2026, 10, 31)),
        incident("police_112:3", **happened, report_date=date(2026, 11, 1)),
    )
    built(con)
    result = con.execute("select quarter_start_date, incidents from marts.crime_quarterly").fetchall()
    assert result == [(date(2026, 7, 1), 2)], "later reports would change a published quarter by single incidents"
    assert con.execute("select distinct occurrence_date from marts.crime_daily").fetchall() == [(date(2026, 9, 30),)]
    con.execute("update staging.incidents set reported_at = timestamptz '2026-07-01 00:00:00+00'")
    # Local midnight of 1 July, and an hour later.
    for first, quarters in (("2026-06-30 15:00:00+00", 1), ("2026-06-30 16:00:00+00", 0)):
        con.execute(f"update ops.batches set window_start = timestamptz '{first}'")
        built(con)
        assert len(con.execute("from views.crime_quarterly").fetchall()) == quarters, "a short quarter is none"
    con.execute("update ops.batches set window_start = null")
    # A source whose window reaches back for years, and whose first record is of 1 July or of a day later.
    for first, quarters in (("2026-07-01 05:00:00+00", 1), ("2026-07-01 16:00:00+00", 0)):
        con.execute(f"update staging.incidents set reported_at = timestamptz '{first}'")
        built(con)
        assert len(con.execute("from views.crime_quarterly").fetchall()) == quarters, "a short quarter is none"


def test_time_before_the_first_record_of_a_feed_is_unknown(con: duckdb.DuckDBPyConnection) -> None:
    first = AS_OF - 30 * HOUR
    con.execute("update staging.incidents set reported_at = ? where feed = 'fire_119'", [first])
    built(con)
    starts = dict(con.execute("select service, min(hour_start_at) from marts.demand_hourly group by 1").fetchall())
    assert starts["ems"] == first.replace(minute=0), "the hour of the first record is the first known one"
    assert starts["police_code_2"] == EDGE - 240 * HOUR
    con.execute("delete from staging.incidents where feed = 'fire_119'")
    built(con)
    assert "ems" not in last_hours(con), "a feed without any record says nothing of any hour"


def withheld(number: int, kind: dict[str, Any]) -> list[dict[str, Any]]:
    """A police and a fire record that are not releasable."""
    fire = {"agency": "fire", "service": "ems", "priority": None, "first_arrived_at": AS_OF - 71 * HOUR}
    return [
        incident(f"police_112:{number}", first_arrived_at=AS_OF - 71 * HOUR, **kind),
        incident(f"fire_119:{number}", **(kind | fire | {"is_crime": False})),
    ]


@pytest.mark.parametrize("kind", [SENSITIVE, UNMAPPED], ids=["sensitive", "unmapped"])
@pytest.mark.parametrize("audience", ["police", "fire"])
def test_a_withheld_record_does_not_change_its_agencys_tables(
    con: duckdb.DuckDBPyConnection, audience: str, kind: dict[str, Any]
) -> None:
    # It is public that a service had withheld calls in a year (sensitive_yearly): the effect of a second one is not.
    insert(con, "core.incidents", *withheld(49, kind))
    built(con)
    before = published(con, audience)
    insert(con, "core.incidents", *withheld(50, kind))
    insert(
        con, "core.dispatches", {"incident_id": "fire_119:50", "unit_id": "구급9", "agency": "fire", "service": "ems"}
    )
    built(con)
    after = published(con, audience)
    all_but_listed = "select sum(calls - releasable_calls) from marts.demand_hourly where area_id = '11'"
    assert con.execute(all_but_listed).fetchall() == [(6,)], "four more than the fixture's own two"
    assert not [name for name, frame in after.items() if not frame.equals(before[name])]


@pytest.mark.parametrize("audience", ["police", "fire"])
def test_demand_minus_records_is_zero_in_every_area_and_hour(con: duckdb.DuckDBPyConnection, audience: str) -> None:
    insert(con, "core.incidents", *withheld(50, SENSITIVE), *withheld(51, UNMAPPED))
    built(con)
    for name, table in published(con, audience).items():
        con.register(name, table.to_arrow())
    left = con.execute(
        """
        with records as (
            select admin_area_id as area_id, if(service = 'police', 'police_code_2', service) as service,
                date_trunc('hour', reported_at) as hour_start_at, count(*) as records
            from incidents group by all
        )
        select count(*), sum(releasable_calls), count(*) filter (releasable_calls <> coalesce(records, 0))
        from demand_hourly left join records using (area_id, service, hour_start_at)
        where hierarchy = 'admin' and area_id <> '11'
        """
    ).fetchall()
    assert left[0][1:] == (2, 0) and left[0][0] > 0


@pytest.mark.parametrize("audience", ["public", "dispatch", "police", "fire", "investigation"])
def test_readers_of_records_get_no_count_of_all_calls_and_no_audience_gets_both(audience: str) -> None:
    tables = {entry.name: set(entry.table.columns) for entry in audiences.tables_of(audience)}
    columns = set().union(*tables.values())
    of_all = {"calls", "dispatches", "baseline_calls", "calls_answered", "calls_for_units"}
    of_listed = {name for name in columns if name.startswith("listed_")} | {"record_id"}
    assert not (columns & of_all and columns & of_listed)
    assert not columns & {"incident_id", "source_id"}


def of_a_day(number: int, day: date, **given: Any) -> dict[str, Any]:
    """A call for an ambulance of which only the local day is known."""
    start = datetime.combine(day, time(), profiles.load("korea").zone)
    facts = {"agency": "fire", "service": "ems", "priority": None, "is_crime": False, "is_risk_allowed": False}
    times = {"reported_at": None, "occurred_at": start, "occurred_until": start + 24 * HOUR, "report_date": day}
    return incident(f"fire_119:{number}", **(facts | times | {"report_hour": None} | given))


def test_a_call_of_which_only_the_day_is_known_is_in_no_hour_and_counts_in_its_day(
    con: duckdb.DuckDBPyConnection,
) -> None:
    hourly = ("demand_hourly", "calls_hourly", "demand_changes", "demand_delays")
    before = {table: warehouse.logical_hash(con, "marts", table) for table in hourly}
    day = date(2026, 11, 20)
    insert(con, "core.incidents", of_a_day(31, day), of_a_day(32, day, is_releasable=False))
    insert(con, "core.incidents", of_a_day(33, day, admin_area_id="11020"), of_a_day(34, date(2020, 1, 1)))
    built(con)
    assert {table: warehouse.logical_hash(con, "marts", table) for table in hourly} == before
    assert con.execute("from marts.demand_untimed order by all").fetchall() == [
        ("11010", "ems", day, 2, 1),
        ("11020", "ems", day, 1, 1),
    ], "a day whose hours are unknown is unknown"
    insert(con, "core.incidents", of_a_day(35, day, reported_at=AS_OF - 50 * HOUR))
    built(con)
    after = warehouse.logical_hash(con, "marts", "demand_hourly")
    assert after != before["demand_hourly"], "the time of a report is a time, whatever is known of the occurrence"


def test_calls_answered_are_more_than_demand_and_never_part_of_it(con: duckdb.DuckDBPyConnection) -> None:
    at = {"reported_at": AS_OF - 50 * HOUR, "occurred_at": None}
    fire = {"agency": "fire", "is_crime": False, "is_risk_allowed": False, "priority": None}
    advice = fire | {"service": None, "category": "advice", "admin_area_id": None} | at
    insert(
        con,
        "core.incidents",
        incident("fire_119:21", **fire, service="ems", **at),
        incident("fire_119:22", **advice),
        incident("police_112:23", priority=4, **at),
        incident("police_112:24", priority=2, is_discovered=True, **at),
        incident("police_112:25", priority=2, **(SENSITIVE | at)),
    )
    for unit in ("구급1", "구급2"):
        insert(con, "core.dispatches", {"incident_id": "fire_119:21", "unit_id": unit, "service": "ems"})
    insert(
        con,
        "reference.demand_services",
        {"demand_service": "police_code_4", "service": "police", "priority": 4, "needs_units": False},
    )
    demand = "select sum(calls) from marts.demand_hourly where service in ('ems', 'police_code_2') and area_id = '11'"
    before = con.execute(demand).fetchall()
    built(con)
    result = con.execute(
        """
        select
            agency, area_id, calls_answered, calls_for_units, dispatches, releasable_calls_answered,
            releasable_dispatches
        from marts.calls_hourly
        where hour_start_at = date_trunc('hour', $1::timestamptz) and calls_answered > 0
        order by all
        """,
        [AS_OF - 50 * HOUR],
    ).fetchall()
    assert result == [
        ("fire", "11", 2, 1, 2, 2, 2),
        ("fire", "11010", 1, 1, 2, 1, 2),
        ("police", "11", 2, 1, None, 1, None),
        ("police", "11010", 2, 1, None, 1, None),
    ], "advice without a place counts in the region; a discovery by patrol is not a call"
    (after,) = con.execute(demand).fetchall()
    assert after[0] == before[0][0] + 3, "the ambulance call, and both police calls of priority 2"


def test_advice_is_a_series_of_its_own_and_no_call_for_units(con: duckdb.DuckDBPyConnection) -> None:
    at = {"reported_at": AS_OF - 50 * HOUR, "occurred_at": None, "agency": "fire", "priority": None}
    insert(con, "reference.feed_services", {"feed": "fire_119", "service": "advice"})
    advice = {"demand_service": "advice", "service": "advice", "needs_units": False}
    insert(con, "reference.demand_services", advice)
    insert(con, "core.incidents", incident("fire_119:31", service="advice", category="advice", **at))
    insert(con, "core.incidents", incident("fire_119:32", service="ems", **at))
    built(con)
    counts = "select service, calls, dispatches from marts.demand_hourly where area_id = '11' and hour_start_at = $1"
    hour = (AS_OF - 50 * HOUR).replace(minute=0, second=0)
    called = dict((service, calls) for service, calls, _ in con.execute(counts, [hour]).fetchall() if calls)
    assert (called["advice"], called["ems"]) == (1, 1)
    assert con.execute("select distinct dispatches from marts.demand_hourly where service = 'advice'").fetchall() == [
        (None,)
    ], "no unit is sent to advice: units are unknown and not forecast"
    answered = "select calls_answered, calls_for_units from marts.calls_hourly where agency = 'fire' and area_id = '11'"
    assert con.execute(f"{answered} and hour_start_at = $1", [hour]).fetchall() == [(2, 1)]


def test_calls_answered_have_every_hour_in_which_all_services_of_the_agency_are_known(
    con: duckdb.DuckDBPyConnection,
) -> None:
    hours = (
        "select agency, count(distinct hour_start_at), max(hour_start_at) from marts.calls_hourly group by 1 order by 1"
    )
    # The fixture has only these fire and police services.
    assert con.execute(hours).fetchall() == [("fire", 240, EDGE - HOUR), ("police", 240, EDGE - HOUR)]
    assert con.execute("select count(*) from marts.calls_hourly where calls_for_units > calls_answered").fetchall() == [
        (0,)
    ]


def test_investigation_cases_appear_only_by_category_province_and_month(
    con: duckdb.DuckDBPyConnection,
) -> None:
    everyone = ("public", "dispatch", "police", "fire", "investigation")
    before = {audience: published(con, audience) for audience in everyone}
    case = {
        "agency": "investigation",
        "category": "corruption",
        "source_category": "부패",
        "admin_area_id": "11",
        "location_quality": "withheld",
        "location_source": "unknown",
        "is_discovered": None,
        "is_risk_allowed": False,
        "police_area_id": None,
        "fire_area_id": None,
        "cell_id": None,
        "lon": None,
        "lat": None,
        "priority": None,
    }
    insert(con, "core.incidents", incident("investigation_cases:90", **case))
    built(con)
    changed = {
        (audience, name)
        for audience in everyone
        for name, frame in published(con, audience).items()
        if not frame.equals(before[audience][name])
    }
    assert changed == {("investigation", "cases")}
    assert {"area_id", "month_start_date", "category", "cases"} <= set(published(con, "investigation")["cases"].columns)


def test_a_delay_counts_from_the_first_received_version_of_a_call(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("delete from core.incidents; update reference.feeds set delay_seconds = 3600 where feed = 'police_112'")
    hour = (AS_OF - 50 * HOUR).replace(minute=0)
    reported = {"reported_at": hour + HOUR / 2}
    insert(
        con,
        "core.incidents",
        incident("police_112:1", known_at=hour + 1.5 * HOUR, **reported),
        incident("police_112:2", known_at=hour + 9 * HOUR, **reported),
        incident("police_112:3", known_at=hour + 90 * HOUR, **reported),
    )
    common = {"feed": "police_112", "known_at": hour + 3.5 * HOUR}
    insert(con, "staging.versions", {"incident_id": "police_112:3"} | common)
    # Closed late, received at once.
    insert(con, "core.incidents", incident("police_112:4", known_at=hour + 40 * HOUR, **reported))
    insert(con, "staging.firsts", {"incident_id": "police_112:4", "first_known_at": hour + HOUR})
    built(con)
    result = con.execute(
        "select service, hour_start_at, delay_hours, calls from marts.demand_delays order by delay_hours"
    ).fetchall()
    assert [(service, late, calls) for service, _, late, calls in result] == [
        ("police_code_2", 0, 2),
        ("police_code_2", 2, 1),
        ("police_code_2", 7, 1),
    ], "less the declared hour; whole hours after the end of the hour of the report"


def timed(con: duckdb.DuckDBPyConnection, number: int, **minutes: int) -> None:
    """An ambulance call in Jongno with a unit; each stage so many minutes after the report."""
    reported = AS_OF - timedelta(days=3)
    instants = {f"{stage}_at": reported + timedelta(minutes=after) for stage, after in minutes.items()}
    happened = {"agency": "fire", "service": "ems", "priority": None, "reported_at": reported}
    insert(con, "core.incidents", incident(f"fire_119:t{number}", **happened, admin_area_id="11020"))
    unit = {"incident_id": f"fire_119:t{number}", "unit_id": "u", "agency": "fire", "service": "ems"}
    insert(con, "core.dispatches", unit | instants)


def test_an_arrival_before_the_report_has_no_response_time_and_is_counted(con: duckdb.DuckDBPyConnection) -> None:
    timed(con, 1, dispatched=1, en_route=2, arrived=8)
    timed(con, 2, dispatched=-3, en_route=2, arrived=-1774)
    built(con)
    times = con.execute(
        "select incidents, call_processing_p50_seconds, travel_p50_seconds, response_p50_seconds, response_p90_seconds "
        "from marts.response_times where area_id = '11020' and service = 'ems'"
    ).fetchall()
    assert times == [(1, 60, 360, 480, 480)]
    counted = dict(
        con.execute(
            "select time_order, disordered_incidents from marts.time_checks where feed = 'fire_119' order by all"
        ).fetchall()
    )
    assert counted == {
        "departure to arrival": 1, "dispatch to departure": 0, "report to arrival": 1, "report to dispatch": 1,
    }  # fmt: skip


@given(st.lists(st.integers(-5000, 5000), min_size=4, max_size=4))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_duration_is_negative(con: duckdb.DuckDBPyConnection, minutes: list[int]) -> None:
    con.execute("delete from core.dispatches; delete from core.incidents where incident_id like '%:t%'")
    reported, dispatched, en_route, arrived = minutes
    timed(con, 1, dispatched=dispatched - reported, en_route=en_route - reported, arrived=arrived - reported)
    warehouse.run_models(con, "marts", names=("response_times",))
    durations = con.execute("select columns('seconds') from marts.response_times where area_id = '11020'").fetchall()
    assert all(seconds is None or seconds >= 0 for row in durations for seconds in row)
