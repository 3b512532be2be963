"""The list of 112 call numbers: complete or rejected; missing calls are withdrawn only if the list is accepted."""

import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import orjson
import polars as pl
import pytest

from pipelines.config import paths
from pipelines.feeds import police_112, police_112_keys
from pipelines.feeds.feed import FeedError
from pipelines.feeds.police_112_keys import FEED
from pipelines.feeds.protocols import http
from pipelines.quality import suites
from pipelines.store import warehouse
from tests.feeds.korea import memory, request
from tests.feeds.portal import as_of, load, rows, stage
from tests.feeds.test_police_112 import call

LISTED = datetime(2025, 11, 4, 20, 15, tzinfo=UTC)
WEEK = timedelta(days=7)
NUMBERS = [f"20251101-{number:06d}" for number in range(1, 101)]


def page(keys: Sequence[str], number: int = 1, total: int | None = None, **other: Any) -> bytes:
    total = len(keys) if total is None else total
    listed = {"page": number, "pages": 1, "total": total, "listed_at": "2025-11-05T05:15:00+09:00", "keys": keys}
    return orjson.dumps(listed | other)


def inspected(*parts: bytes) -> None:
    police_112_keys.inspect(parts, request("police_112", "", "2025-11-01", "2025-11-02").source, None, LISTED)


def test_a_list_is_dated_by_its_source_and_not_by_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    queries: list[dict[str, Any]] = []

    def answer(url: str, wanted: dict[str, Any], **_: object) -> bytes:
        queries.append(wanted)
        return page(NUMBERS)

    monkeypatch.setattr(http, "get", answer)
    wanted = request("police_112", "http://police", "2025-01-01T00:00+00:00", "2025-11-05T00:00+00:00", span_days=30)
    (delivery,) = FEED.fetch(wanted)
    assert (delivery.window_start, delivery.window_end) == (None, LISTED)
    assert queries[0]["reported_from"] == "2025-10-06T00:00:00+00:00"
    assert FEED.parse(delivery.parts)["incident_no"].to_list() == NUMBERS


def test_a_slice_of_pages_gives_the_rows_of_those_pages() -> None:
    parts = [page(["20251101-000001"], 1, 2), page(["20251101-000002"], 2, 2)]
    assert pl.concat([FEED.parse(parts[:1]), FEED.parse(parts[1:])]).equals(FEED.parse(parts))
    assert FEED.parse([]).schema == FEED.columns and FEED.parse([page([])]).is_empty()


@pytest.mark.parametrize(
    "parts",
    [
        [page([])],
        [page(NUMBERS[:50], total=100)],
        [page(NUMBERS[:50], 1, 100), page(NUMBERS[50:], 3, 100)],
        [page(NUMBERS[:50], 1, 100), page(NUMBERS[:50], 2, 100)],
        [page(NUMBERS[:50], 1, 100), page(NUMBERS[50:], 2, 101)],
        [page(NUMBERS, listed_at="2025-11-05T05:15:00")],
        [b'{"page":1,"total":1,"listed_at":"2025-11-05T05:15:00+09:00"}'],
    ],
    ids=["empty", "cut", "page missing", "page repeated", "total changed", "no offset", "no keys"],
)
def test_an_incomplete_list_is_rejected(parts: list[bytes]) -> None:
    with pytest.raises(FeedError, match="police_112_keys"):
        inspected(*parts)
    inspected(page(NUMBERS[:50], 1, 100), page(NUMBERS[50:], 2, 100))


def test_a_list_of_many_numbers_is_checked_in_little_memory() -> None:
    count = 300_000
    parts = [
        page([f"20251101-{number:06d}" for number in range(at, at + 5000)], at // 5000 + 1, count)
        for at in range(0, count, 5000)
    ]
    tracemalloc.start()
    inspected(*parts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * count


def accept_all(name: str, frame: pl.DataFrame) -> suites.Verdict:
    """The suite has its own tests; here it would take most of the time."""
    return suites.Verdict(frame, pl.DataFrame(schema=suites.FAILURES), pl.DataFrame(schema=suites.RESULTS))


@pytest.fixture
def con(monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """A hundred calls of one day, all known before the first list."""
    monkeypatch.setattr(suites, "validate_rows", accept_all)
    con = memory()
    con.execute("alter table reference.feeds add column max_missing_share double default 0.05")
    load(con, police_112.FEED, rows(police_112.FEED, *(call(incident_no=number) for number in NUMBERS)))
    as_of(con, (LISTED + 4 * WEEK).isoformat())
    yield con


def listed(con: duckdb.DuckDBPyConnection, *without: str, at: datetime = LISTED) -> None:
    keys = [number for number in NUMBERS if number not in without] + [f"{at:%Y%m%d}-000001"]
    keys += [] if "20251031-000009" in without else ["20251031-000009"]
    load(con, FEED, pl.DataFrame({"incident_no": keys}), at)


def missing(con: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    for name in ("police_112", "police_112_lists", "police_112_missing"):
        stage(con, name)
    missing = con.execute("select incident_id, missing_at from staging.police_112_missing").fetchall()
    return {name.removeprefix("police_112:"): at.astimezone(UTC) for name, at in missing}


GONE = NUMBERS[41]


def test_a_number_that_the_newest_list_lacks_is_missing_since_the_first_list_without_it(
    con: duckdb.DuckDBPyConnection,
) -> None:
    listed(con)
    assert missing(con) == {}
    listed(con, GONE, at=LISTED + WEEK)
    listed(con, GONE, at=LISTED + 2 * WEEK)
    assert missing(con) == {GONE: LISTED + WEEK}


def test_the_order_of_arrival_of_lists_does_not_matter(con: duckdb.DuckDBPyConnection) -> None:
    for week, without in ((2, (GONE,)), (0, ()), (1, (GONE,))):
        listed(con, *without, at=LISTED + week * WEEK)
    assert missing(con) == {GONE: LISTED + WEEK}


def test_a_number_that_returns_is_current_again(con: duckdb.DuckDBPyConnection) -> None:
    listed(con, GONE)
    listed(con, at=LISTED + WEEK)
    assert missing(con) == {}


def test_a_later_list_does_not_change_what_was_known_before(con: duckdb.DuckDBPyConnection) -> None:
    listed(con)
    listed(con, GONE, at=LISTED + WEEK)
    as_of(con, (LISTED + WEEK - timedelta(minutes=1)).isoformat())
    assert missing(con) == {}


def test_a_record_that_changed_after_the_list_stays_current(con: duckdb.DuckDBPyConnection) -> None:
    listed(con, GONE)
    changed = call(incident_no=GONE, category="폭력", updated_at="2025-11-06T00:00:00+09:00")
    load(con, police_112.FEED, rows(police_112.FEED, changed))
    assert missing(con) == {}


def test_a_list_implies_nothing_about_numbers_outside_its_span(con: duckdb.DuckDBPyConnection) -> None:
    listed(con, GONE, "20251031-000009")
    assert missing(con) == {}, "of the first day a list may tell a part"


def test_a_list_missing_too_many_numbers_is_ignored_for_the_previous_one(
    con: duckdb.DuckDBPyConnection,
) -> None:
    listed(con, GONE)
    listed(con, *NUMBERS[20:60], at=LISTED + WEEK)
    assert missing(con) == {GONE: LISTED}
    believed = con.execute(
        "select missing_keys, is_accepted from staging.police_112_lists order by snapshot"
    ).fetchall()
    assert believed == [(1, True), (40, False)]


def test_numbers_with_equal_duckdb_hashes_are_distinguished(con: duckdb.DuckDBPyConnection) -> None:
    numbers = [f"202511{day:02d}-110000{number:02d}" for day in range(1, 31) for number in range(1, 100)]
    frame = pl.DataFrame({"incident_no": numbers})
    con.register("numbers", frame.to_arrow())
    assert con.execute("select count(distinct hash(incident_no)) < count(*) from numbers").fetchall() == [(True,)]
    load(con, FEED, frame, LISTED)
    load(con, FEED, frame.slice(1), LISTED + WEEK)
    last = f"select incident_no from raw.police_112_keys where _last_snapshot < '{LISTED + WEEK:%Y-%m-%d}'"
    assert con.execute(last).fetchall() == [(numbers[0],)]


def test_the_models_of_lists_and_missing_calls_are_in_build_order(con: duckdb.DuckDBPyConnection) -> None:
    text = (paths.SQL / "staging" / "police_112_missing.sql").read_text("utf-8")
    assert "staging.police_112_lists" in warehouse.references(con, text)
