"""GeoJSON downloads, and the two Toronto feeds that use them."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from pipelines.feeds import toronto_neighbourhoods, toronto_police_facilities
from pipelines.feeds.feed import FeedError, conform
from pipelines.feeds.generic import geojson
from pipelines.schema.delivery import Delivery
from tests import replay
from tests.feeds.portal import END, load, memory, needs_shared_data, request
from tests.replay import running

POINT = {"type": "Point", "coordinates": [-79.46, 43.67]}


def collection(*properties: Mapping[str, Any], **extra: Any) -> bytes:
    features = [{"type": "Feature", "properties": p, "geometry": POINT} for p in properties]
    return orjson.dumps({"type": "FeatureCollection", "features": features, **extra})


def fetch(body: bytes) -> Delivery:
    with running(lambda path, query: (200, {"Content-Type": "application/geo+json"}, body)) as base:
        (delivery,) = geojson.fetch(request("toronto_neighbourhoods", f"{base}/x.geojson"))
    return delivery


def test_a_download_is_one_part_byte_for_byte() -> None:
    body = collection({"a": 1})
    assert fetch(body) == Delivery((body,), None, END)


def test_a_server_may_not_know_its_number_of_features() -> None:
    for stated in ({"numberMatched": "unknown"}, {"numberMatched": 1}, {"totalFeatures": "1"}):
        assert fetch(collection({"a": 1}, **stated)).parts


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"type": "Feature"}', "not a GeoJSON feature collection"),
        (collection(exceededTransferLimit=True), "more features than the server sends"),
        (collection({"a": 1}, numberMatched=12), "states 12 features and sent 1"),
        (collection({"a": 1}, totalFeatures="12"), "states 12 features and sent 1"),
        (collection(properties={"exceededTransferLimit": True}), "more features than the server sends"),
    ],
)
def test_an_incomplete_collection_is_rejected(body: bytes, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        fetch(body)


def test_parse_returns_properties_and_the_geometry_as_text() -> None:
    frame = geojson.parse([collection({"name": "11 Division ", "n": 3})])
    assert frame.rows() == [("11 Division ", 3, orjson.dumps(POINT).decode())]


def test_a_collection_in_another_crs_is_rejected() -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::26917"}}
    with pytest.raises(FeedError, match="26917"):
        geojson.parse([collection({"a": 1}, crs=crs)])


def test_no_features_give_an_empty_frame_and_a_missing_list_is_an_error() -> None:
    assert geojson.parse([collection()]).is_empty()
    with pytest.raises(FeedError, match="no list of features"):
        geojson.parse([b'{"type": "FeatureCollection"}'])


@needs_shared_data
@pytest.mark.parametrize(("feed", "count"), [(toronto_neighbourhoods.FEED, 140), (toronto_police_facilities.FEED, 104)])
def test_the_real_boundaries_and_stations_are_read_completely(feed: Any, count: int) -> None:
    with replay.serve() as base:
        (delivery,) = feed.fetch(request(feed.name, base + replay.PATHS[feed.name]))
    frame = feed.parse(delivery.parts)
    assert conform(feed, frame).height == count
    con = memory()
    verdict = load(con, feed, frame)
    assert verdict.accepted.height == count and verdict.results["failed"].sum() == 0
