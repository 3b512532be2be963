"""The replay server answers like the portals."""

import orjson

from pipelines.feeds.protocols import http
from tests import replay
from tests.feeds.portal import TORONTO, needs_shared_data


def test_every_feed_of_the_toronto_profile_has_an_address_to_export() -> None:
    assert set(replay.urls("http://127.0.0.1:1")) == {f"BONGSU_URL_{feed.upper()}" for feed in TORONTO.feeds}


@needs_shared_data
def test_the_layer_pages_as_arcgis_does() -> None:
    with replay.serve(rows=5) as base, http.session() as client:
        layer = orjson.loads(http.get(base + replay.LAYER, {"f": "json"}, client=client))
        query = {"f": "json", "where": "1=1", "resultOffset": 0, "resultRecordCount": 3}
        first = orjson.loads(http.get(f"{base}{replay.LAYER}/query", query, client=client))
        last = orjson.loads(http.get(f"{base}{replay.LAYER}/query", query | {"resultOffset": 3}, client=client))
        error = orjson.loads(http.get(f"{base}{replay.LAYER}/query", {"f": "json"}, client=client))
    assert layer["objectIdField"] == "ObjectId" and layer["maxRecordCount"] == 2000
    assert [f["attributes"]["ObjectId"] for f in first["features"] + last["features"]] == [1, 2, 3, 4, 5]
    assert first["exceededTransferLimit"] is True and "exceededTransferLimit" not in last
    assert error["error"]["code"] == 400


@needs_shared_data
def test_times_labelled_utc_and_python_points_are_served_as_published() -> None:
    with replay.serve(rows=1) as base:
        answers = [
            orjson.loads(http.get(f"{base}/ckan/api/3/action/datastore_search", {"resource_id": resource}))
            for resource in replay.RESOURCES.values()
        ]
    fire, shooting = (answer["result"]["records"][0] for answer in answers)
    assert fire["tfs_alarm_time"] == "2011-01-01T05:49:17+00:00" and fire["_id"] == 1
    assert shooting["geometry"].startswith("{'type': 'MultiPoint'") and shooting["_id"] == 1
