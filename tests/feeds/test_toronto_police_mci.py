"""Toronto police offences: from the layer's pages to staging, each pitfall, and all real rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import orjson
import polars as pl
import pytest

from pipelines.feeds import toronto_neighbourhoods
from pipelines.feeds.feed import conform
from pipelines.feeds.toronto_police_mci import FEED, parse
from pipelines.schema.dictionary import sql_types
from tests import replay
from tests.feeds.portal import as_of, load, memory, needs_shared_data, request, rows, stage


def offence(**overrides: Any) -> dict[str, Any]:
    known = {
        "occurrencedate": "2020/01/05 05:00:00+00",
        "occurrencehour": 22,
        "MCI": "Assault",
        "Neighbourhood": "Yonge-St.Clair",
        "Lat": 43.69,
        "Long": -79.39,
    }
    return known | overrides


def staged(*offences: dict[str, Any], con: duckdb.DuckDBPyConnection | None = None) -> pl.DataFrame:
    con = con or memory()
    places = [
        {"Hood_ID": "097", "Neighbourh": "Yonge-St.Clair", "Population": 1, "geometry": "{}"},
        {"Hood_ID": "054", "Neighbourh": "O'Connor-Parkview", "Population": 1, "geometry": "{}"},
    ]
    load(con, toronto_neighbourhoods.FEED, rows(toronto_neighbourhoods.FEED, *places))
    load(con, FEED, rows(FEED, *offences))
    return stage(con, FEED.name)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "hour", "instant"),
    [
        ("2020/01/05 05:00:00+00", 22, "2020-01-06 03:00"),  # winter: five hours behind
        ("2020/07/05 04:00:00+00", 22, "2020-07-06 02:00"),  # summer: four
        ("2020/03/08 05:00:00+00", 1, "2020-03-08 06:00"),  # the spring day: before the change
        ("2020/03/08 05:00:00+00", 3, "2020-03-08 07:00"),  # and after it, one hour later
        ("2020/11/01 04:00:00+00", 0, "2020-11-01 04:00"),  # the autumn day: before the change
        ("2020/11/01 04:00:00+00", 2, "2020-11-01 07:00"),  # and after it, three hours later
        ("1966/06/09 04:00:00+00", 0, "1966-06-09 04:00"),  # the oldest row is real and stays
        ("1978/04/10 04:00:00+00", 0, "1978-04-10 05:00"),  # written by later rules: 23:00 of the day before, then
        ("1980/04/24 04:00:00+00", 13, "1980-04-24 18:00"),
    ],
)
def test_the_local_date_and_the_local_hour_make_the_instant(date: str, hour: int, instant: str) -> None:
    frame = staged(offence(occurrencedate=date, occurrencehour=hour))
    assert frame["occurred_at"].to_list() == [utc(instant)]
    assert frame["occurred_until"].to_list() == [utc(instant) + timedelta(hours=1)]


def test_identical_rows_are_separate_offences() -> None:
    frame = staged(offence(), offence(), offence(MCI="Robbery"))
    assert frame["incident_id"].n_unique() == 3


def test_a_repeated_snapshot_changes_nothing_and_a_missing_row_is_removed() -> None:
    con = memory()
    first = staged(offence(), offence(), offence(MCI="Robbery"), con=con)
    again = staged(offence(MCI="Robbery"), offence(), offence(), con=con)
    assert first.sort("incident_id").equals(again.sort("incident_id"))
    load(con, FEED, rows(FEED, offence()), end=datetime(2027, 1, 2, tzinfo=UTC))
    assert stage(con, FEED.name)["source_category"].to_list() == ["Assault"]


def test_known_at_is_the_occurrence_plus_the_declared_delay_and_cuts_by_as_of() -> None:
    con = memory()
    assert staged(offence(), con=con)["known_at"].to_list() == [utc("2020-01-07 03:00")]
    as_of(con, "2020-01-07 02:59:59+00")
    assert stage(con, FEED.name).is_empty()


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("Yonge-St.Clair", "T-097"),
        ("Yonge-St.Clair (97)", "T-097"),  # the format of newer layers
        ("O`Connor Parkview (54)", "T-054"),
        ("NSA", None),
        (None, None),
    ],
)
def test_a_neighbourhood_name_maps_to_an_area(name: str | None, area: str | None) -> None:
    assert staged(offence(Neighbourhood=name))["named_area_id"].to_list() == [area]


def test_an_offence_at_zero_zero_has_no_location_but_keeps_its_area() -> None:
    row = staged(offence(Lat=0.0, Long=5.7e-14)).row(0, named=True)
    assert (row["lon"], row["lat"], row["location_quality"], row["named_area_id"]) == (None, None, "none", "T-097")


def test_points_are_snapped_and_offences_reported() -> None:
    row = staged(offence()).row(0, named=True)
    assert (row["location_quality"], row["location_source"]) == ("snapped", "unknown")
    assert row["is_discovered"] is False and row["reported_at"] is None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"occurrencedate": None}, "without a date"),
        ({"occurrencedate": "05/01/2020"}, "not written as UTC text"),
        ({"occurrencehour": 24}, "outside the day"),
        ({"occurrencehour": None}, "without an hour"),
        ({"MCI": None}, "without a category"),
        ({"Lat": 4369.0}, "outside the earth"),
        ({"occurrencedate": "2019/02/29 05:00:00+00"}, "no day of the calendar"),
    ],
)
def test_rows_that_staging_cannot_read_are_quarantined_with_a_reason(broken: dict[str, Any], reason: str) -> None:
    verdict = load(memory(), FEED, rows(FEED, offence(), offence(**broken)))
    assert verdict.accepted["_row"].to_list() == [0]
    assert any(reason in failure for failure in verdict.failures["reason"])


def test_an_unknown_category_or_a_far_point_is_counted_and_kept() -> None:
    verdict = load(memory(), FEED, rows(FEED, offence(MCI="Arson"), offence(Lat=45.0)))
    assert verdict.accepted.height == 2 and verdict.results["failed"].sum() == 2


def test_newer_names_and_native_dates_of_the_layer_are_mapped() -> None:
    attributes = {
        "OCC_DATE": 1578200400000,
        "OCC_HOUR": "22",
        "PREMISES_TYPE": "House",
        "OCC_MONTH": "January",
        "OCC_DOW": "Sunday    ",
        "OCC_DAY": "5",
        "OCC_DOY": "5",
        "MCI_CATEGORY": "Assault",
        "NEIGHBOURHOOD_140": "Yonge-St.Clair (97)",
        "LAT_WGS84": 43.69,
        "LONG_WGS84": -79.39,
        "EVENT_UNIQUE_ID": "GO-1",
    }
    row = conform(FEED, parse([orjson.dumps({"features": [{"attributes": attributes}]})])).row(0, named=True)
    assert row["occurrencedate"] == "2020/01/05 05:00:00+00"
    assert (row["occurrencehour"], row["occurrenceday"], row["Lat"]) == (22, 5, 43.69)
    assert orjson.loads(row["_extra"]) == {"EVENT_UNIQUE_ID": "GO-1"}


def test_an_empty_delivery_is_an_empty_table() -> None:
    assert conform(FEED, parse([])).is_empty()


@pytest.mark.slow
@needs_shared_data
def test_all_real_rows_are_loaded_and_real_duplicates_kept() -> None:
    con = memory()
    with replay.serve() as base:
        for feed in (FEED, toronto_neighbourhoods.FEED):
            (delivery,) = feed.fetch(request(feed.name, base + replay.PATHS[feed.name]))
            verdict = load(con, feed, feed.parse(delivery.parts))
    assert verdict.accepted.height == 140 and len(delivery.parts) == 1
    frame = stage(con, FEED.name)
    assert frame.height == frame["incident_id"].n_unique() == 211_901
    assert con.execute("select count(*) from raw.toronto_police_mci where _copy > 1").fetchall() == [(1_771,)]
    assert frame["named_area_id"].null_count() == frame["lon"].null_count() == 0
    assert frame.columns == list(sql_types("staging.incidents"))
    types = con.execute(f"describe staging.{FEED.name}").fetchall()
    assert {name: dtype for name, dtype, *_ in types} == sql_types("staging.incidents")
    as_of(con, "2020-12-01 10:15:00+00")
    cut = stage(con, FEED.name)
    assert cut.height == 209_571
    assert cut["occurred_at"].max() <= utc("2020-11-30 10:15")  # type: ignore[operator]
