"""CKAN datastores: packages and resources, paging, and the check of the total against the rows received."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass
class Portal:
    """A resource that answers searches; ``changes`` happen before the search of that number."""

    ids: list[int]
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    changes: Mapping[int, Callable[[list[int]], list[int]]] = field(default_factory=dict)
    longest: int = 1000
    totals: Mapping[int, int] = field(default_factory=dict)
    """Totals that the portal states in the search of that number, if they are wrong."""
    modified: Mapping[int, str] = field(default_factory=dict)
    """Times of modification by number of searches before; none where the portal does not know `resource_show`."""
    seen: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        action = path.removeprefix("/api/3/action/")
        self.seen.append((action, query))
        if action == "package_show":
            return 200, {}, orjson.dumps({"success": True, "result": {"resources": self.resources}})
        searches = len([name for name, _ in self.seen if name == "datastore_search"])
        if action == "resource_show":
            known = {"success": bool(self.modified), "result": {"last_modified": self.modified.get(searches)}}
            return (200 if self.modified else 404), {}, orjson.dumps(known)
        self.ids = self.changes.get(searches, lambda ids: ids)(self.ids)
        first, limit = int(query.get("offset", 0)), min(int(query["limit"]), self.longest)
        records = [{"_id": number} for number in sorted(self.ids)[first : first + limit]]
        return 200, {}, orjson.dumps(page(*records, total=self.totals.get(searches, len(self.ids))))


@contextmanager
def portal(answered: Mapping[str, Any]) -> Iterator[str]:
    """A portal that gives one answer to every request."""
    with running(lambda _path, _query: (200, {}, orjson.dumps(answered))) as base:
        yield base


def fetched(served: Portal, **source: Any) -> Delivery:
    with running(served.answer) as base:
        return fetch(base, **source)


def read(served: Portal, **source: Any) -> list[int]:
    frame = ckan.parse(fetched(served, **source).parts)
    return frame["_id"].to_list() if frame.width else []


def fetch(url: str, **source: Any) -> Delivery:
    (delivery,) = ckan.fetch(request("toronto_fire_incidents", url, **{"resource": RESOURCE, "page_size": 2} | source))
    return delivery


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 40])
@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("longest", [2, 1000])
def test_every_record_is_read_once(rows: int, size: int, longest: int) -> None:
    ids = list(range(1, rows + 1))
    assert read(Portal(ids, longest=longest), page_size=size) == ids


def test_pages_are_requested_in_the_order_of_rows() -> None:
    served = Portal([1, 2, 3])
    delivery = fetched(served)
    assert (delivery.window_start, delivery.window_end) == (None, END)
    pages = [query for action, query in served.seen if "sort" in query]
    assert [(query["resource_id"], query["limit"], query["sort"]) for query in pages] == [(RESOURCE, "2", "_id")] * 2


def test_a_package_name_resolves_to_its_first_datastore_resource() -> None:
    resources = [{"id": "a file", "datastore_active": False}, {"id": RESOURCE, "datastore_active": True}]
    served = Portal([], resources)
    fetched(served, resource="fire-incidents")
    assert served.seen[0] == ("package_show", {"id": "fire-incidents"})
    assert served.seen[1] == ("resource_show", {"id": RESOURCE})
    assert served.seen[2][1]["resource_id"] == RESOURCE


def test_a_package_without_a_datastore_resource_is_reported() -> None:
    with pytest.raises(FeedError, match="'fire-incidents' has no datastore resource"):
        fetched(Portal([]), resource="fire-incidents")


def test_a_feed_without_a_resource_reports_what_to_set() -> None:
    with pytest.raises(FeedError, match="set `resource`"):
        fetch("http://127.0.0.1:1", resource=None)


def test_a_resource_that_changes_once_is_read_again() -> None:
    served = Portal([1, 2, 3, 4, 5], changes={3: lambda ids: [number for number in ids if number != 1]})
    assert read(served) == [2, 3, 4, 5]


def test_a_resource_published_again_with_as_many_rows_is_read_again() -> None:
    served = Portal([1, 2, 3], modified={0: "Monday", 3: "Tuesday", 6: "Tuesday"})
    assert read(served) == [1, 2, 3]
    assert len([action for action, _ in served.seen if action == "datastore_search"]) == 6


def test_a_resource_whose_totals_disagree_is_refused_after_three_attempts() -> None:
    served = Portal([1, 2, 3], totals={number: 4 for number in range(2, 20, 2)})
    with pytest.raises(FeedError, match="changed while it was read, in each of 3 attempts; nothing was stored"):
        fetched(served)


def test_a_resource_of_more_rows_than_the_profile_allows_is_refused() -> None:
    with pytest.raises(FeedError, match="states 3 rows, more than the 2 of max_rows: raise max_rows"):
        read(Portal([1, 2, 3]), max_rows=2)


def test_a_reported_failure_is_an_error_despite_status_200() -> None:
    failed = {"success": False, "error": {"message": "Not found: Resource was not found."}}
    with portal(failed) as url, pytest.raises(FeedError, match="Resource was not found"):
        fetch(url)


def test_parse_keeps_columns_unchanged_and_writes_nested_values_as_json() -> None:
    point = {"type": "Point", "coordinates": [-79.4, 43.7]}
    frame = ckan.parse([orjson.dumps(page({"_id": 1, "geometry": point}, {"_id": 2, "geometry": None}, total=2))])
    assert frame["_id"].to_list() == [1, 2]
    assert orjson.loads(frame["geometry"][0]) == point


def test_no_records_give_an_empty_frame() -> None:
    assert ckan.parse([orjson.dumps(page(total=0))]).is_empty()
