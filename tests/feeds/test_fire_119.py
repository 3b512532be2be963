"""119 calls: rows of several units are one incident, naive Korean time, withdrawn and quarantined rows."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from pipelines.feeds.fire_119 import FEED
from pipelines.schema.dictionary import sql_types
from tests.feeds.korea import memory
from tests.feeds.portal import as_of, load, rows, stage

NUMBER = "11920251101000001"


def unit(vehicle: str = "종로구급차1", **overrides: Any) -> dict[str, Any]:
    known = {
        "dclr_rcpt_no": NUMBER,
        "vhcl_no": vehicle,
        "vhcl_se_nm": "구급차",
        "dclr_dt": "20251101000010",
        "emrg_rscu_clsf_nm": "구급  ",
        "prcs_rslt_se_nm": "출동",
        "dspt_drtv_dt": "20251101000130",
        "dspt_dt": "20251101000220",
        "grnds_arvl_dt": "20251101000810",
        "cbk_dt": "20251101005500",
        "cmptnc_frstn_nm": "종로소방서  ",
        "clmty_sgg_cd": "11110",
        "damg_rgn_lot": "126.98",
        "damg_rgn_lat": "37.57",
        "del_yn": "N",
        "chg_dt": "20251101005500",
    }
    return known | overrides


def unassigned(**overrides: Any) -> dict[str, Any]:
    times = dict.fromkeys(("dspt_drtv_dt", "dspt_dt", "grnds_arvl_dt", "cbk_dt"))
    return unit("", vhcl_se_nm="", emrg_rscu_clsf_nm="안내  ", damg_rgn_lot="", damg_rgn_lat="", **times) | overrides


def staged(*given: dict[str, Any], at: str | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    con = memory()
    load(con, FEED, rows(FEED, *given))
    if at:
        as_of(con, at)
    return stage(con, "fire_119"), stage(con, "fire_119_dispatches")


def test_the_rows_of_two_units_are_one_incident_and_two_dispatches() -> None:
    second = unit(
        "종로펌프차2",
        vhcl_se_nm="펌프차",
        dspt_drtv_dt="20251101000200",
        grnds_arvl_dt="20251101000700",
        cbk_dt="20251101010000",
    )
    incidents, dispatches = staged(unit(), second)
    assert incidents.columns == list(sql_types("staging.incidents"))
    assert dispatches.columns == list(sql_types("staging.dispatches"))
    row = incidents.row(0, named=True)
    assert incidents.height == 1
    assert row["reported_at"] == datetime(2025, 10, 31, 15, 0, 10, tzinfo=UTC)
    assert row["first_dispatched_at"] == datetime(2025, 10, 31, 15, 1, 30, tzinfo=UTC)
    assert row["first_arrived_at"] == datetime(2025, 10, 31, 15, 7, 0, tzinfo=UTC)
    assert row["closed_at"] == datetime(2025, 10, 31, 16, 0, 0, tzinfo=UTC)
    assert (row["lon"], row["lat"], row["location_quality"]) == (126.98, 37.57, "exact")
    assert sorted(dispatches["unit_id"]) == ["종로구급차1", "종로펌프차2"]
    assert set(dispatches["home_station_id"]) == {"F-11-01"}


def test_a_call_is_open_until_its_last_unit_returns() -> None:
    incidents, dispatches = staged(unit(), unit("종로펌프차2", cbk_dt=None))
    assert incidents["closed_at"].to_list() == [None]
    assert dispatches.sort("unit_id")["available_at"].is_null().to_list() == [False, True]


@pytest.mark.parametrize(
    ("words", "service"),
    [
        ("화재", "fire"),
        ("구조 ", "rescue"),
        ("구급  ", "ems"),
        ("자해", "ems"),
        ("생활안전", "life_safety"),
        ("안내 ", None),
        ("기타", None),
    ],
)
def test_the_class_of_a_call_with_a_unit_decides_the_service(words: str, service: str | None) -> None:
    incidents, _ = staged(unit(emrg_rscu_clsf_nm=words))
    assert incidents["service"].to_list() == [service]
    assert incidents["source_category"].to_list() == [words.strip()]


@pytest.mark.parametrize("words", ["구급\u200b", "\u3000구급 ", unicodedata.normalize("NFD", "구급")], ids=ascii)
def test_class_names_are_normalized_before_mapping(words: str) -> None:
    assert words != "구급"
    incidents, _ = staged(unit(emrg_rscu_clsf_nm=words, vhcl_se_nm="펌프차"))
    assert incidents.select("source_category", "service").row(0) == ("구급", "ems")


@pytest.mark.parametrize(
    ("kind", "service"),
    [
        ("구급차", "ems"),
        ("펌프차", "fire"),
        ("소방차", "fire"),
        ("물탱크차", "fire"),
        ("고가사다리차", "fire"),
        ("구조공작차", "rescue"),
        ("생활안전차", "life_safety"),
        ("헬기", None),
        (None, None),
    ],
)
def test_a_call_of_an_unknown_class_has_the_service_of_its_unit(kind: str | None, service: str | None) -> None:
    incidents, _ = staged(unit(emrg_rscu_clsf_nm="현장출동", vhcl_se_nm=kind))
    assert incidents.select("source_category", "service").row(0) == ("현장출동", service)


def test_an_unknown_class_takes_the_service_of_the_first_known_unit() -> None:
    unknown = {"emrg_rscu_clsf_nm": "현장출동"}
    second = unit("종로펌프차2", vhcl_se_nm="펌프차", dspt_drtv_dt="20251101000200", **unknown)
    incidents, _ = staged(unit("가나지휘차1", vhcl_se_nm="지휘차", **unknown), unit(**unknown), second)
    assert incidents["service"].to_list() == ["ems"]
    incidents, _ = staged(unassigned(**unknown))
    assert incidents["service"].to_list() == [None]


def test_self_harm_in_one_row_applies_to_the_whole_call() -> None:
    later = unit("종로펌프차2", vhcl_se_nm="펌프차", chg_dt="20251101020000")
    incidents, _ = staged(unit(emrg_rscu_clsf_nm="자해  "), later)
    assert incidents.select("source_category", "service").row(0) == ("자해", "ems")
    incidents, _ = staged(unit(emrg_rscu_clsf_nm="자살시도"), later)
    assert incidents["source_category"].to_list() == ["자해"]


def test_different_categories_of_a_call_are_all_kept() -> None:
    con = memory()
    later = unit("종로펌프차2", emrg_rscu_clsf_nm="현장출동", chg_dt="20251101020000")
    load(con, FEED, rows(FEED, unit(emrg_rscu_clsf_nm="자살시도"), later, unit(dclr_rcpt_no="2025110100002")))
    words = stage(con, "fire_119_words").sort("source_category")
    assert words["source_category"].to_list() == ["자해", "현장출동"]
    assert words["incident_id"].n_unique() == 1
    as_of(con, "2025-11-01 01:30:00+09")
    assert stage(con, "fire_119_words").is_empty(), "the second row is not known yet"


@pytest.mark.parametrize(
    ("result", "service"),
    [("중복신고 ", None), ("무응답", None), ("상담종결", "advice"), ("취소", "ems"), (None, "ems")],
)
def test_without_a_dispatched_unit_the_outcome_decides_whether_a_call_has_a_service(
    result: str | None, service: str | None
) -> None:
    incidents, _ = staged(unassigned(emrg_rscu_clsf_nm="구급  ", prcs_rslt_se_nm=result))
    assert incidents["service"].to_list() == [service]
    sent, _ = staged(unit(prcs_rslt_se_nm=result))
    assert sent["service"].to_list() == ["ems"]


@pytest.mark.parametrize(
    ("words", "result", "service"),
    [
        ("안내  ", "상담종결", "advice"),
        ("안내  ", None, "advice"),
        ("안내  ", "무응답", None),
        ("기타", "안내", "advice"),
        ("기타", None, None),
    ],
)
def test_advice_without_a_unit_is_a_service_of_its_own(words: str, result: str | None, service: str | None) -> None:
    incidents, _ = staged(unassigned(emrg_rscu_clsf_nm=words, prcs_rslt_se_nm=result))
    assert incidents["service"].to_list() == [service]


def test_a_call_is_advice_until_a_unit_is_sent() -> None:
    con = memory()
    later = unit(chg_dt="20251101010000")
    load(con, FEED, rows(FEED, unassigned(prcs_rslt_se_nm="상담종결", chg_dt="20251101000100"), later))
    assert stage(con, "fire_119")["service"].to_list() == ["ems"]
    assert stage(con, "fire_119_versions").sort("known_at")["service"].to_list() == ["advice", "ems"]


def test_a_call_without_a_unit_is_an_incident_without_location_or_dispatch() -> None:
    incidents, dispatches = staged(unassigned())
    row = incidents.row(0, named=True)
    assert (row["location_quality"], row["location_source"], row["named_area_id"]) == ("none", "unknown", "11110")
    assert row["first_dispatched_at"] is None
    assert dispatches.is_empty()


def test_a_blank_location_of_one_unit_does_not_hide_the_others() -> None:
    incidents, _ = staged(unit(damg_rgn_lot="", damg_rgn_lat=""), unit("종로펌프차2"))
    assert incidents.select("lon", "lat").row(0) == (126.98, 37.57)


def test_the_version_known_at_as_of_is_used() -> None:
    sent = unit(grnds_arvl_dt=None, cbk_dt=None, chg_dt="20251101000200")
    reclassified = unit(emrg_rscu_clsf_nm="구조  ", chg_dt="20251103120000")
    withdrawn = unit(del_yn="Y", chg_dt="20251104120000")
    versions = (sent, unit(), reclassified, withdrawn)
    early, _ = staged(*versions, at="2025-10-31 15:03:00+00")
    middle, _ = staged(*versions, at="2025-11-02 00:00:00+00")
    late, _ = staged(*versions, at="2025-11-03 20:15:00+00")
    gone, gone_units = staged(*versions)
    assert early["first_arrived_at"].to_list() == [None]
    assert middle["service"].to_list() == ["ems"]
    assert late["service"].to_list() == ["rescue"]
    assert gone.is_empty() and gone_units.is_empty()


@pytest.mark.parametrize(
    "fault",
    [
        {"dclr_dt": "2025110124"},
        {"dclr_dt": "20250229100000"},
        {"chg_dt": "20250229100000"},
        {"dclr_dt": None},
        {"chg_dt": "2025-11-01 00:00:00"},
        {"grnds_arvl_dt": "20251101240000"},
        {"damg_rgn_lot": "37.57", "damg_rgn_lat": "126.98"},
        {"vhcl_no": None},
        {"del_yn": "?"},
    ],
    ids=str,
)
def test_a_bad_row_is_quarantined_with_a_reason_and_the_valid_one_is_kept(fault: dict[str, Any]) -> None:
    verdict = load(memory(), FEED, rows(FEED, unassigned(), unit(**fault)))
    assert verdict.accepted["_row"].to_list() == [0]
    assert set(verdict.failures["_row"]) == {1}


def test_a_call_without_unit_location_or_times_is_valid() -> None:
    zero = {"damg_rgn_lot": "0.0", "damg_rgn_lat": "0.0"}
    assert load(memory(), FEED, rows(FEED, unassigned(), unit(**zero))).failures.is_empty()
