"""ArcGIS layers: paging, the check of the layer's row count, and errors with status 200."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import arcgis
from pipelines.schema.delivery import Delivery
from tests.feeds.portal import END, request
from tests.replay import running

LAYER = {"objectIdField": "OID", "maxRecordCount": 10}
ORDERED = LAYER | {"advancedQueryCapabilities": {"supportsOrderBy": True}}


@dataclass
class Layer:
    """A layer that answers queries; ``changes`` happen before the query of that number."""

    ids: list[int]
    description: Mapping[str, Any] = field(default_factory=lambda: LAYER)
    changes: Mapping[int, Callable[[list[int]], list[int]]] = field(default_factory=dict)
    flag: Literal["right", "missing", "always"] = "right"
    longest: int = 1000
    hidden: frozenset[int] = frozenset()
    """Rows that count in offsets and are in no page."""
    queries: list[Mapping[str, str]] = field(default_factory=list)

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if not path.endswith("/query"):
            return 200, {}, orjson.dumps(self.description)
        if query.get("returnCountOnly") == "true":
            return 200, {}, orjson.dumps({"count": len(set(self.ids) - self.hidden)})
        self.queries.append(query)
        self.ids = self.changes.get(len(self.queries), lambda ids: ids)(self.ids)
        return 200, {}, orjson.dumps(self.page(query))

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        beyond = int(query["where"].partition(">")[2] or 0)
        rows = [number for number in sorted(self.ids) if number > beyond][int(query.get("resultOffset", 0)) :]
        sent = rows[: min(int(query["resultRecordCount"]), self.longest)]
        features = [{"attributes": {"OID": n, "a": n}} for n in sent if n not in self.hidden]
        more = {"right": len(sent) < len(rows), "missing": False, "always": True}[self.flag]
        return {"objectIdFieldName": "OID", "features": features} | ({"exceededTransferLimit": True} if more else {})


def fetched(layer: Layer, **source: Any) -> Delivery:
    with running(layer.answer) as base:
        (delivery,) = arcgis.fetch(request("toronto_police_mci", f"{base}/FeatureServer/0", **source))
    return delivery


def read(layer: Layer, **source: Any) -> list[int]:
    """The values of the rows that were read; no layer of these tests has none."""
    frame = arcgis.parse(fetched(layer, **source).parts)
    return frame["a"].to_list() if frame.width else []


def without(number: int) -> Callable[[list[int]], list[int]]:
    return lambda ids: [other for other in ids if other != number]


@contextmanager
def layer(answer: Mapping[str, Any], description: Mapping[str, Any] = LAYER) -> Iterator[str]:
    """A layer that gives one answer to every query; yields its URL."""

    def reply(path: str, _query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        return 200, {}, orjson.dumps(answer if path.endswith("/query") else description)

    with running(reply) as base:
        yield f"{base}/FeatureServer/0"


def fetch(url: str) -> None:
    list(arcgis.fetch(request("toronto_police_mci", url)))


@pytest.mark.parametrize("description", [LAYER, ORDERED], ids=["by offset", "by key"])
@pytest.mark.parametrize("flag", ["right", "missing", "always"])
@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 25])
@pytest.mark.parametrize("longest", [3, 1000])
def test_every_row_is_read_once_whatever_the_flag_for_more_pages_says(
    description: Mapping[str, Any], flag: Any, rows: int, longest: int
) -> None:
    ids = list(range(1, rows + 1))
    assert read(Layer(ids, description, flag=flag, longest=longest)) == ids


def test_a_page_is_stored_as_received_and_requested_in_object_id_order() -> None:
    served = Layer([1, 2, 3])
    delivery = fetched(served)
    assert orjson.loads(delivery.parts[0]) == served.page(served.queries[0])
    assert (delivery.window_start, delivery.window_end) == (None, END)
    first = served.queries[0]
    assert (first["where"], first["outFields"], first["f"], first["orderByFields"]) == ("1=1", "*", "json", "OID")


def test_the_profile_may_set_shorter_pages_than_the_layer_allows() -> None:
    served = Layer([1, 2, 3])
    assert read(served, page_size=1) == [1, 2, 3]
    assert served.queries[0]["resultRecordCount"] == "1"


def test_an_empty_page_that_is_not_the_last_hides_no_row() -> None:
    served = Layer(list(range(1, 41)), hidden=frozenset(range(11, 31)))
    assert read(served) == [*range(1, 11), *range(31, 41)]


@pytest.mark.parametrize("description", [LAYER, ORDERED], ids=["by offset", "by key"])
def test_a_layer_that_changes_once_is_read_again(description: Mapping[str, Any]) -> None:
    assert read(Layer(list(range(1, 26)), description, {2: without(3)})) == [1, 2, *range(4, 26)]


def test_a_row_that_moves_to_the_next_page_during_each_attempt_is_never_lost() -> None:
    changes = {number: without(number) for number in range(2, 12)}
    with pytest.raises(FeedError, match="in each of 3 attempts; nothing was stored"):
        read(Layer(list(range(1, 46)), changes=changes))


@given(
    st.sampled_from([LAYER, ORDERED]),
    st.dictionaries(st.integers(1, 8), st.tuples(st.integers(1, 30), st.booleans()), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_rows_that_are_there_throughout_are_read_or_the_batch_is_refused(
    description: Mapping[str, Any], changed: dict[int, tuple[int, bool]]
) -> None:
    def change(number: int, gone: int, is_added: bool) -> Callable[[list[int]], list[int]]:
        return lambda ids: [*without(gone)(ids), *([100 + number] if is_added else [])]

    changes = {query: change(query, *what) for query, what in changed.items()}
    throughout = set(range(1, 31)) - {gone for gone, _ in changed.values()}
    try:
        rows = read(Layer(list(range(1, 31)), description, changes))
    except FeedError:
        assert changes
    else:
        assert throughout <= set(rows) and len(rows) == len(set(rows))


def test_a_server_that_ignores_the_offset_is_refused_at_its_second_page() -> None:
    served = Layer(list(range(1, 26)))
    served.page = lambda query: Layer.page(served, {**query, "resultOffset": "0"})  # type: ignore[method-assign]
    with pytest.raises(FeedError, match="ignores offsets"):
        fetched(served)
    assert len(served.queries) == 2


def test_a_server_that_ignores_conditions_is_refused() -> None:
    served = Layer(list(range(1, 26)), ORDERED)
    served.page = lambda query: Layer.page(served, {**query, "where": "1=1"})  # type: ignore[method-assign]
    with pytest.raises(FeedError, match="ignores the order or condition of a query"):
        fetched(served)


def test_a_server_that_never_ends_is_refused() -> None:
    served = Layer([1, 2, 3])
    served.page = lambda _query: {"objectIdFieldName": "OID", "features": [], "exceededTransferLimit": True}  # type: ignore[method-assign]
    with pytest.raises(FeedError, match="sends pages without end for 3 rows"):
        fetched(served)


def test_a_layer_that_sends_more_rows_than_it_counts_is_refused_and_not_read_for_ever() -> None:
    served = Layer(list(range(1, 26)), ORDERED, flag="always")
    served.page = lambda query: Layer.page(Layer(list(range(1, 10**4)), flag="always"), query)  # type: ignore[method-assign]
    with pytest.raises(FeedError, match="states 25 rows and sends more, in each of 3 attempts"):
        fetched(served)
    assert len(served.queries) == 9


def test_a_layer_of_more_rows_than_the_profile_allows_is_refused_before_it_is_read() -> None:
    served = Layer(list(range(1, 26)))
    with pytest.raises(FeedError, match="states 25 rows, more than the 24 of max_rows: raise max_rows"):
        read(served, max_rows=24)
    assert read(served, max_rows=25) == list(range(1, 26))


def test_a_count_may_be_text() -> None:
    served = Layer([1, 2, 3])
    answer = served.answer
    counted = orjson.dumps({"count": "3"})
    served.answer = lambda path, query: (200, {}, counted) if "returnCountOnly" in query else answer(path, query)  # type: ignore[method-assign]
    assert read(served) == [1, 2, 3]


def test_rows_instead_of_a_count_are_reported_as_such() -> None:
    answer = Layer([1, 2]).page({"where": "1=1", "resultRecordCount": "10"})
    with layer(answer) as url, pytest.raises(FeedError, match=r"states no number of rows .* but .*features"):
        fetch(url)


def test_a_layer_edited_while_it_is_read_is_read_again() -> None:
    served = Layer([1, 2, 3])
    stamps = iter(range(100))
    described = [LAYER | {"editingInfo": {"lastEditDate": next(stamps)}} for _ in range(2)]
    served.description = described[0]
    served.changes = {1: lambda ids: setattr(served, "description", described[1]) or ids}
    assert read(served) == [1, 2, 3]
    assert len(served.queries) == 2


def test_an_error_with_status_200_is_an_error() -> None:
    error = {"error": {"code": 400, "message": "Invalid query", "details": ["no such field"]}}
    with layer(error) as url, pytest.raises(FeedError, match="Invalid query no such field"):
        fetch(url)


def test_the_object_id_may_be_named_among_the_fields_only() -> None:
    served = Layer([1], {"fields": [{"name": "OID", "type": "esriFieldTypeOID"}]})
    fetched(served)
    assert served.queries[0]["orderByFields"] == "OID"


def test_a_url_that_is_not_a_layer_is_reported() -> None:
    with layer({"count": 0}, {"layers": []}) as url, pytest.raises(FeedError, match="has no object id"):
        fetch(url)


def page(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"objectIdFieldName": "OID", "features": [{"attributes": {"OID": number, **row}}]}


def test_a_row_that_two_pages_share_counts_once() -> None:
    parts = [orjson.dumps(page(number, {"x": number})) for number in (1, 1, 2)]
    assert arcgis.parse(parts)["x"].to_list() == [1, 2]


def test_parse_drops_the_object_id_and_joins_pages_whose_types_differ() -> None:
    parts = [orjson.dumps(page(1, {"x": 43, "name": None})), orjson.dumps(page(2, {"x": 43.5, "name": "b", "new": 1}))]
    frame = arcgis.parse(parts)
    assert frame.to_dict(as_series=False) == {"x": [43.0, 43.5], "name": [None, "b"], "new": [None, 1]}
    assert frame.schema == {"x": pl.Float64, "name": pl.String, "new": pl.Int64}
