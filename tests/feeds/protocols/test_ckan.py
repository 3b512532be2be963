"""CKAN datastores: packages and resources, paging, and the check of the total against the rows received."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import ckan
from pipelines.schema.delivery import Delivery
from tests.feeds.portal import END, request
from tests.replay import running

RESOURCE = "11111111-2222-3333-4444-555555555555"


def page(*records: Mapping[str, Any], total: int) -> dict[str, Any]:
    return {"success": True, "result": {"records": list(records), "total": total}}


@contextmanager
def portal(
    pages: Mapping[int, Mapping[str, Any]], resources: list[Mapping[str, Any]] | None = None
) -> Iterator[tuple[str, list[tuple[str, Mapping[str, str]]]]]:
    seen: list[tuple[str, Mapping[str, str]]] = []

    def answer(path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        action = path.removeprefix("/api/3/action/")
        seen.append((action, query))
        if action == "package_show":
            return 200, {}, orjson.dumps({"success": True, "result": {"resources": resources or []}})
        return 200, {}, orjson.dumps(pages[int(query["offset"])])

    with running(answer) as base:
        yield base, seen


def fetch(url: str, **source: Any) -> Delivery:
    (delivery,) = ckan.fetch(request("toronto_fire_incidents", url, **{"resource": RESOURCE, "page_size": 2} | source))
    return delivery


def test_pages_are_read_until_the_total_is_reached() -> None:
    pages = {0: page({"_id": 1}, {"_id": 2}, total=3), 2: page({"_id": 3}, total=3)}
    with portal(pages) as (url, seen):
        delivery = fetch(url)
    assert delivery.parts == tuple(orjson.dumps(p) for p in pages.values())  # byte for byte
    assert (delivery.window_start, delivery.window_end) == (None, END)
    assert [(action, q["resource_id"], q["limit"], q["offset"], q["sort"]) for action, q in seen] == [
        ("datastore_search", RESOURCE, "2", "0", "_id"),
        ("datastore_search", RESOURCE, "2", "2", "_id"),
    ]


def test_reading_continues_when_a_page_has_fewer_rows_than_requested() -> None:
    pages = {n: page({"_id": n + 1}, total=3) for n in range(3)}
    with portal(pages) as (url, _):
        assert ckan.parse(fetch(url, page_size=100).parts)["_id"].to_list() == [1, 2, 3]


def test_a_package_name_resolves_to_its_first_datastore_resource() -> None:
    resources = [{"id": "a file", "datastore_active": False}, {"id": RESOURCE, "datastore_active": True}]
    with portal({0: page(total=0)}, resources) as (url, seen):
        fetch(url, resource="fire-incidents")
    assert seen[0] == ("package_show", {"id": "fire-incidents"}) and seen[1][1]["resource_id"] == RESOURCE


def test_a_package_without_a_datastore_resource_is_reported() -> None:
    with portal({}) as (url, _), pytest.raises(FeedError, match="'fire-incidents' has no datastore resource"):
        fetch(url, resource="fire-incidents")


def test_a_feed_without_a_resource_reports_what_to_set() -> None:
    with pytest.raises(FeedError, match="set `resource`"):
        fetch("http://127.0.0.1:1", resource=None)


@pytest.mark.parametrize(
    "pages",
    [
        {0: page({"_id": 1}, total=2), 1: page(total=2)},
        {0: page({"_id": 1}, {"_id": 2}, total=3), 2: page({"_id": 3}, {"_id": 4}, total=4)},
    ],
)
def test_a_table_that_changes_while_it_is_read_is_rejected(pages: dict[int, dict[str, Any]]) -> None:
    with portal(pages) as (url, _), pytest.raises(FeedError, match="changed while it was read"):
        fetch(url)


def test_a_reported_failure_is_an_error_despite_status_200() -> None:
    failed = {"success": False, "error": {"message": "Not found: Resource was not found."}}
    with portal({0: failed}) as (url, _), pytest.raises(FeedError, match="Resource was not found"):
        fetch(url)


def test_parse_keeps_columns_unchanged_and_writes_nested_values_as_json() -> None:
    point = {"type": "Point", "coordinates": [-79.4, 43.7]}
    frame = ckan.parse([orjson.dumps(page({"_id": 1, "geometry": point}, {"_id": 2, "geometry": None}, total=2))])
    assert frame["_id"].to_list() == [1, 2]
    assert orjson.loads(frame["geometry"][0]) == point


def test_no_records_give_an_empty_frame() -> None:
    assert ckan.parse([orjson.dumps(page(total=0))]).is_empty()
