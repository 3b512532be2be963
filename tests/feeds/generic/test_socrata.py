"""Socrata tables: read in windows or whole, rejected when they change, staged to common columns in every city."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.feeds.feed import FeedError, TooLarge, conform
from pipelines.feeds.generic import socrata
from pipelines.quality import schema_drift
from pipelines.schema.dictionary import sql_types
from tests import replay, soda
from tests.feeds.cities import feed_of, memory, place, received, request, staged
from tests.feeds.portal import as_of


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Chicago: one row per record, numbers or text, changed records


def crime(**overrides: Any) -> dict[str, Any]:
    known = {
        "id": 13000001,
        "date": "2026-09-05T01:35:00.000",
        "primary_type": "HOMICIDE",
        "district": "006",
        "beat": 612,
        "latitude": "41.75",
        "longitude": "-87.65",
        "updated_on": "2026-09-06T15:51:54.000",
    }
    return known | overrides


def test_a_row_becomes_a_common_incident_in_local_time() -> None:
    profile = place("chicago_crimes")
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime())
    (row,) = staged(con, feed)
    assert list(row) == list(sql_types("staging.incidents"))
    assert row["incident_id"] == "chicago_crimes:13000001" and row["feed"] == "chicago_crimes"
    assert (row["agency"], row["service"], row["source_category"]) == ("police", "police", "HOMICIDE")
    assert row["occurred_at"] == utc("2026-09-05 06:35")  # daylight saving: five hours behind
    assert row["known_at"] == utc("2026-09-07 20:51:54")  # the update plus one day of delay
    assert (row["lon"], row["lat"], row["location_quality"]) == (-87.65, 41.75, "snapped")
    assert row["is_discovered"] is None  # neither a column nor the profile states it


def test_the_newest_version_known_at_as_of_is_used_in_any_order_of_arrival() -> None:
    profile = place("chicago_crimes", delay_hours=0)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime(primary_type="BATTERY", updated_on="2026-09-20T00:00:00.000"))
    received(con, feed, crime())
    assert [row["source_category"] for row in staged(con, feed)] == ["BATTERY"]
    as_of(con, "2026-09-10 00:00:00+00")
    assert [row["source_category"] for row in staged(con, feed)] == ["HOMICIDE"]
    as_of(con, "2026-09-01 00:00:00+00")
    assert staged(con, feed) == []


def test_a_district_is_matched_by_code_or_name_ignoring_padding() -> None:
    areas = {"006": "C-6", "6.0": "C-6", "17": "C-017", "NOB HILL": "C-017", "31": None, None: None}
    profile = place("chicago_crimes")
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, *(crime(id=number, district=code) for number, code in enumerate(areas)))
    districts = {int(row["source_id"]): row["named_area_id"] for row in staged(con, feed)}
    assert [districts[number] for number in range(len(areas))] == list(areas.values())


def test_rows_that_staging_cannot_read_are_quarantined_and_the_others_kept() -> None:
    faults: list[dict[str, Any]] = [
        {"id": None},
        {"date": "05/09/2026"},
        {"date": "2026-02-30T00:00:00.000"},
        {"date": "1900-01-01T00:00:00.000"},
        {"date": None},
        {"longitude": "1164091"},
        {"latitude": "north"},
        {"updated_on": "soon"},
    ]
    profile = place("chicago_crimes")
    con, feed = memory(profile), feed_of(profile)
    rows = [crime(**{"id": number} | fault) for number, fault in enumerate(faults)]
    assert received(con, feed, *rows, crime()) == [len(faults)]


@pytest.mark.parametrize(
    ("clock", "written"),
    [
        ("0130", "T01:30:00"),
        (130, "T01:30:00"),
        ("30", "T00:30:00"),
        ("1:30 PM", "T13:30:00"),
        ("12:05 a.m.", "T00:05:00"),
        ("01:30:15", "T01:30:15"),
        ("1900-01-01T04:05:00.000", "T04:05:00"),
        ("", ""),
        (None, ""),
        ("25:99", "T25:99:00"),
        ("noon", "Tnoon"),
    ],
)
def test_the_time_of_day_may_be_in_a_column_of_its_own(clock: object, written: str) -> None:
    columns = {"source_id": "id", "occurred_at": "day", "occurred_time": "clock"}
    page = orjson.dumps([{"id": "1", "day": "2026-09-05T00:00:00.000", "clock": clock}])
    assert socrata.parse([page], columns)["occurred_at"].to_list() == [f"2026-09-05{written}"]


def test_a_time_that_does_not_exist_is_quarantined_and_a_row_without_one_is_a_day() -> None:
    profile = place("chicago_crimes")
    columns = {**profile.feeds["chicago_crimes"].columns, "occurred_time": "clock"}
    profile = place("chicago_crimes", columns=columns)
    con, feed = memory(profile), feed_of(profile)
    assert received(con, feed, crime(clock="2500"), crime(id=2, clock=None), crime(id=3, clock="2330")) == [1, 2]
    spans = {row["source_id"]: (row["occurred_at"], row["occurred_until"]) for row in staged(con, feed)}
    assert spans == {
        "2": (utc("2026-09-05 05:00"), utc("2026-09-06 05:00")),
        "3": (utc("2026-09-06 04:30"), None),
    }


def test_a_column_whose_every_time_is_midnight_states_days_and_one_other_time_makes_it_times() -> None:
    profile = place("chicago_crimes", delay_hours=0)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, *(crime(id=day, date=f"2026-09-0{day}T00:00:00.000") for day in (4, 5)))
    assert [row["occurred_until"] for row in staged(con, feed)] == [utc("2026-09-05 05:00"), utc("2026-09-06 05:00")]
    received(con, feed, crime(id=6))
    assert [row["occurred_until"] for row in staged(con, feed)] == [None] * 3


def test_a_day_among_times_is_a_span_of_that_day_and_the_times_stay() -> None:
    profile = place("chicago_crimes", delay_hours=0)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime(id=1, date="2026-09-05"), crime(id=2, date="2026-09-05 13:20"))
    assert [(row["occurred_at"], row["occurred_until"]) for row in staged(con, feed)] == [
        (utc("2026-09-05 05:00"), utc("2026-09-06 05:00")),
        (utc("2026-09-05 18:20"), None),
    ]


def test_a_row_with_a_time_of_day_comes_before_rows_of_the_record_that_state_the_day() -> None:
    columns = {**place("sf_fire").feeds["sf_fire"].columns, "occurred_at": "day"}
    columns = {name: column for name, column in columns.items() if name != "reported_at"}
    profile = place("sf_fire", columns=columns)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, sent("B01", day="2026-09-05"), sent("E41", day="2026-09-05T02:57:00.000"))
    (row,) = staged(con, feed)
    assert (row["occurred_at"], row["occurred_until"]) == (utc("2026-09-05 07:57"), None)


def test_a_version_that_adds_the_time_of_day_is_another_version() -> None:
    profile = place("chicago_crimes", delay_hours=0)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime(date="2026-09-05"))
    received(con, feed, crime(date="2026-09-05T00:00:00.000", updated_on="2026-09-20T00:00:00.000"))
    received(con, feed, crime(id=2))
    assert [(row["occurred_at"], row["occurred_until"]) for row in staged(con, feed, "_versions")] == [
        (utc("2026-09-05 05:00"), utc("2026-09-06 05:00")),
        (utc("2026-09-05 05:00"), None),
    ]


def test_a_report_of_which_the_day_is_known_has_no_instant_and_is_known_when_the_day_ends() -> None:
    profile = place("chicago_crimes", delay_hours=0)
    columns = {"source_id": "id", "category": "primary_type", "reported_at": "filed"}
    profile = place("chicago_crimes", delay_hours=0, window_days=None, columns=columns)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime(filed="2026-09-05T00:00:00.000"))
    (row,) = staged(con, feed)
    assert row["reported_at"] is None and row["occurred_at"] == utc("2026-09-05 05:00")
    assert row["occurred_until"] == row["known_at"] == utc("2026-09-06 05:00")


def test_words_for_areas_that_no_boundary_has_are_counted_as_they_are_written() -> None:
    profile = place("chicago_crimes")
    con, feed = memory(profile), feed_of(profile)
    words = (" OTR", "OTR", "006", None, "N/A")
    received(con, feed, *(crime(id=number, district=word) for number, word in enumerate(words)))
    counted = {row["area_word"]: row["incidents"] for row in staged(con, feed, "_unplaced")}
    assert counted == {"OTR": 2, "N/A": 1}


def test_blank_and_zero_coordinates_mean_no_location_and_are_valid() -> None:
    profile = place("chicago_crimes")
    con, feed = memory(profile), feed_of(profile)
    blank = {"longitude": None, "latitude": None}
    assert received(con, feed, crime(**blank), crime(id=2, longitude=0, latitude=0.0)) == [0, 1]
    assert [(row["lon"], row["location_quality"]) for row in staged(con, feed)] == [(None, "none")] * 2


def test_the_text_of_a_value_does_not_depend_on_other_values() -> None:
    columns = {"source_id": "id", "lon": "x"}
    alone = socrata.parse([orjson.dumps([{"id": 7, "x": 2}])], columns)
    mixed = socrata.parse([orjson.dumps([{"id": 7, "x": 2}, {"id": 8, "x": 2.5}, {"id": "9", "x": None}])], columns)
    assert alone.row(0) == mixed.row(0)
    assert mixed["source_id"].to_list() == ["7", "8", "9"] and mixed["lon"].to_list() == ["2", "2.5", None]


def test_parsing_pages_separately_or_together_gives_the_same_rows() -> None:
    feed = feed_of(place("chicago_crimes"))
    bare = {"id": 3, "date": "2026-09-05T01:35:00.000", "ward": {"a": 1}}
    rows = [[crime(), crime(id=2, beat="x")], [bare], [], [crime(id=4, location=None)]]
    pages = [orjson.dumps(page) for page in rows]
    whole = conform(feed, feed.parse(pages)).select(feed.columns.keys())
    apart = pl.concat([conform(feed, feed.parse([page])).select(feed.columns.keys()) for page in pages])
    assert whole.equals(apart) and whole.height == 4
    assert conform(feed, feed.parse([b"[]"])).is_empty() and conform(feed, feed.parse([])).is_empty()


def test_unmapped_columns_are_reported_by_name_without_values() -> None:
    feed = feed_of(place("chicago_crimes"))
    sent = [crime(category="x", location={"latitude": "1"}, caller="Kim") | {":id": "row-1"}, crime(id=2)]
    frame = conform(feed, feed.parse([orjson.dumps(sent)]))
    assert orjson.loads(frame["_extra"][0]) == dict.fromkeys(("beat", "category (source)", "location", "caller"), True)
    counts = {row["column"]: row["rows"] for row in schema_drift.unknown_columns(frame).to_dicts()}
    assert (counts["beat"], counts["caller"]) == (2, 1)
    assert frame["category"].to_list() == ["HOMICIDE"] * 2


def test_unmapped_columns_are_not_requested() -> None:
    profile = place("chicago_crimes")
    table = portal(changed(1, 5) | {"caller": "Kim"})
    with soda.serve(table) as url:
        (delivery,) = feed_of(profile).fetch(request(profile, url, "2026-09-01T00:00:00+00:00"))
    (row,) = orjson.loads(delivery.parts[0])
    assert set(row) == {":id", *profile.feeds["chicago_crimes"].columns.values()}


def test_versions_that_differ_in_watched_columns_are_kept() -> None:
    profile = place("chicago_crimes", delay_hours=0)
    con, feed = memory(profile), feed_of(profile)
    later, last = "2026-09-10T00:00:00.000", "2026-09-11T00:00:00.000"
    received(
        con, feed, crime(), crime(primary_type="BATTERY", updated_on=later), crime(id=2), crime(id=2, updated_on=last)
    )
    versions = [(row["incident_id"], row["source_category"]) for row in staged(con, feed, "_versions")]
    assert sorted(versions) == [("chicago_crimes:13000001", "BATTERY"), ("chicago_crimes:13000001", "HOMICIDE")]
    known = {row["incident_id"]: row["first_known_at"] for row in staged(con, feed, "_firsts")}
    assert set(known) == {"chicago_crimes:13000001", "chicago_crimes:2"}
    assert max(known.values()) < datetime.fromisoformat(later + "+00:00")


# A table without ids: whole deliveries, numbered rows


def test_a_table_without_ids_is_a_snapshot_whose_equal_rows_are_separate_records() -> None:
    profile = place()
    con, feed = memory(profile), feed_of(profile)
    row = {"date": "2026-09-05T01:35:00.000", "longitude": "-87.6", "latitude": "41.7", "district": "6"}
    assert feed.load_type == "snapshot"
    received(con, feed, row, row, row | {"district": "17"})
    first = staged(con, feed)
    received(con, feed, row | {"district": "17"}, row, row)
    assert staged(con, feed) == first and len({row["incident_id"] for row in first}) == 3
    received(con, feed, row, day=2)
    (left,) = staged(con, feed)
    assert left["source_category"] == "aggravated assault" and left["is_discovered"] is False


# San Francisco fire: one row per unit


def sent(unit: str, **overrides: Any) -> dict[str, Any]:
    known = {
        "call_number": "262480001",
        "rowid": f"262480001-{unit}",
        "unit_id": unit,
        "unit_type": "ENGINE",
        "call_type": "Alarms",
        "received_dttm": "2026-09-05T02:56:52.000",
        "dispatch_dttm": "2026-09-05T02:58:16.000",
        "response_dttm": "2026-09-05T02:59:45.000",
        "on_scene_dttm": "2026-09-05T03:04:51.000",
        "available_dttm": "2026-09-05T03:08:39.000",
        "final_priority": "3",
        "neighborhoods_analysis_boundaries": "Nob Hill",
        "case_location": {"type": "Point", "coordinates": [-87.65, 41.75]},
        "data_loaded_at": "2026-09-05T04:06:51.000",
    }
    return {name: value for name, value in (known | overrides).items() if value is not None}


def test_rows_of_one_call_are_one_incident_with_the_times_of_the_first_unit() -> None:
    profile = place("sf_fire")
    con, feed = memory(profile), feed_of(profile)
    early = {"dispatch_dttm": "2026-09-05T02:57:59.000", "on_scene_dttm": "2026-09-05T03:01:21.000"}
    received(con, feed, sent("B01"), sent("E41", **early))
    (row,) = staged(con, feed)
    assert row["incident_id"] == "sf_fire:262480001" and row["priority"] == 3
    assert row["reported_at"] == utc("2026-09-05 07:56:52")
    assert row["first_dispatched_at"] == utc("2026-09-05 07:57:59")
    assert row["first_arrived_at"] == utc("2026-09-05 08:01:21")
    assert row["closed_at"] == utc("2026-09-05 08:08:39")
    assert (row["lon"], row["lat"], row["named_area_id"]) == (-87.65, 41.75, "C-017")
    units = staged(con, feed, "_dispatches")
    assert list(units[0]) == list(sql_types("staging.dispatches"))
    assert [(unit["unit_id"], unit["dispatched_at"]) for unit in units] == [
        ("B01", utc("2026-09-05 07:58:16")),
        ("E41", utc("2026-09-05 07:57:59")),
    ]


def test_a_call_closes_when_its_last_unit_does() -> None:
    profile = place("sf_fire")
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, sent("B01"), sent("E41", available_dttm=None))
    assert [row["closed_at"] for row in staged(con, feed)] == [None]
    received(con, feed, sent("E41", data_loaded_at="2026-09-05T05:00:00.000", available_dttm="2026-09-05T04:30:00.000"))
    assert [row["closed_at"] for row in staged(con, feed)] == [utc("2026-09-05 09:30")]
    assert len(staged(con, feed, "_dispatches")) == 2


def test_service_follows_the_category_and_defaults_to_the_first_service_of_the_feed() -> None:
    services = {"Medical Incident": "ems", "Alarms": "fire", "Never seen before": "fire"}
    profile = place("sf_fire")
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, *(sent("E1", call_number=word, rowid=word, call_type=word) for word in services))
    assert {row["source_category"]: row["service"] for row in staged(con, feed)} == services


# San Francisco police: letter priorities, withheld locations, calls started by officers


def call(**overrides: Any) -> dict[str, Any]:
    known = {
        "id": "41212910",
        "cad_number": "262480194",
        "received_datetime": "2026-09-05T03:37:37.000",
        "call_type_final_desc": "PROWLER",
        "priority_final": "C",
        "onview_flag": "N",
        "sensitive_call": False,
        "intersection_point": {"type": "Point", "coordinates": [-87.65, 41.75]},
        "call_last_updated_at": "2026-09-05T03:58:03.000",
    }
    return known | overrides


def test_letters_map_to_priorities_and_on_view_calls_are_discovered() -> None:
    profile = place("sf_police_calls")
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, call(), call(id="2", cad_number="2", onview_flag="Y", priority_final="E"))
    calls = [(row["priority"], row["is_discovered"]) for row in staged(con, feed)]
    assert sorted(calls, key=str) == [(3, False), (None, True)]


def test_the_location_of_a_sensitive_call_is_withheld_even_if_it_is_sent() -> None:
    profile = place("sf_police_calls")
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, call(sensitive_call=True), call(id="2", cad_number="2", intersection_point=None))
    locations = [(row["lon"], row["lat"], row["location_quality"]) for row in staged(con, feed)]
    assert sorted(locations, key=str) == [(None, None, "none"), (None, None, "withheld")]


def test_an_invalid_withheld_value_quarantines_the_row() -> None:
    profile = place("sf_police_calls")
    con, feed = memory(profile), feed_of(profile)
    assert received(con, feed, call(), call(id="2", sensitive_call="perhaps")) == [0]


# Seattle: test calls


def test_excluded_categories_are_left_out_and_counted() -> None:
    profile = place("seattle_fire")
    con, feed = memory(profile), feed_of(profile)
    known = {"datetime": "2026-09-05T04:53:00.000", "latitude": "47.68", "longitude": "-122.37"}
    rows = [("F1", "1RED 1 Unit"), ("F2", "TEST - MIS TEST"), ("F3", "TEST - MIS TEST"), ("F4", "Aid Response")]
    received(con, feed, *({"incident_number": number, "type": kind} | known for number, kind in rows))
    assert sorted(row["service"] for row in staged(con, feed)) == ["ems", "fire"]
    excluded = con.execute("from staging.excluded").fetchall()
    assert excluded == [("seattle_fire", "TEST - MIS TEST", 2)]


PLACEHOLDERS = [
    ("-1.000000000", "-1.000000000"), ("-120.5", "90"), ("41.71", "-87.61"), ("87.61", "41.71"),
    ("REDACTED", "REDACTED"), ("", ""), (" ", " "), ("NULL", "NULL"), ("None", "None"), ("NaN", "NaN"), ("0", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("lon", "lat"), PLACEHOLDERS)
def test_a_placeholder_gives_no_place_and_the_record_is_loaded(lon: str, lat: str) -> None:
    profile = place("chicago_crimes")
    con, feed = memory(profile), feed_of(profile)
    for side, degrees in zip(("west", "south", "east", "north"), (-125.0, 24.4, -66.9, 49.4), strict=True):
        con.execute(f"set variable {side} = ?", [degrees])
    assert received(con, feed, crime(longitude=lon, latitude=lat)) == [0]
    staged(con, feed)
    ((lon_, lat_, quality),) = con.execute("select lon, lat, location_quality from staging.incidents").fetchall()
    assert (lon_, lat_) == (None, None) and quality in ("none", "outside")


def test_a_coordinate_with_a_leading_plus_is_a_place() -> None:
    profile = place("chicago_crimes")
    con, feed = memory(profile), feed_of(profile)
    assert received(con, feed, crime(longitude="-87.61", latitude="+41.71")) == [0]
    staged(con, feed)
    assert con.execute("select lon, lat from staging.incidents").fetchall() == [(-87.61, 41.71)]


# Paging


def portal(*rows: dict[str, Any]) -> soda.Portal:
    return soda.Portal({"ijzp-q8t2": pl.DataFrame(rows, infer_schema_length=None)}, {}, instants=("date", "updated_on"))


def changed(number: int, day: int) -> dict[str, Any]:
    return crime(id=str(number), updated_on=f"2026-09-{day:02}T05:00:00.000") | {":id": f"row-{number:04}"}


def test_a_keyed_table_is_read_by_windows_of_local_time_in_pages() -> None:
    profile = place("chicago_crimes", page_size=2, window_days=10)
    queries: list[Mapping[str, str]] = []
    table = portal(*(changed(number, number) for number in range(1, 21)))

    def answer(path: str, query: Mapping[str, str]) -> soda.Answer:
        queries.append(query)
        return table.answer(path, query)

    with replay.running(answer) as url:
        deliveries = list(
            feed_of(profile).fetch(request(profile, url, "2026-09-03T10:00:00+00:00", "2026-09-15T10:00:00+00:00"))
        )
    assert [(delivery.window_start, delivery.window_end) for delivery in deliveries] == [
        (utc("2026-09-03 10:00"), utc("2026-09-13 10:00")),
        (utc("2026-09-13 10:00"), utc("2026-09-15 10:00")),
    ]
    # Five in the morning in Chicago is ten in UTC: the first instant is in the window, the last is not.
    numbers = [number for delivery in deliveries for number in feed_of(profile).parse(delivery.parts)["source_id"]]
    assert numbers == [str(number) for number in range(3, 15)]
    first = next(query for query in queries if "$order" in query)
    assert first["$where"] == "updated_on >= '2026-09-03T05:00:00' and updated_on < '2026-09-13T05:00:00'"
    assert first["$order"] == "updated_on, :id"


def test_a_system_field_is_requested_and_compared_in_utc() -> None:
    columns = {"source_id": "id", "occurred_at": "date", "updated_at": ":updated_at"}
    profile = place("chicago_crimes", columns=columns, delay_hours=0)
    table = portal(*({":id": str(n), ":updated_at": f"2026-09-0{n}T10:00:00.000Z"} | crime(id=n) for n in (1, 2, 3)))
    con, feed = memory(profile), feed_of(profile)
    with soda.serve(table) as url:
        (delivery,) = feed.fetch(request(profile, url, "2026-09-02T10:00:00+00:00", "2026-09-03T10:00:00+00:00"))
    rows = orjson.loads(delivery.parts[0])
    assert [row["id"] for row in rows] == [2]
    received(con, feed, *rows)
    assert [row["known_at"] for row in staged(con, feed)] == [utc("2026-09-02 10:00")]


def test_a_window_without_changes_and_an_empty_table_give_one_empty_page() -> None:
    for profile, start in ((place("chicago_crimes"), "2026-09-01T00:00:00+00:00"), (place(), None)):
        tables = {name: pl.DataFrame(schema=dict.fromkeys(crime(), pl.String)) for name in ("ijzp-q8t2", "aggr-aslt")}
        with soda.serve(soda.Portal(tables, {}, instants=("updated_on",))) as url:
            (delivery,) = feed_of(profile).fetch(request(profile, url, start, "2026-09-02T00:00:00+00:00"))
        assert delivery.parts == (b"[]",)


def test_the_key_is_sent_in_a_header_and_never_in_the_url() -> None:
    profile = place("chicago_crimes")
    with_window = request(profile, "http://127.0.0.1:1", "2026-09-01T00:00:00+00:00")
    assert socrata._headers(replace(with_window, secret="s3cret")) == {"X-App-Token": "s3cret"}
    assert socrata._headers(with_window) is None


def broken(change: str) -> Any:
    """A portal with one fault in its answers."""
    table = portal(*(changed(number, 5) for number in range(1, 6)))

    def answer(path: str, query: Mapping[str, str]) -> soda.Answer:
        status, headers, body = table.answer(path, query)
        is_page, offset = "$limit" in query, int(query.get("$offset", 0))
        if change == "count" and "count(*)" in query.get("$select", ""):
            body = b'[{"n": "6"}]'
        if change == "nothing counted" and "count(*)" in query.get("$select", ""):
            body = b"[{}]"
        if change == "same page" and is_page and offset:
            body = table.answer(path, {**query, "$offset": "0"})[2]
        if change == "a row put in" and is_page and offset > 1:
            body = table.answer(path, {**query, "$offset": str(offset - 1)})[2]
        if change == "an object" and is_page:
            body = b'{"error": true, "message": "Internal error"}'
        if change == "not a table" and "api/views" in path:
            body = b'{"id": "x"}'
        return status, headers, body

    return answer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("count", "counted 6 rows, sent 5 and then counted 6: .*in each of 3 attempts"),
        ("nothing counted", "returned no row count"),
        ("same page", "ignores offsets and cannot be read whole"),
        ("a row put in", "rows moved between pages at row 3, in each of 3 attempts"),
        ("an object", "expected a list of rows"),
        ("not a table", "returned no column descriptions"),
    ],
)
def test_an_inconsistent_table_is_rejected_as_a_whole(change: str, message: str) -> None:
    profile = place("chicago_crimes", page_size=2)
    with replay.running(broken(change)) as url, pytest.raises(FeedError, match=message):
        list(feed_of(profile).fetch(request(profile, url, "2026-09-01T00:00:00+00:00")))


def test_a_renamed_column_is_rejected_and_the_difference_named() -> None:
    profile = place("chicago_crimes")
    table = portal({name if name != "primary_type" else "offense": value for name, value in changed(1, 5).items()})
    with soda.serve(table) as url, pytest.raises(FeedError, match=r"has no columns \['primary_type'\].*offense"):
        list(feed_of(profile).fetch(request(profile, url, "2026-09-01T00:00:00+00:00")))


def test_an_update_column_that_is_not_a_timestamp_is_rejected() -> None:
    profile = place("chicago_crimes")
    table = soda.Portal({"ijzp-q8t2": pl.DataFrame([changed(1, 5)])}, {})
    with soda.serve(table) as url, pytest.raises(FeedError, match="updated_on has type text"):
        list(feed_of(profile).fetch(request(profile, url, "2026-09-01T00:00:00+00:00")))


def test_a_table_with_too_many_rows_is_rejected_before_a_page_is_read() -> None:
    profile = place(max_rows=1)
    table = soda.Portal({soda.ASSAULTS: pl.DataFrame([crime(), crime(id=2)])}, {})
    with soda.serve(table) as url, pytest.raises(FeedError, match=r"2 rows in the whole table.*max_rows"):
        list(feed_of(profile).fetch(request(profile, url)))


def test_a_window_with_too_many_rows_raises_too_large() -> None:
    profile = place("chicago_crimes", max_rows=4)
    with replay.running(broken("none")) as url, pytest.raises(TooLarge) as raised:
        list(feed_of(profile).fetch(request(profile, url, "2026-09-01T00:00:00+00:00")))
    assert raised.value.total == 5


@pytest.mark.parametrize(
    ("point", "axes"),
    [
        ({"type": "Point", "coordinates": [-87.65, 41.75]}, ("-87.65", "41.75")),
        ({"longitude": "-87.65", "latitude": "41.75"}, ("-87.65", "41.75")),
        ({"type": "Point", "coordinates": [-87.65]}, ("-87.65", None)),
        ({"address": "here"}, (None, None)),
        ({"type": "MultiPoint", "coordinates": [[-87.65, 41.75]]}, ("-87.65", "41.75")),
        ({"type": "MultiPoint", "coordinates": [[-87.65, 41.75], [-87.6, 41.7]]}, (None, None)),
        ("POINT (-87.65 41.75)", ("-87.65", "41.75")),
        ("SRID=4326;Point(-87.65 41.75)", ("-87.65", "41.75")),
        ('{"type": "Point", "coordinates": [-87.65, 41.75]}', ("-87.65", "41.75")),
        (" 41.75, -87.65", ("-87.65", "41.75")),
        ("12 MAIN ST, CHICAGO\n(41.75, -87.65)", ("-87.65", "41.75")),
        ("POINT EMPTY", (None, None)),
        ("12 MAIN ST", (None, None)),
        ("LINESTRING (-87.65 41.75, -87.6 41.7)", (None, None)),
    ],
)
def test_a_point_is_read_in_every_form_of_portals_as_object_or_text_and_otherwise_left_out(
    point: object, axes: tuple[str | None, str | None]
) -> None:
    frame = socrata.parse([orjson.dumps([{"id": 1, "where": point}])], {"source_id": "id", "point": "where"})
    assert frame.select("lon", "lat").rows() == [axes]


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2"), (2.5, "2.5"), ("x", "x"), (None, None), ({"url": "a"}, '{"url":"a"}'), ([1, 2], '{"kind":[1,2]}')],
)
def test_a_value_of_any_type_is_read_as_text(value: object, text: str | None) -> None:
    frame = socrata.parse([orjson.dumps([{"id": 1, "kind": value}])], {"source_id": "id", "category": "kind"})
    assert frame["category"].to_list() == [text]
