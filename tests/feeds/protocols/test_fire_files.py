"""The published 119 files: lost zeros, several rows per unit or call, two locations, CP949, and dropped columns."""

import traceback
import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import polars as pl
import pytest
from fsspec.implementations.local import LocalFileSystem
from pyproj import Transformer

from pipelines.feeds import fire_calls_jeonbuk, fire_calls_seoul, fire_ems_busan, fire_rescue_busan
from pipelines.feeds.feed import Feed, FeedError, Request, conform
from pipelines.ingest import chunks
from pipelines.ingest import merge as raw
from pipelines.quality import coordinates, suites
from pipelines.schema.dictionary import sql_types
from pipelines.simulator import fire
from pipelines.simulator.layouts import fire_files
from pipelines.store import warehouse
from pipelines.store.landing import Batch
from tests.feeds.korea import KOREA, memory
from tests.feeds.portal import load, rows, stage

SEOUL, JEONBUK = fire_calls_seoul.FEED, fire_calls_jeonbuk.FEED
EMS, RESCUE = fire_ems_busan.FEED, fire_rescue_busan.FEED
LAYOUTS = (SEOUL, JEONBUK, EMS, RESCUE)

REPORT = {"dclr_ymd": "20251031", "dclr_tm": "235930 "}
"""Half a minute before midnight in Seoul."""

NO_PLACE = {"damg_rgn_lot": None, "damg_rgn_lat": " "}


def call(**overrides: Any) -> dict[str, Any]:
    """A call of either call-reception layout that needs an ambulance."""
    known = {"dclr_rcpt_no": "20251031-17 ", "emrg_rscu_assrt_nm": "구급  ", "emrg_rscu_clsf_nm": "질병 "}
    place = {
        "damg_rgn_lot": "126.98 ",
        "damg_rgn_lat": "37.57",
        "clmty_ctpv_nm": "부산광역시 ",
        "clmty_sgg_nm": "중구 ",
    }
    return REPORT | known | place | {"prcs_rslt_se_nm": "출동"} | overrides


def ambulance(**overrides: Any) -> dict[str, Any]:
    """An ambulance that starts before midnight and arrives after it."""
    known = {
        "frstn_nm": "종로소방서  ",
        "cntr_nm": "종로119안전센터",
        "grnds_ctpv_nm": "서울특별시",
        "grnds_sgg_nm": "종로구 ",
    }
    stages = {
        "dspt_ymd": "20251031",
        "dspt_tm": "235959",
        "grnds_arvl_ymd": "20251101",
        "grnds_arvl_tm": "24",
        "ptn_cntc_ymd": "20251101",
        "ptn_cntc_tm": "130",
        "grnds_dptre_ymd": "20251101",
        "grnds_dptre_tm": "4200",
        "cbk_ymd": "2025-11-01",
        "cbk_tm": "13000 ",
    }
    return REPORT | {"rptp_no": "1", "ptn_ocrn_type_nm": "질병 "} | known | stages | overrides


def rescue(**overrides: Any) -> dict[str, Any]:
    given = {name: value for name, value in ambulance().items() if name in RESCUE.columns}
    more = {"acdnt_cs_nm": "교통사고", "rscu_cmptn_ymd": "20251101", "rscu_cmptn_tm": "3000"}
    return given | more | {"damg_rgn_lot": "126.98", "damg_rgn_lat": "37.57"} | overrides


def place(crs: str = "EPSG:4326") -> duckdb.DuckDBPyConnection:
    """A database with the file feeds, reading their metres in the given CRS."""
    con = memory()
    con.execute("alter table reference.feeds add column crs varchar")
    con.execute("create table reference.category_map (feed varchar, source_category varchar, category varchar)")
    for feed in LAYOUTS:
        con.execute("insert into reference.feeds values (?, 0, ?)", [feed.name, crs])
    warehouse.load_extension(con, "spatial")
    return con


def merge(con: duckdb.DuckDBPyConnection, feed: Feed, *given: dict[str, Any], day: int = 1) -> None:
    """Put rows into raw as a delivery of a November day, unchecked."""
    raw.prepare(con, feed)
    frame = conform(feed, rows(feed, *given)).with_columns(_row=pl.int_range(len(given), dtype=pl.Int64))
    verdict = suites.Verdict(frame, pl.DataFrame(schema=suites.FAILURES), pl.DataFrame(schema=suites.RESULTS))
    batch = cast(Batch, SimpleNamespace(batch_id=f"{day}", window_end=datetime(2025, 11, day, tzinfo=UTC)))
    raw.gather(con, feed, [chunks.Chunk(batch, frame, verdict)])
    raw.merge(con, feed, batch)


def staged(feed: Feed, *given: dict[str, Any], crs: str = "EPSG:4326") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Incidents, and dispatches where the layout has units."""
    con = place(crs)
    merge(con, feed, *given)
    dispatches = pl.DataFrame() if feed is SEOUL else stage(con, f"{feed.name}_dispatches")
    return stage(con, feed.name), dispatches


def kst(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """An instant of a November day (0 is 31 October) in Seoul time."""
    return datetime(2025, 10, 31, hour, minute, second, tzinfo=KOREA.zone) + timedelta(days=day)


@pytest.mark.parametrize(("feed", "row"), [(SEOUL, call()), (JEONBUK, call()), (EMS, ambulance()), (RESCUE, rescue())])
def test_every_layout_has_the_common_columns(feed: Feed, row: dict[str, Any]) -> None:
    incidents, dispatches = staged(feed, row)
    assert incidents.columns == list(sql_types("staging.incidents"))
    assert incidents["reported_at"].to_list() == [kst(0, 23, 59, 30).astimezone(UTC)]
    assert feed is SEOUL or dispatches.columns == list(sql_types("staging.dispatches"))


def test_times_without_leading_zeros_are_read_and_dispatches_past_midnight_are_complete() -> None:
    incidents, dispatches = staged(EMS, ambulance())
    row = dispatches.row(0, named=True)
    assert row["dispatched_at"] == kst(0, 23, 59, 59)
    assert (row["arrived_at"], row["patient_contact_at"]) == (kst(1, 0, 0, 24), kst(1, 0, 1, 30))
    assert (row["left_scene_at"], row["available_at"]) == (kst(1, 0, 42), kst(1, 1, 30))
    assert (row["unit_id"], row["home_station_id"], row["hospital_at"]) == ("종로119안전센터", "F-11-01", None)
    incident = incidents.row(0, named=True)
    assert (incident["first_dispatched_at"], incident["first_arrived_at"]) == (kst(0, 23, 59, 59), kst(1, 0, 0, 24))
    assert (incident["service"], incident["source_category"], incident["closed_at"]) == ("ems", "질병", kst(1, 1, 30))
    assert (incident["location_quality"], incident["named_area_id"]) == ("none", "11110")


@pytest.mark.parametrize(
    ("time", "hour", "minute", "second"),
    [("0", 0, 0, 0), ("24", 0, 0, 24), ("4200", 0, 42, 0), ("90000", 9, 0, 0), ("235959", 23, 59, 59)],
)
def test_every_length_of_a_time_is_read(time: str, hour: int, minute: int, second: int) -> None:
    incidents, _ = staged(SEOUL, call(dclr_ymd="20251101", dclr_tm=time))
    assert incidents["reported_at"].to_list() == [kst(1, hour, minute, second)]


def test_units_of_one_call_are_one_incident_with_the_times_of_the_first_unit() -> None:
    second = ambulance(rptp_no="2", cntr_nm="중부119안전센터", dspt_ymd="20251101", dspt_tm="10", grnds_arvl_tm="15")
    incidents, dispatches = staged(EMS, ambulance(), second)
    assert incidents.height == 1
    assert incidents["first_dispatched_at"].to_list() == [kst(0, 23, 59, 59)]
    assert incidents["first_arrived_at"].to_list() == [kst(1, 0, 0, 15)]
    assert sorted(dispatches["unit_id"]) == ["종로119안전센터", "중부119안전센터"]
    elsewhere, _ = staged(EMS, ambulance(), ambulance(grnds_sgg_nm="중구"))
    assert elsewhere.height == 2, "the same second in another district is another call"


def test_patients_of_one_ambulance_are_one_dispatch_and_two_ambulances_of_a_post_are_two() -> None:
    patient = ambulance(rptp_no="2", ptn_cntc_tm="200", grnds_dptre_tm="4300")
    other = ambulance(rptp_no="3", grnds_arvl_tm="500", cbk_tm="20000")
    incidents, dispatches = staged(EMS, ambulance(), patient, ambulance(), other)
    assert incidents.height == 1
    by_unit = dispatches.sort("unit_id")
    assert by_unit["unit_id"].to_list() == ["종로119안전센터", "종로119안전센터 2"]
    assert by_unit["patient_contact_at"].to_list()[0] == kst(1, 0, 1, 30)
    assert by_unit["left_scene_at"].to_list()[0] == kst(1, 0, 43)


def test_a_call_is_open_until_its_last_unit_returns() -> None:
    incidents, dispatches = staged(EMS, ambulance(), ambulance(cntr_nm="중부119안전센터", cbk_ymd=None, cbk_tm=None))
    assert incidents["closed_at"].to_list() == [None]
    assert dispatches.sort("unit_id")["available_at"].is_null().to_list() == [False, True]


@pytest.mark.parametrize("feed", [SEOUL, JEONBUK])
@pytest.mark.parametrize("word", ["구급\u200b", "\u3000구급 ", unicodedata.normalize("NFD", "구급")], ids=ascii)
def test_words_are_normalized_before_mapping(feed: Feed, word: str) -> None:
    assert word != "구급"
    incidents, _ = staged(feed, call(emrg_rscu_assrt_nm=word, clmty_sgg_nm=unicodedata.normalize("NFD", "종로구")))
    assert incidents.select("service", "source_category", "named_area_id").row(0) == ("ems", "구급", "11110")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda feed: feed.name)
@pytest.mark.parametrize(("day", "is_good"), [("20250229", False), ("2025-02-29", False), ("20240229", True)])
def test_29_february_is_valid_in_leap_years_only(layout: Feed, day: str, is_good: bool) -> None:
    row = {SEOUL.name: call(), JEONBUK.name: call(), EMS.name: ambulance(), RESCUE.name: rescue()}[layout.name]
    assert load(place(), layout, rows(layout, row | {"dclr_ymd": day})).accepted.height == int(is_good)


@pytest.mark.parametrize("column", ["ptn_ocrn_type_nm", "etc_ocrn_type_dtl_nm", "acdnt_injr_nm", "ntrma_etc_damg_nm"])
@pytest.mark.parametrize(("word", "category"), [("자살기도 추정", "자해"), ("가정폭력 ", "폭력피해")])
def test_a_sensitive_word_in_any_column_makes_the_whole_record_sensitive(column: str, word: str, category: str) -> None:
    incidents, _ = staged(EMS, ambulance(), ambulance(**{"rptp_no": "2", column: word}))
    assert incidents["source_category"].to_list() == [category]


@pytest.mark.parametrize(
    ("layout", "known", "unknown"),
    [
        (SEOUL, call(), call(emrg_rscu_assrt_nm=None, emrg_rscu_clsf_nm="힣힣")),
        (JEONBUK, call(), call(emrg_rscu_assrt_nm=None, emrg_rscu_clsf_nm="힣힣")),
        (EMS, ambulance(), ambulance(ptn_ocrn_type_nm="힣힣")),
        (RESCUE, rescue(), rescue(acdnt_cs_nm="힣힣")),
    ],
)
def test_an_unmapped_category_in_any_row_applies_to_the_whole_record(
    layout: Feed, known: dict[str, Any], unknown: dict[str, Any]
) -> None:
    con = place()
    for word in ("구급", "질병", "교통사고"):
        con.execute("insert into reference.category_map values (?, ?, 'call')", [layout.name, word])
    merge(con, layout, known, unknown)
    if layout is not SEOUL:
        stage(con, f"{layout.name}_dispatches")
    assert stage(con, layout.name)["source_category"].to_list() == ["힣힣"], "it sorts after every mapped one"


@pytest.mark.parametrize(
    ("feed", "before", "now"),
    [
        (SEOUL, call(emrg_rscu_clsf_nm="자살시도", emrg_rscu_assrt_nm=""), call()),
        (JEONBUK, call(emrg_rscu_clsf_nm="자살시도", emrg_rscu_assrt_nm=""), call()),
        (EMS, ambulance(acdnt_injr_nm="자해"), ambulance()),
        (RESCUE, rescue(acdnt_cs_nm="자살추정"), rescue()),
    ],
    ids=lambda value: value.name if isinstance(value, Feed) else "",
)
def test_a_call_that_was_sensitive_in_an_earlier_file_stays_so(feed: Feed, before: Any, now: Any) -> None:
    """Its row was changed, or one of its rows left the file; a call that left it with all its rows is gone."""
    con = place()
    merge(con, feed, before, day=1)
    merge(con, feed, now, day=2)
    incidents = stage(con, feed.name)
    assert incidents["source_category"].to_list() == ["자해"]
    if feed is not SEOUL:
        assert stage(con, f"{feed.name}_dispatches").height <= 1, "units of the current file alone"
    merge(con, feed, now | {"dclr_ymd": "20251030"}, day=3)
    assert stage(con, feed.name)["source_category"].item() != "자해"


def test_rescue_has_coordinates_and_its_own_stages_and_bees_are_life_safety() -> None:
    incidents, dispatches = staged(
        RESCUE, rescue(damg_rgn_lot="", damg_rgn_lat="0.0"), rescue(cntr_nm="중부119안전센터")
    )
    row = incidents.row(0, named=True)
    assert (row["service"], row["lon"], row["lat"], row["location_source"]) == ("rescue", 126.98, 37.57, "scene")
    assert dispatches["left_scene_at"].to_list() == [kst(1, 0, 30)] * 2
    bees, _ = staged(RESCUE, rescue(acdnt_cs_assrt_nm="벌집제거"))
    assert bees["service"].to_list() == ["life_safety"]
    harm, _ = staged(RESCUE, rescue(acdnt_cs_nm="자살추정"))
    assert harm["source_category"].to_list() == ["자해"]


def test_rows_with_one_number_are_one_call_with_numbered_units() -> None:
    first = {"dspt_drtv_dt": "20251031235945", "grnds_arvl_dt": "2025110124", "cbk_dt": "2025-11-01 01:00:00"}
    second = {"dspt_drtv_dt": "20251101000010", "grnds_arvl_dt": "202511010500", "hsptl_arvl_dt": "20251101002000"}
    incidents, dispatches = staged(JEONBUK, call(**first), call(**second), call(dclr_rcpt_no="20251031-18"))
    row = incidents.sort("source_id").row(0, named=True)
    assert incidents.height == 2
    assert (row["first_dispatched_at"], row["first_arrived_at"]) == (kst(0, 23, 59, 45), kst(1, 0, 0, 24))
    assert row["closed_at"] is None, "the second unit is not back"
    assert dispatches.sort("unit_id")["unit_id"].to_list() == ["unit 1", "unit 2"]
    assert dispatches.sort("unit_id")["hospital_at"].to_list() == [None, kst(1, 0, 20)]


@pytest.mark.parametrize("feed", [SEOUL, JEONBUK])
@pytest.mark.parametrize(
    ("words", "service"),
    [
        ({}, "ems"),
        ({"emrg_rscu_assrt_nm": None, "emrg_rscu_clsf_nm": "화재 "}, "fire"),
        ({"emrg_rscu_assrt_nm": "생활안전", "emrg_rscu_clsf_nm": "벌집제거"}, "life_safety"),
        ({"emrg_rscu_assrt_nm": "기타", "emrg_rscu_clsf_nm": "안내"}, "advice"),
        ({"prcs_rslt_se_nm": "상담종결"}, "advice"),
        ({"prcs_rslt_se_nm": "중복신고 "}, None),
        ({"prcs_rslt_se_nm": "무응답"}, None),
        ({"emrg_rscu_clsf_nm": "자살시도"}, "ems"),
    ],
)
def test_the_outcome_of_calls_without_a_unit_decides_before_their_class(
    feed: Feed, words: dict[str, Any], service: str | None
) -> None:
    incidents, _ = staged(feed, call(**words))
    assert incidents["service"].to_list() == [service]
    if "자살" in str(words):
        assert incidents["source_category"].to_list() == ["자해"]


def test_a_repeated_call_with_a_dispatched_unit_has_a_service() -> None:
    incidents, dispatches = staged(JEONBUK, call(prcs_rslt_se_nm="중복신고", dspt_drtv_dt="20251031235945"))
    assert incidents["service"].to_list() == ["ems"]
    assert dispatches.height == 1


def test_calls_without_a_number_stay_separate() -> None:
    incidents, _ = staged(SEOUL, call(dclr_rcpt_no=" "), call(dclr_rcpt_no=" "), call(dclr_rcpt_no=None))
    assert incidents["incident_id"].n_unique() == 3


def test_the_scene_takes_precedence_and_metres_use_the_declared_crs() -> None:
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:5186", always_xy=True).transform(126.97, 37.56)
    metres = {"acdnt_ocrn_xcrd": f"{x:.3f} ", "acdnt_ocrn_ycrd": f"{y:.3f}"}
    both, _ = staged(SEOUL, call(**metres), crs="EPSG:5186")
    assert both.select("lon", "lat", "location_source").row(0) == (126.98, 37.57, "scene")
    second, _ = staged(SEOUL, call(**metres, **NO_PLACE), crs="EPSG:5186")
    lon, lat, source = second.select("lon", "lat", "location_source").row(0)
    assert (round(lon, 6), round(lat, 6), source) == (126.97, 37.56, "unknown")
    degrees, _ = staged(JEONBUK, call(**NO_PLACE, acdnt_ocrn_lot="127.1", acdnt_ocrn_lat="35.8"))
    assert degrees.select("lon", "lat", "location_source").row(0) == (127.1, 35.8, "unknown")


def test_metres_outside_the_declared_crs_fail_the_delivery() -> None:
    metres = [call(acdnt_ocrn_xcrd="198232.3", acdnt_ocrn_ycrd="552131.7")] * 4
    with pytest.raises(FeedError, match="EPSG:5186"):
        coordinates.check(rows(SEOUL, *metres), SEOUL, KOREA.feeds["fire_119"], KOREA.bounds)


def test_a_call_without_coordinates_keeps_its_district_and_equal_names_need_the_province() -> None:
    incidents, _ = staged(SEOUL, call(**NO_PLACE))
    row = incidents.row(0, named=True)
    assert (row["location_quality"], row["location_source"], row["named_area_id"]) == ("none", "unknown", "26110")
    unclear, _ = staged(SEOUL, call(clmty_ctpv_nm="충청남도"))
    assert unclear["named_area_id"].to_list() == [None]


SEOUL_FAULTS = [
    {"dclr_tm": None},
    {"dclr_tm": "61"},
    {"dclr_tm": "240000"},
    {"dclr_ymd": "20251131"},
    {"damg_rgn_lot": "37.57", "damg_rgn_lat": "126.98"},
    {"acdnt_ocrn_xcrd": "서울"},
]
EMS_FAULTS = [{"dspt_tm": None}, {"grnds_arvl_tm": "6000"}, {"cbk_ymd": "20250230"}]
RESCUE_FAULTS = [{"rscu_cmptn_ymd": "어제"}, {"damg_rgn_lat": "129.07"}]
JEONBUK_FAULTS = [{"dspt_drtv_dt": "2.02511E+13"}, {"grnds_arvl_dt": "20251101"}]


@pytest.mark.parametrize(
    ("feed", "row", "faults"),
    [
        (SEOUL, call(), SEOUL_FAULTS),
        (JEONBUK, call(), JEONBUK_FAULTS),
        (EMS, ambulance(), EMS_FAULTS),
        (RESCUE, rescue(), RESCUE_FAULTS),
    ],
    ids=[feed.name for feed in LAYOUTS],
)
def test_bad_rows_are_quarantined_and_valid_ones_are_kept(feed: Feed, row: dict[str, Any], faults: list[Any]) -> None:
    verdict = load(memory(), feed, rows(feed, row, *(row | fault for fault in faults)))
    assert verdict.accepted["_row"].to_list() == [0]
    assert set(verdict.failures["_row"]) == set(range(1, len(faults) + 1))


def test_a_newer_file_set_replaces_the_older_one_and_keeps_duplicates() -> None:
    con = place()
    merge(con, SEOUL, call(), call(dclr_rcpt_no="2"), call(dclr_rcpt_no="3"))
    merge(con, SEOUL, call(dclr_rcpt_no=None), call(dclr_rcpt_no=None), day=2)
    assert stage(con, SEOUL.name).height == 2


def written(feed: Feed, *given: dict[str, Any], unknown: str = "") -> bytes:
    """A CP949 file of a layout, with an unused column; only the header without rows."""
    known = rows(feed, *given) if given else pl.DataFrame(schema=dict(feed.columns))
    frame = known.with_columns(seasn_nm=pl.lit("가을"))
    text = frame.write_csv(line_terminator="\r\n")
    return text.replace("seasn_nm", unknown or "seasn_nm").encode("cp949")


def request_for(folder: Path) -> Request:
    return Request(folder.as_uri(), None, KOREA.feeds["fire_119"], KOREA, None, datetime(2025, 11, 2, tzinfo=UTC))


def named(feed: Feed, number: int, district: str | None, province: str | None = "부산광역시") -> dict[str, Any]:
    """A call with the district that its source names, in the columns of the layout."""
    if feed in (SEOUL, JEONBUK):
        return call(dclr_rcpt_no=str(number), clmty_sgg_nm=district, clmty_ctpv_nm=province)
    of_unit = ambulance if feed is EMS else rescue
    return of_unit(dclr_tm=str(number), grnds_sgg_nm=district, grnds_ctpv_nm=province)


@pytest.mark.parametrize("feed", LAYOUTS, ids=lambda feed: feed.name)
def test_districts_that_no_boundary_has_are_counted_with_their_province(feed: Feed) -> None:
    places = [
        ("중구", "부산광역시"),
        ("종로구", None),
        ("해운 대구", "부산광역시"),
        ("해운대구 ", "부산광역시"),
        ("중구", None),
    ]
    con = place()
    merge(con, feed, *(named(feed, n, *words) for n, words in enumerate([*places, (None, "부산광역시")], start=1)))
    assert stage(con, f"{feed.name}_unplaced").sort("incidents").rows() == [
        (feed.name, "중구", 1),
        (feed.name, "부산광역시 해운대구", 2),
    ]


@pytest.mark.parametrize(("feed", "of_unit"), [(SEOUL, call), (EMS, ambulance)], ids=["calls", "units"])
def test_rows_of_one_call_name_its_district_once(feed: Feed, of_unit: Any) -> None:
    key = "clmty_sgg_nm" if feed is SEOUL else "grnds_sgg_nm"
    con = place()
    merge(con, feed, of_unit(**{key: "없는구"}), of_unit(**{key: "없는구"}))
    assert stage(con, f"{feed.name}_unplaced")["incidents"].to_list() == [1]


@pytest.mark.parametrize("feed", LAYOUTS, ids=lambda feed: feed.name)
def test_a_folder_of_files_is_one_delivery_whose_parts_can_be_parsed_separately(tmp_path: Path, feed: Feed) -> None:
    row = {"dclr_ymd": "20251031", "dclr_tm": "24"}
    for month in ("10", "09"):
        (tmp_path / f"119_{month}.csv").write_bytes(written(feed, row | {"dclr_ymd": f"2025{month}30"}))
    (tmp_path / "119_08.csv").write_bytes(written(feed))
    (tmp_path / "readme.txt").write_text("ignored")
    (delivery,) = feed.fetch(request_for(tmp_path))
    assert (len(delivery.parts), delivery.window_start) == (3, None)
    whole = feed.parse(delivery.parts)
    assert whole["dclr_ymd"].to_list() == ["20250930", "20251030"]
    assert whole.columns == list(feed.columns), "unused columns are dropped"
    assert pl.concat([feed.parse(delivery.parts[n : n + 1]) for n in range(3)]).equals(whole)
    assert feed.parse(delivery.parts[:1]).is_empty() and feed.parse([]).is_empty()


@pytest.mark.parametrize("name", ["ptn_gndr_nm ", "PTN_SYM_SE_NM", " Ptn_age", "ptnt_nm", "환자성별"])
def test_columns_named_like_a_patient_attribute_are_dropped(name: str) -> None:
    frame = EMS.parse([written(EMS, ambulance(), unknown=name), written(EMS, ambulance())])
    assert frame.columns == list(EMS.columns) and frame.height == 2


def test_a_file_that_ends_within_a_row_is_rejected_by_name(tmp_path: Path) -> None:
    whole = written(EMS, ambulance(ptn_ocrn_type_nm="a,\nb"), ambulance()).removesuffix(b"\r\n")
    (tmp_path / "a.csv").write_bytes(whole)
    (delivery,) = EMS.fetch(request_for(tmp_path))
    assert EMS.parse(delivery.parts).height == 2, "the last line end may be missing"
    (tmp_path / "b.csv").write_bytes(whole[: whole.rindex(b",")])
    with pytest.raises(
        FeedError, match=r"b\.csv ends without a line end in a row of \d+ of \d+ fields: it was cut off"
    ):
        list(EMS.fetch(request_for(tmp_path)))


def test_a_file_without_any_column_of_the_layout_is_rejected_even_without_rows() -> None:
    for content in (b'{"error": "down"}', b"a,b\r\n1,2\r\n"):
        with pytest.raises(FeedError, match="columns of a file is one of the feed's"):
            EMS.parse([written(EMS, ambulance()), content])


def test_column_names_are_matched_ignoring_case_and_blanks() -> None:
    sheet = (
        written(EMS, ambulance()).replace(b"rptp_no", b" RPTP_NO ").replace(b"ptn_ocrn_type_nm", b"Ptn_Ocrn_Type_Nm")
    )
    assert EMS.parse([sheet]).equals(EMS.parse([written(EMS, ambulance())]))


def test_an_unknown_column_is_kept_for_the_schema_drift_report(tmp_path: Path) -> None:
    assert "새열" in EMS.parse([written(EMS, ambulance(), unknown="새열")]).columns


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("{folder}", r"has no file that ends in \.csv"),
        ("{folder}/none", "cannot be listed"),
        ("nowhere://agency/119", "cannot be opened"),
    ],
)
def test_missing_files_are_reported_with_place_and_action(tmp_path: Path, url: str, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        list(EMS.fetch(replace(request_for(tmp_path), url=url.format(folder=tmp_path.as_uri()))))


def test_an_oversized_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_bytes(written(EMS, ambulance()))
    monkeypatch.setattr("pipelines.feeds.protocols.file_drop.MAX_BYTES", 10)
    with pytest.raises(FeedError, match="more than 10"):
        list(EMS.fetch(request_for(tmp_path)))


def test_files_that_together_exceed_the_limit_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(written(EMS, ambulance()))
    monkeypatch.setattr("pipelines.feeds.protocols.fire_files.MAX_BYTES", len(written(EMS, ambulance())))
    with pytest.raises(FeedError, match=r"more than .* bytes up to b\.csv"):
        list(EMS.fetch(request_for(tmp_path)))


def refusing(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Files in memory whose file system raises its own error type with the password in the message."""

    class Refusal(Exception):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise Refusal("no access for agency:pa55word")

    monkeypatch.setattr(LocalFileSystem, method, refuse)


@pytest.mark.parametrize("method", ["invalidate_cache", "ls", "cat_file"])
def test_a_file_system_error_is_reported_by_its_type_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    (tmp_path / "a.csv").write_bytes(written(EMS, ambulance()))
    refusing(monkeypatch, method)
    with pytest.raises(FeedError, match=r"\(Refusal\)") as caught:
        list(EMS.fetch(request_for(tmp_path)))
    assert "pa55word" not in "".join(traceback.format_exception(caught.value))


def test_an_invalid_port_is_reported_without_the_password(tmp_path: Path) -> None:
    for url in ("sftp://agency:pa55word@host:2x2/119", "nowhere://agency:pa55word@host:22:x/119"):
        with pytest.raises(FeedError, match="cannot be opened") as caught:
            list(EMS.fetch(replace(request_for(tmp_path), url=url)))
        assert "pa55word" not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_is_not_cp949_fails_the_batch() -> None:
    with pytest.raises(ValueError, match="cp949"):
        EMS.parse([b"\xff\xfe\x00"])


@pytest.mark.parametrize("feed", LAYOUTS, ids=lambda feed: feed.name)
def test_no_column_describes_a_patient(feed: Feed) -> None:
    known = ("ptn_cntc_ymd", "ptn_cntc_tm", "ptn_ocrn_type_nm")
    assert not [name for name in feed.columns if name.startswith("ptn_") and name not in known]
    assert suites.columns_of(feed.name)


def test_the_simulated_files_of_a_day_contain_every_call_and_unit_once(tmp_path: Path) -> None:
    province, days = KOREA.areas.provinces[0], (date(2025, 10, 31), date(2025, 11, 1))
    paths = fire_files(KOREA, province, tmp_path, *days)
    truth = fire.records(KOREA, province, *days)
    parsed = conform(JEONBUK, JEONBUK.parse([paths["calls"].read_bytes()]))
    incidents, dispatches = staged(JEONBUK, *parsed.drop("_extra").to_dicts())
    assert parsed["_extra"].null_count() == parsed.height, "every column is known"
    assert incidents["incident_id"].n_unique() == int((truth.ordinal == 0).sum())
    assert dispatches.select("incident_id", "unit_id").n_unique() == int((truth.unit >= 0).sum())
    ambulances = conform(EMS, EMS.parse([paths["ems"].read_bytes()]))
    _, sent = staged(EMS, *ambulances.drop("_extra").to_dicts())
    assert sent.select("incident_id", "unit_id").n_unique() == ambulances.height
