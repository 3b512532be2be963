"""112 calls: versions and when they were known, location sources, discovery, quarantine."""

import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.feeds.police_112 import FEED
from pipelines.feeds.protocols import http
from pipelines.schema.dictionary import sql_types
from tests.feeds.korea import KOREA, memory, request
from tests.feeds.portal import as_of, load, rows, stage


def call(**overrides: Any) -> dict[str, Any]:
    known = {
        "incident_no": "20251101-000001",
        "category": "절도",
        "priority": 1,
        "status": "종결",
        "report_channel": "전화",
        "occurred_at": "2025-11-01T10:00:00+09:00",
        "reported_at": "2025-11-01T10:05:00+09:00",
        "lon": 126.98,
        "lat": 37.57,
        "location_method": "주소",
        "district_code": "11110",
        "is_withdrawn": False,
        "updated_at": "2025-11-01T11:00:00+09:00",
    }
    return known | overrides


def staged(*calls: dict[str, Any], at: str | None = None, delay_seconds: int = 0) -> pl.DataFrame:
    con = memory(delay_seconds)
    load(con, FEED, rows(FEED, *calls))
    if at:
        as_of(con, at)
    return stage(con, FEED.name)


def test_a_staged_call_is_a_common_incident() -> None:
    incidents = staged(call(dispatched_at="2025-11-01T10:06:30+09:00"))
    assert incidents.columns == list(sql_types("staging.incidents"))
    row = incidents.row(0, named=True)
    assert row["incident_id"] == "police_112:20251101-000001"
    assert row["occurred_at"] == datetime(2025, 11, 1, 1, 0, tzinfo=UTC)
    assert row["first_dispatched_at"] == datetime(2025, 11, 1, 1, 6, 30, tzinfo=UTC)
    assert (row["service"], row["priority"], row["source_category"]) == ("police", 1, "절도")
    assert row["named_area_id"] == "11110"


@pytest.mark.parametrize(
    ("code", "district"),
    [
        ("11110", "11110"),
        ("1111051500", "11110"),
        ("42110", "51110"),
        ("4579025000", "52790"),
        ("47720", "27720"),
        ("47730", "47730"),
        (None, None),
    ],
)
def test_codes_of_towns_and_of_former_provinces_are_those_of_todays_districts(
    code: str | None, district: str | None
) -> None:
    assert staged(call(district_code=code))["named_area_id"].to_list() == [district]


def test_the_version_with_the_latest_update_time_is_used() -> None:
    corrected = call(category="기타", updated_at="2025-11-03T09:00:00+09:00")
    # A time in another offset must not win by comparison as text.
    older = call(category="폭력", updated_at="2025-11-02T23:00:00+00:00")
    assert staged(corrected, older, call())["source_category"].to_list() == ["기타"]


def test_as_of_restores_what_was_known_then() -> None:
    versions = [call(), call(category="기타", updated_at="2025-11-03T09:00:00+09:00")]
    assert staged(*versions, at="2025-11-02 20:15:00+00")["source_category"].to_list() == ["절도"]
    assert staged(*versions, at="2025-11-01 01:59:00+00").is_empty()
    assert staged(*versions, at="2025-11-01 02:30:00+00", delay_seconds=3600).is_empty()


def test_a_withdrawn_call_is_removed_from_the_moment_of_withdrawal() -> None:
    versions = [call(), call(is_withdrawn=True, status="취소", updated_at="2025-11-04T09:00:00+09:00")]
    assert staged(*versions).is_empty()
    assert staged(*versions, at="2025-11-03 00:00:00+00").height == 1


@pytest.mark.parametrize(
    ("place", "quality", "source"),
    [
        ({"location_method": "현장확인"}, "exact", "scene"),
        ({"location_method": "주소"}, "exact", "address"),
        ({"location_method": "신고자조회"}, "centroid", "caller_lookup"),
        ({"location_method": "기지국"}, "centroid", "caller_lookup"),
        ({"location_method": None}, "centroid", "unknown"),
        ({"location_method": None, "lon": None, "lat": None}, "none", "unknown"),
    ],
)
def test_a_location_has_a_quality_and_a_source(place: dict[str, Any], quality: str, source: str) -> None:
    row = staged(call(**place)).row(0, named=True)
    assert (row["location_quality"], row["location_source"]) == (quality, source)


@pytest.mark.parametrize(
    ("channel", "discovered"),
    [
        ("순찰발견", True),
        (" 순찰발견\u200b", True),
        ("전화", False),
        ("문자 ", False),
        (None, None),
        ("드론순찰", None),
        ("", None),
    ],
)
def test_only_calls_found_on_patrol_are_discovered_and_an_unknown_channel_stays_unknown(
    channel: str | None, discovered: bool | None
) -> None:
    assert staged(call(report_channel=channel))["is_discovered"].to_list() == [discovered]


@pytest.mark.parametrize("word", ["절도\u200b", "\u3000절도 ", unicodedata.normalize("NFD", "절도")], ids=ascii)
def test_categories_are_normalized_before_mapping(word: str) -> None:
    assert word != "절도"
    assert staged(call(category=word))["source_category"].to_list() == ["절도"]


def test_an_undescribed_channel_is_counted_and_kept() -> None:
    verdict = load(memory(), FEED, rows(FEED, call(report_channel="드론순찰")))
    assert verdict.accepted.height == 1
    assert verdict.results.filter(pl.col("column") == "report_channel")["failed"].sum() == 1


@pytest.mark.parametrize("written", ["2024-02-29T11:00:00+09:00", "2025-11-01T11:00:00-05:30"])
def test_leap_days_and_real_offsets_are_valid(written: str) -> None:
    assert load(memory(), FEED, rows(FEED, call(updated_at=written))).failures.is_empty()


@pytest.mark.parametrize(
    "fault",
    [
        {"reported_at": "시각오류"},
        {"reported_at": "2025-02-29T11:00:00+09:00"},
        {"updated_at": "2025-02-29T11:00:00+09:00"},
        {"updated_at": "2025-11-01T11:00:00+19:00"},
        {"updated_at": "2025-11-01T11:00:00+09:60"},
        {"reported_at": None},
        {"updated_at": "2025-11-01 11:00:00"},
        {"updated_at": "2025-11-31T11:00:00+09:00"},
        {"lon": 37.57, "lat": 126.98},
        {"incident_no": None},
        {"priority": 5},
        {"category": None},
    ],
    ids=str,
)
def test_a_bad_row_is_quarantined_with_a_reason_and_the_valid_one_is_kept(fault: dict[str, Any]) -> None:
    verdict = load(memory(), FEED, rows(FEED, call(), call(**fault)))
    assert verdict.accepted["_row"].to_list() == [0]
    assert set(verdict.failures["_row"]) == {1}
    assert verdict.failures["reason"].str.len_chars().min() > 20  # type: ignore[operator]


def test_blank_or_zero_coordinates_and_an_unknown_hour_are_valid() -> None:
    verdict = load(memory(), FEED, rows(FEED, call(lon=None, lat=None, occurred_at=None), call(lon=0.0, lat=0.0)))
    assert verdict.accepted.height == 2


def test_the_key_is_read_from_the_environment_and_never_from_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def get(url: str, params: Any, **given: Any) -> bytes:
        sent.append(given["headers"])
        return orjson.dumps({"page": 1, "total": 0, "incidents": []})

    monkeypatch.setattr(http, "get", get)
    monkeypatch.setenv("BONGSU_KEY_POLICE_112", "hidden")
    key = Settings(home=Path("unused"), profile=KOREA, as_of=datetime(2025, 11, 2, tzinfo=UTC)).secret(FEED.name)
    list(FEED.fetch(request(FEED.name, "http://127.0.0.1:9", "2025-11-01T00:00+00:00", "2025-11-02T00:00+00:00", key)))
    assert sent == [{"X-API-Key": "hidden"}]
    assert "hidden" not in KOREA.model_dump_json()


def test_an_unknown_category_is_counted_and_kept() -> None:
    verdict = load(memory(), FEED, rows(FEED, call(category="드론")))
    assert verdict.accepted.height == 1
    assert (
        verdict.results.filter((pl.col("severity") == "warning") & (pl.col("column") == "category"))["failed"].sum()
        == 1
    )


def test_parse_joins_pages_and_returns_no_rows_without_records() -> None:
    page = {"page": 1, "pages": 2, "total": 2, "incidents": [call(new_field="x")]}
    bare = {"page": 2, "pages": 2, "total": 2, "incidents": [call(incident_no="20251101-000002", lon=None)]}
    frame = FEED.parse([orjson.dumps(page), orjson.dumps(bare)])
    assert frame["incident_no"].to_list() == ["20251101-000001", "20251101-000002"]
    assert frame["new_field"].to_list() == ["x", None]
    assert FEED.parse([orjson.dumps({"page": 1, "pages": 1, "total": 0, "incidents": []})]).is_empty()
