"""Cases of the investigation agency: signed CP949 drops, withheld locations, versions, and rejected drops."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipelines.config.settings import Settings
from pipelines.feeds.feed import FeedError
from pipelines.feeds.investigation_cases import FEED
from pipelines.ingest import accounting, fetch
from pipelines.ingest import load as loading
from pipelines.schema.dictionary import sql_types
from pipelines.store import warehouse
from tests.feeds.korea import KOREA, memory, request
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


SIGNER, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
KEY = base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode()
SOURCE = KOREA.feeds[FEED.name].model_copy(update={"public_key": KEY})
START, END = datetime(2025, 10, 31, 20, 15, tzinfo=UTC), datetime(2025, 11, 2, 20, 15, tzinfo=UTC)
"""A window in which the local days of 1 and 2 November end."""


def file(day: int, *cases: dict[str, Any]) -> bytes:
    lines = "".join(
        ",".join(row.values()) + "\r\n" for row in cases or (case(사건번호=f"수사11-202511{day:02d}-0001"),)
    )
    return (HEADER + lines).encode("cp949")


def manifest(day: int, content: bytes, **overrides: Any) -> bytes:
    name, digest = f"cases_202511{day:02d}.csv", hashlib.sha256(content).hexdigest()
    listed = {"name": name, "rows": content.count(b"\n") - 1, "sha256": digest} | overrides.pop("file", {})
    return orjson.dumps({"agency": "investigation", "date": f"2025-11-{day:02d}", "files": [listed]} | overrides)


def signed(content: bytes, signer: Ed25519PrivateKey = SIGNER) -> bytes:
    return base64.b64encode(signer.sign(content))


def drop(day: int, **overrides: Any) -> tuple[bytes, ...]:
    """A day's file, manifest and signature."""
    content = file(day)
    listed = manifest(day, content, **overrides)
    return content, listed, signed(listed)


def dropped(folder: Path, *days: int) -> str:
    for day in days:
        for ending, part in zip((".csv", ".manifest.json", ".manifest.sig"), drop(day), strict=True):
            (folder / f"cases_202511{day:02d}{ending}").write_bytes(part)
    return folder.as_uri()


def fetched(url: str, start: str, end: str, key: str | None = KEY) -> tuple[bytes, ...]:
    (delivery,) = FEED.fetch(request(FEED.name, url, start, end, public_key=key))
    return delivery.parts


def read(url: str, start: str, end: str) -> list[str]:
    parts = fetched(url, start, end)
    assert FEED.inspect is not None
    FEED.inspect(parts, SOURCE, datetime.fromisoformat(start), datetime.fromisoformat(end))
    return FEED.parse(parts)["사건번호"].str.slice(5, 8).to_list() if parts else []


def verify(*parts: bytes) -> None:
    assert FEED.inspect is not None
    FEED.inspect(parts, SOURCE, START, END)


def test_a_drop_is_stored_as_its_three_files_byte_for_byte(tmp_path: Path) -> None:
    url = dropped(tmp_path, 1, 2)
    assert fetched(url, START.isoformat(), END.isoformat()) == (*drop(1), *drop(2))
    verify(*drop(1), *drop(2))


def test_any_slice_of_the_parts_returns_the_rows_of_its_files() -> None:
    parts = (*drop(1), *drop(2))
    both = FEED.parse(parts)
    assert both.height == 2
    for cut in range(len(parts) + 1):
        pieces = [frame for some in (parts[:cut], parts[cut:]) if not (frame := FEED.parse(some)).is_empty()]
        assert pl.concat(pieces).equals(both)


ALTERED = file(2, case(사건번호="수사11-20251102-0001", 범죄분류="기타"))
WRONG: dict[str, tuple[Callable[[], tuple[bytes, ...]], str]] = {
    "no signature": (lambda: (*drop(1), *drop(2)[:2]), "delivery of 2025-11-02 is unsigned"),
    "no signature in the middle": (lambda: (*drop(1)[:2], *drop(2)), "delivery of 2025-11-01 is unsigned"),
    "no manifest": (lambda: (*drop(1), drop(2)[0], drop(2)[2]), "delivery of 2025-11-02 is unsigned"),
    "the file alone": (lambda: (*drop(1), drop(2)[0]), "delivery of 2025-11-02 is unsigned"),
    "a signature that is none": (lambda: (*drop(1), *drop(2)[:2], b"signed"), "delivery of 2025-11-02 is unsigned"),
    "another key": (lambda: (*drop(1), *drop(2)[:2], signed(drop(2)[1], STRANGER)), "not have a valid signature"),
    "altered manifest": (lambda: (*drop(1), drop(2)[0], drop(2)[1] + b" ", drop(2)[2]), "not have a valid sig"),
    "altered file": (lambda: (*drop(1), ALTERED, *drop(2)[1:]), r"cases_20251102\.csv differs from the signed file"),
    "wrong number of rows": (lambda: (*drop(1), *drop(2, file={"rows": 7})), "has 1 rows but its manifest states 7"),
    "replayed day": (lambda: (*drop(1), *drop(1)), r"expected cases_20251102\.csv, .*2025-11-01"),
    "a day outside the window": (lambda: (*drop(1), *drop(9)), r"expected cases_20251102\.csv, .*2025-11-09"),
    "days in the wrong order": (lambda: (*drop(2), *drop(1)), r"expected cases_20251101\.csv"),
    "a day too many": (lambda: (*drop(1), *drop(2), *drop(3)), "3 drops received for 2 days"),
    "a day too few": (lambda: drop(1), "1 drops received for 2 days .2025-11-01 to 2025-11-02"),
    "another agency": (lambda: (*drop(1), *drop(2, agency="police")), "signed for police"),
    "another file": (lambda: (*drop(1), *drop(2, file={"name": "x.csv"})), "'x.csv'"),
    "a manifest of another form": (lambda: (*drop(1), *drop(2, more=1)), "not have the agreed format"),
}


@pytest.mark.parametrize(("parts", "reason"), WRONG.values(), ids=WRONG)
def test_a_drop_that_differs_from_its_signature_is_rejected(
    parts: Callable[[], tuple[bytes, ...]], reason: str
) -> None:
    with pytest.raises(FeedError, match=reason):
        verify(*parts())


@pytest.mark.parametrize("key", [None, "", "not base64", base64.b64encode(b"short").decode()], ids=str)
def test_a_signed_feed_fails_without_a_key(tmp_path: Path, key: str | None) -> None:
    url = dropped(tmp_path, 1, 2)
    with pytest.raises(FeedError, match="set public_key"):
        fetched(url, START.isoformat(), END.isoformat(), key=key)


def test_a_bad_drop_is_stored_and_rejected_and_its_replacement_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "agency"
    folder.mkdir()
    monkeypatch.setenv("BONGSU_URL_INVESTIGATION_CASES", dropped(folder, 1, 2))
    (folder / "cases_20251102.manifest.sig").unlink()
    profile = KOREA.model_copy(update={"feeds": {FEED.name: SOURCE}})
    settings = Settings(profile=profile, home=tmp_path / "home", as_of=END)

    def run() -> tuple[list[accounting.Accounting], Any]:
        fetch.fetch_window(settings, FEED, (START, END), lambda what: None)
        with warehouse.connect(settings) as con:
            done = loading.load_pending(con, settings, FEED)
            (loaded,) = con.execute("select count(*) from raw.investigation_cases").fetchall()[0]
            (through,) = con.execute("select max(fetched_through_at) from ops.cursors").fetchall()[0]
            return done, (loaded, through)

    (first,), state = run()
    assert first.verdict != "accepted" and "2025-11-02 is unsigned" in first.message
    assert state == (0, None), "nothing is loaded and the cursor stays"
    dropped(folder, 2)
    done, state = run()
    assert [account.loaded for account in done if account.verdict == "accepted"] == [2]
    assert state == (2, END)


def test_a_window_contains_the_files_of_the_days_that_end_in_it(tmp_path: Path) -> None:
    url = dropped(tmp_path, 1, 2, 3)
    assert read(url, "2025-11-01T20:15:00+00:00", "2025-11-02T20:15:00+00:00") == ["20251102"]
    assert read(url, "2025-10-31T20:15:00+00:00", "2025-11-03T20:15:00+00:00") == ["20251101", "20251102", "20251103"]


def test_the_file_of_a_day_belongs_to_one_window_even_when_windows_meet_at_midnight(tmp_path: Path) -> None:
    url = dropped(tmp_path, 1, 2)
    assert read(url, "2025-11-01T10:00:00+00:00", "2025-11-01T15:00:00+00:00") == ["20251101"]
    assert read(url, "2025-11-01T15:00:00+00:00", "2025-11-02T15:00:00+00:00") == ["20251102"]
    assert read(url, "2025-11-01T15:00:00+00:00", "2025-11-01T16:00:00+00:00") == []


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    url = dropped(tmp_path, 1, 3)
    with pytest.raises(FeedError, match=r"cases_20251102\.csv cannot be read"):
        read(url, "2025-10-31T20:15:00+00:00", "2025-11-03T20:15:00+00:00")


def test_a_day_without_changes_has_a_header_only() -> None:
    assert FEED.parse([HEADER.encode("cp949")]).is_empty()
    both = FEED.parse([HEADER.encode("cp949"), (HEADER + ",".join(case().values()) + "\r\n").encode("cp949")])
    assert both.row(0, named=True) == case()


def test_a_file_that_is_not_cp949_fails_the_batch() -> None:
    with pytest.raises(ValueError, match="cp949"):
        FEED.parse([b"\xff\xfe\x00"])


def test_a_case_has_a_province_and_no_location() -> None:
    cases = staged(case())
    assert cases.columns == list(sql_types("staging.incidents"))
    row = cases.row(0, named=True)
    assert (row["lon"], row["lat"], row["location_quality"], row["named_area_id"]) == (None, None, "withheld", "11")
    assert (row["occurred_at"], row["is_discovered"]) == (None, None)
    assert row["reported_at"] == datetime(2025, 10, 31, 15, 0, tzinfo=UTC)


def test_a_case_keeps_its_first_closing_time_as_known_then() -> None:
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


def test_a_withdrawn_case_is_removed() -> None:
    assert staged(case(), case(삭제여부="Y", 진행상태="취소", 변경일시="2025-11-02 10:00:00")).is_empty()


@pytest.mark.parametrize(
    "fault",
    [{"사건번호": None}, {"접수일": "11/1"}, {"변경일시": "어제"}, {"시도코드": "서울"}, {"삭제여부": None}],
    ids=str,
)
def test_a_bad_row_is_quarantined_with_a_reason_and_the_valid_one_is_kept(fault: dict[str, Any]) -> None:
    verdict = load(memory(), FEED, rows(FEED, case(), case(**fault)))
    assert verdict.accepted["_row"].to_list() == [0]
    assert set(verdict.failures["_row"]) == {1}
