"""The versions of each feed's incidents: only where a watched column differs, as known at each instant."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from pipelines.feeds import fire_119, investigation_cases, police_112
from pipelines.feeds.feed import Feed
from pipelines.quality import suites
from pipelines.schema.dictionary import sql_types
from tests.feeds.korea import memory
from tests.feeds.portal import as_of, load, rows, stage
from tests.feeds.test_police_112 import call
from tests.feeds.test_police_112_keys import accept_all


@pytest.fixture(autouse=True)
def _no_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "validate_rows", accept_all)


def versions(feed: Feed, *given: dict[str, Any], at: str = "2025-12-01 00:00:00+00") -> pl.DataFrame:
    con = memory()
    load(con, feed, rows(feed, *given))
    as_of(con, at)
    versions = stage(con, f"{feed.name}_versions")
    assert versions.columns == list(sql_types("staging.versions"))
    return versions.sort("incident_id", "known_at")


def unit(**overrides: Any) -> dict[str, Any]:
    known = {
        "dclr_rcpt_no": "2025110100001",
        "vhcl_no": "구급1",
        "emrg_rscu_clsf_nm": "구급  ",
        "dclr_dt": "20251101100000",
        "damg_rgn_lot": "126.98",
        "damg_rgn_lat": "37.57",
        "del_yn": "N",
        "chg_dt": "20251101100100",
    }
    return known | overrides


def case(**overrides: Any) -> dict[str, Any]:
    known = {"사건번호": "수사11-20251101-0001", "접수일": "2025-11-01", "범죄분류": "경제", "진행상태": "접수"}
    return known | {"삭제여부": "N", "변경일시": "2025-11-01 10:00:00"} | overrides


def test_a_call_that_was_only_closed_has_no_versions() -> None:
    closed = call(closed_at="2025-11-01T12:00:00+09:00", updated_at="2025-11-01T12:00:00+09:00")
    assert versions(police_112.FEED, call(closed_at=None), closed).is_empty()


def test_a_reclassified_call_has_all_versions_known_by_then() -> None:
    rows = [call(), call(category="폭력", updated_at="2025-11-09T00:00:00+09:00")]
    assert versions(police_112.FEED, *rows)["source_category"].to_list() == ["절도", "폭력"]
    assert versions(police_112.FEED, *rows, at="2025-11-08 00:00:00+00").is_empty()


def test_two_versions_with_one_update_time_are_one() -> None:
    staged = versions(police_112.FEED, call(), call(category="폭력"))
    assert staged.height == 1


def test_a_location_added_later_is_a_new_version() -> None:
    staged = versions(police_112.FEED, call(lon=0.0, lat=0.0), call(updated_at="2025-11-01T12:00:00+09:00"))
    assert staged["location_quality"].to_list() == ["none", "exact"]


def test_a_fire_call_combines_the_newest_version_of_each_unit() -> None:
    staged = versions(
        fire_119.FEED,
        unit(),
        unit(vhcl_no="펌프2", chg_dt="20251101100500"),
        unit(emrg_rscu_clsf_nm="구조", chg_dt="20251103000000"),
        unit(vhcl_no="펌프2", emrg_rscu_clsf_nm="구조", chg_dt="20251103000000"),
    )
    assert staged["source_category"].to_list() == ["구급", "구급", "구조"]
    assert staged["service"].to_list() == ["ems", "ems", "rescue"]
    assert staged["known_at"][0] == datetime(2025, 11, 1, 1, 1, tzinfo=UTC)


def test_a_fire_call_is_withdrawn_when_all_its_units_are() -> None:
    pump = {"vhcl_no": "펌프2"}
    first = [unit(), unit(**pump), unit(del_yn="Y", chg_dt="20251102000000")]
    assert versions(fire_119.FEED, *first)["is_withdrawn"].to_list() == [False, False]
    both = [*first, unit(**pump, del_yn="Y", chg_dt="20251103000000")]
    staged = versions(fire_119.FEED, *both)
    assert staged["is_withdrawn"].to_list() == [False, False, True]
    assert staged["source_category"].to_list() == ["구급"] * 3


def test_self_harm_of_one_unit_applies_to_all_later_versions_of_the_call() -> None:
    staged = versions(
        fire_119.FEED,
        unit(),
        unit(vhcl_no="펌프2", emrg_rscu_clsf_nm="자해", chg_dt="20251101100500"),
        unit(chg_dt="20251101110000", cbk_dt="20251101110000"),
    )
    assert staged["source_category"].to_list() == ["구급", "자해", "자해"]


def test_a_fire_call_of_an_unknown_class_has_the_service_of_its_unit() -> None:
    staged = versions(
        fire_119.FEED, unit(emrg_rscu_clsf_nm="현장출동", vhcl_se_nm="구급차"), unit(chg_dt="20251102000000")
    )
    assert staged["service"].to_list() == ["ems", "ems"]


def test_an_equivalent_spelling_is_not_a_new_version() -> None:
    later = {"updated_at": "2025-11-09T00:00:00+09:00"}
    assert versions(police_112.FEED, call(), call(category="절도\u200b", **later)).is_empty()
    apart = unicodedata.normalize("NFD", "구급")
    assert versions(fire_119.FEED, unit(), unit(emrg_rscu_clsf_nm=apart, chg_dt="20251102000000")).is_empty()
    wide = case(범죄분류="경제\u3000", 변경일시="2025-11-02 10:00:00")
    assert versions(investigation_cases.FEED, case(), wide).is_empty()


def test_a_corrected_time_or_district_is_a_new_version() -> None:
    later = {"updated_at": "2025-11-09T00:00:00+09:00"}
    staged = versions(police_112.FEED, call(), call(district_code="11140", **later))
    assert staged["named_area_id"].to_list() == ["11110", "11140"]
    assert versions(police_112.FEED, call(), call(reported_at="2025-11-01T12:05:00+09:00", **later)).height == 2


def test_a_version_has_the_time_of_occurrence() -> None:
    rows = [call(), call(category="폭력", updated_at="2025-11-09T00:00:00+09:00")]
    assert versions(police_112.FEED, *rows)["occurred_at"].to_list() == [datetime(2025, 11, 1, 1, tzinfo=UTC)] * 2


def test_a_changed_discovery_or_location_source_is_a_new_version() -> None:
    later = {"updated_at": "2025-11-09T00:00:00+09:00"}
    staged = versions(police_112.FEED, call(), call(report_channel="순찰발견", **later))
    assert staged["is_discovered"].to_list() == [False, True]
    staged = versions(police_112.FEED, call(location_method="기지국"), call(location_method="현장확인", **later))
    assert staged["location_source"].to_list() == ["caller_lookup", "scene"]


def test_a_call_is_known_since_its_first_version() -> None:
    con = memory()
    twice = [call(), call(closed_at=None, updated_at="2025-11-09T00:00:00+09:00")]
    load(con, police_112.FEED, rows(police_112.FEED, *twice, call(incident_no="20251101-000099")))
    as_of(con, "2025-12-01 00:00:00+00")
    staged = stage(con, "police_112_firsts")
    assert staged.columns == list(sql_types("staging.firsts"))
    assert staged.rows() == [(f"police_112:{call()['incident_no']}", datetime.fromisoformat(call()["updated_at"]))]
    as_of(con, "2025-11-08 00:00:00+00")
    assert stage(con, "police_112_firsts").is_empty()


def test_a_fire_call_is_known_since_its_first_row() -> None:
    con = memory()
    load(con, fire_119.FEED, rows(fire_119.FEED, unit(chg_dt="20251101120000"), unit(), unit(dclr_rcpt_no="2")))
    as_of(con, "2025-12-01 00:00:00+00")
    staged = stage(con, "fire_119_firsts")
    assert staged.rows() == [("fire_119:2025110100001", datetime(2025, 11, 1, 1, 1, tzinfo=UTC))]


def test_a_version_of_a_fire_call_has_its_units_and_named_district() -> None:
    late = unit(vhcl_no="펌프2", chg_dt="20251103000000", clmty_sgg_cd="11110")
    staged = versions(
        fire_119.FEED, unit(clmty_sgg_cd="11110"), late, late | {"del_yn": "Y", "chg_dt": "20251104000000"}
    )
    assert staged["units"].to_list() == [1, 2, 1]
    assert staged["named_area_id"].to_list() == ["11110"] * 3


def test_a_fire_call_reclassified_as_talk_has_no_service() -> None:
    staged = versions(
        fire_119.FEED, unit(vhcl_no=""), unit(vhcl_no="", prcs_rslt_se_nm="중복신고", chg_dt="20251101120000")
    )
    assert staged["service"].to_list() == ["ems", None]


def test_only_category_and_withdrawal_of_a_case_are_watched() -> None:
    further = case(진행상태="수사중", 변경일시="2025-11-02 10:00:00")
    assert versions(investigation_cases.FEED, case(), further).is_empty()
    gone = case(삭제여부="Y", 변경일시="2025-11-05 10:00:00")
    assert versions(investigation_cases.FEED, case(), further, gone)["is_withdrawn"].to_list() == [False, False, True]
