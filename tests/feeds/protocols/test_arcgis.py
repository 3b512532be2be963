"""ArcGIS layers: paging, the check of the layer's row count, and errors with status 200."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import arcgis
from pipelines.schema.delivery import Delivery
from tests.feeds.portal import END, request
from tests.replay import running

LAYER = {"objectIdField": "OID", "maxRecordCount": 2}


def page(*rows: Mapping[str, Any], more: bool = False) -> dict[str, Any]:
    features = [{"attributes": {"OID": number, **row}} for number, row in enumerate(rows, start=1)]
    return {"objectIdFieldName": "OID", "features": features} | ({"exceededTransferLimit": True} if more else {})


@contextmanager
def layer(
    pages: Mapping[int, Mapping[str, Any]], count: int, description: Mapping[str, Any] = LAYER
) -> Iterator[tuple[str, list[Mapping[str, str]]]]:
    """A layer with pages at these offsets; yields its URL and the page queries received."""
    seen: list[Mapping[str, str]] = []

    def answer(path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if not path.endswith("/query"):
            return 200, {}, orjson.dumps(description)
        if query.get("returnCountOnly") == "true":
            return 200, {}, orjson.dumps({"count": count})
        seen.append(query)
        return 200, {}, orjson.dumps(pages[int(query["resultOffset"])])

    with running(answer) as base:
        yield f"{base}/FeatureServer/0", seen


def fetch(url: str, **source: Any) -> Delivery:
    (delivery,) = arcgis.fetch(request("toronto_police_mci", url, **source))
    return delivery


def test_all_pages_are_read_in_object_id_order() -> None:
    pages = {0: page({"a": 1}, {"a": 2}, more=True), 2: page({"a": 3})}
    with layer(pages, count=3) as (url, seen):
        delivery = fetch(url)
    assert delivery.parts == tuple(orjson.dumps(p) for p in pages.values())  # byte for byte
    assert (delivery.window_start, delivery.window_end) == (None, END)
    assert [(q["resultOffset"], q["resultRecordCount"], q["orderByFields"]) for q in seen] == [
        ("0", "2", "OID"),
        ("2", "2", "OID"),
    ]
    assert seen[0]["where"] == "1=1" and seen[0]["outFields"] == "*" and seen[0]["f"] == "json"


def test_a_short_page_advances_the_offset_by_its_rows() -> None:
    pages = {0: page({"a": 1}, more=True), 1: page({"a": 2})}
    with layer(pages, count=2) as (url, _):
        assert arcgis.parse(fetch(url).parts)["a"].to_list() == [1, 2]


def test_the_profile_may_set_shorter_pages_than_the_layer_allows() -> None:
    with layer({0: page({"a": 1})}, count=1) as (url, seen):
        fetch(url, page_size=1)
    assert seen[0]["resultRecordCount"] == "1"


def test_an_empty_layer_is_an_empty_delivery() -> None:
    with layer({0: page()}, count=0) as (url, _):
        delivery = fetch(url)
    assert arcgis.parse(delivery.parts).is_empty()


def test_fewer_rows_than_the_layer_states_are_rejected() -> None:
    with layer({0: page({"a": 1})}, count=5) as (url, _), pytest.raises(FeedError, match="states 5 rows but sent 1"):
        fetch(url)


def test_an_empty_page_with_more_to_come_is_an_error() -> None:
    with layer({0: page(more=True)}, count=5) as (url, _), pytest.raises(FeedError, match="empty page"):
        fetch(url)


def test_an_error_with_status_200_is_an_error() -> None:
    error = {"error": {"code": 400, "message": "Invalid query", "details": ["no such field"]}}
    with layer({0: error}, count=5) as (url, _), pytest.raises(FeedError, match="Invalid query no such field"):
        fetch(url)


def test_the_object_id_may_be_named_among_the_fields_only() -> None:
    description = {"fields": [{"name": "FID", "type": "esriFieldTypeOID"}]}
    with layer({0: page({"a": 1})}, count=1, description=description) as (url, seen):
        fetch(url)
    assert seen[0]["orderByFields"] == "FID"


def test_a_url_that_is_not_a_layer_is_reported() -> None:
    with (
        layer({}, count=0, description={"layers": []}) as (url, _),
        pytest.raises(FeedError, match="has no object id"),
    ):
        fetch(url)


def test_parse_drops_the_object_id_and_joins_pages_whose_types_differ() -> None:
    parts = [orjson.dumps(page({"x": 43, "name": None})), orjson.dumps(page({"x": 43.5, "name": "b", "new": 1}))]
    frame = arcgis.parse(parts)
    assert frame.to_dict(as_series=False) == {"x": [43.0, 43.5], "name": [None, "b"], "new": [None, 1]}
    assert frame.schema == {"x": pl.Float64, "name": pl.String, "new": pl.Int64}
