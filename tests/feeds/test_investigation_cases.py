"""Cases of the investigation agency: CP949 files of a folder, place withheld, versions, missing files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.feeds.feed import FeedError
from pipelines.feeds.investigation_cases import FEED
from pipelines.incident import STAGED_COLUMNS
from tests.feeds.korea import memory, request
from tests.feeds.portal import as_of, load, rows, stage

HEADER = "사건번호,접수일,범죄분류,시도코드,시도명,진행상태,삭제여부,변경일시\r\n"


def case(**overrides: Any) -> dict[str, Any]:
    known = {
        "사건번호": "수사11-20251101-0001",
        "접수일": "2025-11-01",
        "범죄분류": "경제",
        "시도코드": "11",
        "시도명": "서울특별시",
        "진행상태": "접수",
        "삭제여부": "N",
        "변경일시": "2025-11-01 10:00:00",
    }
    return known | overrides


def staged(*cases: dict[str, Any], at: str | None = None) -> pl.DataFrame:
    con = memory()
    load(con, FEED, rows(FEED, *cases))
    if at:
        as_of(con, at)
    return stage(con, FEED.name)


def dropped(folder: Path, *days: int) -> str:
    for day in days:
        row = ",".join(case(사건번호=f"수사11-202511{day:02d}-0001").values())
        (folder / f"cases_202511{day:02d}.csv").write_bytes(f"{HEADER}{row}\r\n".encode("cp949"))
    return folder.as_uri()


def read(url: str, start: str, end: str) -> list[str]:
    (delivery,) = FEED.fetch(request(FEED.name, url, start, end))
    return FEED.parse(delivery.parts)["사건번호"].str.slice(5, 8).to_list() if delivery.parts else []


def test_a_window_holds_the_files_of_the_days_that_end_inside_it(tmp_path: Path) -> None:
    url = dropped(tmp_path, 1, 2, 3)
    assert read(url, "2025-11-01T20:15:00+00:00", "2025-11-02T20:15:00+00:00") == ["20251102"]
    assert read(url, "2025-10-31T20:15:00+00:00", "2025-11-03T20:15:00+00:00") == ["20251101", "20251102", "20251103"]


def test_the_file_of_a_day_belongs_to_one_window_even_when_windows_meet_at_midnight(tmp_path: Path) -> None:
    url = dropped(tmp_path, 1, 2)
    assert read(url, "2025-11-01T10:00:00+00:00", "2025-11-01T15:00:00+00:00") == ["20251101"]
    assert read(url, "2025-11-01T15:00:00+00:00", "2025-11-02T15:00:00+00:00") == ["20251102"]
    assert read(url, "2025-11-01T15:00:00+00:00", "2025-11-01T16:00:00+00:00") == []


def test_a_missing_file_is_a_fault_and_not_a_quiet_day(tmp_path: Path) -> None:
    url = dropped(tmp_path, 1, 3)
    with pytest.raises(FeedError, match=r"cases_20251102\.csv cannot be read"):
        read(url, "2025-10-31T20:15:00+00:00", "2025-11-03T20:15:00+00:00")


def test_a_quiet_day_is_a_header_alone() -> None:
    assert FEED.parse([HEADER.encode("cp949")]).is_empty()
    both = FEED.parse([HEADER.encode("cp949"), (HEADER + ",".join(case().values()) + "\r\n").encode("cp949")])
    assert both.row(0, named=True) == case()


def test_a_file_that_is_not_cp949_refuses_the_batch() -> None:
    with pytest.raises(ValueError, match="cp949"):
        FEED.parse([b"\xff\xfe\x00"])


def test_a_case_has_a_province_and_no_place() -> None:
    found = staged(case())
    assert found.columns == list(STAGED_COLUMNS)
    row = found.row(0, named=True)
    assert (row["lon"], row["lat"], row["location_quality"], row["named_area_id"]) == (None, None, "withheld", "11")
    assert (row["occurred_at"], row["is_discovered"]) == (None, None)
    assert row["reported_at"] == datetime(2025, 10, 31, 15, 0, tzinfo=UTC)


def test_a_case_is_closed_when_it_was_first_closed_and_as_known_then() -> None:
    versions = [
        case(),
        case(진행상태="종결", 변경일시="2025-11-03 10:00:00"),
        case(진행상태="종결", 범죄분류="사이버", 변경일시="2025-11-04 10:00:00"),
    ]
    row = staged(*versions).row(0, named=True)
    assert row["closed_at"] == datetime(2025, 11, 3, 1, 0, tzinfo=UTC)
    assert row["source_category"] == "사이버"
    before = staged(*versions, at="2025-11-02 00:00:00+00").row(0, named=True)
    assert (before["closed_at"], before["source_category"]) == (None, "경제")


def test_a_withdrawn_case_is_gone() -> None:
    assert staged(case(), case(삭제여부="Y", 진행상태="취소", 변경일시="2025-11-02 10:00:00")).is_empty()


@pytest.mark.parametrize(
    "fault",
    [{"사건번호": None}, {"접수일": "11/1"}, {"변경일시": "어제"}, {"시도코드": "서울"}, {"삭제여부": None}],
    ids=str,
)
def test_a_bad_row_is_quarantined_with_a_reason_and_the_good_one_stays(fault: dict[str, Any]) -> None:
    verdict = load(memory(), FEED, rows(FEED, case(), case(**fault)))
    assert verdict.accepted["_row"].to_list() == [0]
    assert set(verdict.failures["_row"]) == {1}
