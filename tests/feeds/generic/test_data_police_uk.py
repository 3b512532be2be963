"""data.police.uk: whole months of a polygon or a force, moved points, months kept after the API drops them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.config.profile import ProfileError
from pipelines.config.settings import Settings
from pipelines.feeds.feed import FeedError, conform
from pipelines.feeds.protocols import http
from pipelines.ingest import fetch
from pipelines.ingest import load as loading
from pipelines.monitoring import alerts, feed_volume, status
from pipelines.schema.dictionary import sql_types
from pipelines.steps.status import current_release
from pipelines.store import warehouse
from tests import replay
from tests.feeds.cities import feed_of, memory, place, received, request, staged
from tests.feeds.portal import as_of
from tests.release.conftest import create_all

NAME = "cambridge_crimes"


def crime(**overrides: Any) -> dict[str, Any]:
    known = {
        "category": "burglary",
        "location_type": "Force",
        "location": {"latitude": "52.20", "longitude": "0.12", "street": {"id": 1, "name": "On or near Mill Road"}},
        "context": "",
        "outcome_status": {"category": "Under investigation", "date": "2026-06"},
        "persistent_id": "a" * 64,
        "id": 116_208_998,
        "location_subtype": "",
        "month": "2026-05",
    }
    return known | overrides


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def api(months: Mapping[str, list[dict[str, Any]]], requests: list[tuple[str, Mapping[str, str]]] | None = None) -> Any:
    """The API with some months of crimes."""

    def answer(path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if requests is not None:
            requests.append((path, query))
        if path == "/crimes-street-dates":
            return 200, {}, orjson.dumps([{"date": month, "stop-and-search": []} for month in reversed(months)])
        return 200, {}, orjson.dumps(months[query["date"]])

    return answer


def test_every_month_that_the_api_serves_is_one_part_of_one_delivery() -> None:
    profile = place(NAME)
    requests: list[tuple[str, Mapping[str, str]]] = []
    with replay.running(api({"2026-04": [], "2026-05": [crime()]}, requests)) as url:
        (delivery,) = feed_of(profile).fetch(request(profile, url))
    assert [orjson.loads(part) for part in delivery.parts] == [[], [crime()]]
    assert delivery.window_start is None
    path, query = requests[1]
    assert path == "/crimes-street/all-crime" and query["poly"].startswith("52.24,0.07:")


def test_crimes_without_location_are_requested_by_force() -> None:
    profile = place(NAME, resource="leicestershire")
    requests: list[tuple[str, Mapping[str, str]]] = []
    with replay.running(api({"2026-05": [crime(location=None)]}, requests)) as url:
        list(feed_of(profile).fetch(request(profile, url)))
    wanted = {"category": "all-crime", "force": "leicestershire", "date": "2026-05"}
    assert requests[1] == ("/crimes-no-location", wanted)


@pytest.mark.parametrize("named", ["", "Cambridge", "52.24,0.07:52.24,0.18", "52.24;0.07", "a&b"])
def test_a_resource_that_is_neither_polygon_nor_force_is_rejected(named: str) -> None:
    with pytest.raises(ProfileError, match="must be a polygon"):
        feed_of(place(NAME, resource=named))


def test_an_answer_that_is_not_a_list_of_crimes_is_rejected() -> None:
    profile = place(NAME)
    with (
        replay.running(lambda path, query: (200, {}, b'{"error": "x"}')) as url,
        pytest.raises(FeedError, match="list"),
    ):
        list(feed_of(profile).fetch(request(profile, url)))
    with replay.running(api({"May": []})) as url, pytest.raises(FeedError, match="lists the months"):
        list(feed_of(profile).fetch(request(profile, url)))


def failing(statuses: Mapping[str, int], months: int = 6, **overrides: Any) -> Any:
    """The API with some months that it answers with a status."""
    names = [f"2026-{number:02}" for number in range(1, months + 1)]
    whole = api({month: [crime(month=month, **overrides)] for month in names})

    def answer(path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if status := statuses.get(query.get("date", "")):
            return status, {}, b"error"
        answered: tuple[int, Mapping[str, str], bytes] = whole(path, query)
        return answered

    return answer


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_month_that_the_api_does_not_give_keeps_its_last_version(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http, "_sleep", lambda _: None)
    profile = place(NAME)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime(month="2026-02", category="robbery"), crime(month="2026-03"))
    with replay.running(failing({"2026-02": status})) as url:
        (delivery,) = feed.fetch(request(profile, url))
    received(con, feed, *(row for part in delivery.parts for row in orjson.loads(part)), day=2)
    months = {(row["occurred_at"].month, row["source_category"]) for row in staged(con, feed)}
    assert months == {(2, "robbery"), *((month, "burglary") for month in (1, 3, 4, 5, 6))}
    assert "the month 2026-02 was not read and keeps its last version" in caplog.text
    assert f"keep their last version, if there is one: 2026-02 (status {status}" in delivery.note
    for words in (caplog.text, delivery.note):
        assert ("divide the polygon" in words) == (status == 503)


def test_a_month_that_is_answered_with_a_page_in_html_is_missing_like_one_with_a_bad_status() -> None:
    whole = failing({})

    def answer(path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        page = 200, {"Content-Type": "text/html"}, b"<!doctype html><title>Maintenance</title>"
        return page if query.get("date") == "2026-04" else whole(path, query)

    profile = place(NAME)
    with replay.running(answer) as url:
        (delivery,) = feed_of(profile).fetch(request(profile, url))
    assert len(delivery.parts) == 5 and "2026-04 (an unusable answer: see the run's log)" in delivery.note


def test_a_month_that_is_answered_with_the_crimes_of_another_one_is_missing() -> None:
    def answer(path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        return failing({})(path, {"date": "2026-03"} if query.get("date") == "2026-04" else query)  # type: ignore[no-any-return]

    profile = place(NAME)
    with replay.running(answer) as url:
        (delivery,) = feed_of(profile).fetch(request(profile, url))
    assert len(delivery.parts) == 5 and "2026-04" in delivery.note


def test_a_delivery_with_every_month_has_no_note() -> None:
    profile = place(NAME)
    with replay.running(failing({})) as url:
        (delivery,) = feed_of(profile).fetch(request(profile, url))
    assert delivery.note == ""


def test_the_missing_months_are_in_the_message_of_the_batch_and_in_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_sleep", lambda _: None)
    profile = place(NAME)
    feed = feed_of(profile)
    settings = Settings(home=tmp_path, profile=profile, as_of=utc("2026-10-01 05:15"))
    messages = []
    for day, statuses in enumerate(({"2026-02": 404}, {})):
        later = settings.model_copy(update={"as_of": settings.as_of + timedelta(days=day)})
        with replay.running(failing(statuses, location=None)) as url, warehouse.connect(later) as con:
            monkeypatch.setenv(f"BONGSU_URL_{NAME.upper()}", url)
            fetch.fetch(later, feed, lambda _: None)
            (account,) = loading.load_pending(con, later, feed)
            con.execute("create or replace temporary table batches as from ops.batches")
            create_all(con)
            con.execute("insert into ops.batches from batches")
            alerts.keep(later, alerts.gather(con, pl.DataFrame(schema=feed_volume.SCHEMA)))
        messages.append((account.verdict, account.loaded, account.message))
        notes = status.status(later, later.as_of, current_release(later)).notes
        assert [note for note in notes if "2026-02 (status 404)" in note] == (
            [f"{NAME}: {account.message}"] * (day == 0)
        )
    assert [(verdict, loaded) for verdict, loaded, _ in messages] == [("accepted", 5), ("accepted", 1)]
    assert "2026-02 (status 404)" in messages[0][2] and messages[1][2] == ""


@pytest.mark.parametrize(("failed", "months"), [(4, 6), (1, 1), (2, 2)])
def test_many_failed_months_or_all_of_them_refuse_the_delivery(
    failed: int, months: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_sleep", lambda _: None)
    statuses = {f"2026-{number:02}": 500 for number in range(1, failed + 1)}
    with (
        replay.running(failing(statuses, months)) as url,
        pytest.raises(FeedError, match=f"{failed} of {months} months were not read, first 2026-01: .*status 500"),
    ):
        list(feed_of(place(NAME)).fetch(request(place(NAME), url)))


def test_a_polygon_too_long_for_a_url_is_sent_by_post() -> None:
    polygon = ":".join(f"52.{2000 + number},0.{1000 + number}" for number in range(400))
    profile = place(NAME, resource=polygon)
    requests: list[tuple[str, Mapping[str, str]]] = []
    with replay.running(api({"2026-05": [crime()]}, requests)) as url:
        list(feed_of(profile).fetch(request(profile, url)))
    assert requests[1] == ("/crimes-street/all-crime", {"poly": polygon, "date": "2026-05"})


@pytest.mark.parametrize("stated", [None, False, True])
def test_whether_crimes_were_discovered_is_what_the_profile_states(stated: bool | None) -> None:
    profile = place(NAME, is_discovered=stated)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime())
    assert [row["is_discovered"] for row in staged(con, feed)] == [stated]


def test_occurrence_is_bounded_by_the_month_and_known_after_the_delay() -> None:
    profile = place(NAME).model_copy(update={"time_zone": "Europe/London"})
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime())
    (row,) = staged(con, feed)
    assert list(row) == list(sql_types("staging.incidents"))
    # British summer time on both ends.
    assert (row["occurred_at"], row["occurred_until"]) == (utc("2026-04-30 23:00"), utc("2026-05-31 23:00"))
    assert row["known_at"] == utc("2026-07-30 23:00")  # sixty days after the month
    assert (row["lon"], row["lat"], row["location_quality"], row["is_discovered"]) == (0.12, 52.2, "snapped", None)
    as_of(con, "2026-07-30 22:59:59+00")
    assert staged(con, feed) == []


def test_a_crime_without_location_is_kept() -> None:
    profile = place(NAME)
    con, feed = memory(profile), feed_of(profile)
    assert received(con, feed, crime(location=None), crime(month="2026-04")) == [0, 1]
    assert sorted(row["location_quality"] for row in staged(con, feed)) == ["none", "snapped"]


def test_equal_rows_without_a_persistent_id_are_separate_crimes() -> None:
    profile = place(NAME)
    con, feed = memory(profile), feed_of(profile)
    nuisance = {"category": "anti-social-behaviour", "persistent_id": "", "outcome_status": None}
    received(con, feed, crime(**nuisance), crime(**nuisance | {"id": 2}))
    first = staged(con, feed)
    received(con, feed, crime(**nuisance | {"id": 3}), crime(**nuisance | {"id": 4}), day=2)
    assert staged(con, feed) == first and len(first) == 2


def test_the_id_of_the_api_is_not_reported_as_an_undeclared_column_and_a_new_one_is() -> None:
    feed = feed_of(place(NAME))
    for row, extra in ((crime(), None), (crime(weapon="none"), '{"weapon":"none"}')):
        assert conform(feed, feed.parse([orjson.dumps([row])]))["_extra"].to_list() == [extra]


def test_a_month_is_taken_from_the_newest_delivery_that_contains_it() -> None:
    profile = place(NAME)
    con, feed = memory(profile), feed_of(profile)
    received(con, feed, crime(month="2026-03"), crime(month="2026-04"), crime(month="2026-04", category="drugs"))
    received(con, feed, crime(month="2026-04", category="robbery"), crime(month="2026-05"), day=2)
    months = {(row["occurred_at"].month, row["source_category"]) for row in staged(con, feed)}
    assert months == {(3, "burglary"), (4, "robbery"), (5, "burglary")}


def test_parsing_months_separately_or_together_gives_the_same_rows() -> None:
    feed = feed_of(place(NAME))
    months = [[crime()], [], [crime(outcome_status=None, location=None)], [crime(location_subtype=None, id="x")]]
    parts = [orjson.dumps(month) for month in months]
    whole = [row for part in parts for row in conform(feed, feed.parse([part])).drop("_extra").rows()]
    assert conform(feed, feed.parse(parts)).drop("_extra").rows() == whole and len(whole) == 3


@pytest.mark.parametrize(
    "fault",
    [{"month": "2026"}, {"month": None}, {"category": None}, {"location": {"latitude": "x", "longitude": "0"}}],
    ids=str,
)
def test_a_row_that_staging_cannot_read_is_quarantined(fault: dict[str, Any]) -> None:
    profile = place(NAME)
    con, feed = memory(profile), feed_of(profile)
    assert received(con, feed, crime(), crime(**fault)) == [0]


def test_crimes_are_counted_as_dated_by_month() -> None:
    profile = place(NAME)
    con, feed = memory(profile), feed_of(profile)
    # February is the shortest month, and clocks change in March.
    received(con, feed, *(crime(month=f"2026-{month:02}") for month in (2, 3, 5)))
    staged(con, feed)
    con.execute("create schema if not exists marts")
    warehouse.run_selects(con, "marts", {"untimed_records": warehouse.selects("marts")["untimed_records"]})
    assert con.execute("from marts.untimed_records").fetchall() == [(NAME, 3, 3, 3)]
