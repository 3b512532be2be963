"""The simulated agencies as sources: over real HTTP and in a real folder."""

import base64
import hashlib
import xml.etree.ElementTree as ElementTree
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import polars as pl
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipelines import simulator
from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.feeds import fire_119, investigation_cases, police_112, police_112_keys
from pipelines.feeds.feed import Feed, FeedError, Request, conform
from pipelines.schema.delivery import Delivery
from pipelines.simulator.server import History
from pipelines.simulator.source import opened

KOREA = profiles.load("korea")
NOW = datetime(2025, 11, 5, 20, 15, tzinfo=UTC)
START = NOW - timedelta(days=3)


def ask(feed: Feed, url: str, secret: str | None = simulator.KEY, **source: object) -> list[Delivery]:
    known = KOREA.feeds[feed.name].model_copy(update={"page_size": 700, **source})
    return list(feed.fetch(Request(url, secret, known, KOREA, START, NOW)))


def settings(home: Path) -> Settings:
    return Settings(home=home, profile=KOREA, as_of=NOW)


@pytest.mark.parametrize("feed", [police_112.FEED, fire_119.FEED, investigation_cases.FEED], ids=lambda feed: feed.name)
def test_every_feed_reads_its_agency(feed: Feed, tmp_path: Path) -> None:
    with opened(settings(tmp_path), feed.name, [(START, NOW)]) as (url, _):
        whole = ask(feed, url)
        pieces = ask(feed, url, window_days=1)
    frames = [
        conform(feed, feed.parse([p for d in answers_by_form for p in d.parts])) for answers_by_form in (whole, pieces)
    ]
    assert len(whole) == 1 and len(pieces) == 3
    assert (pieces[0].window_start, pieces[-1].window_end) == (START, NOW)
    assert frames[0].height > 5
    assert frames[0].equals(frames[1])
    assert frames[0]["_extra"].is_null().all()
    assert feed.updated_at is not None
    assert frames[0].select(*feed.key, feed.updated_at).is_unique().all()


def test_the_fire_feed_reads_the_same_rows_from_xml_as_from_json() -> None:
    with simulator.serve(KOREA, NOW) as url:
        answers_by_form = [ask(fire_119.FEED, f"{url}/fire", result_type=form) for form in ("json", "xml")]
    frames = [conform(fire_119.FEED, fire_119.parse(deliveries[0].parts)) for deliveries in answers_by_form]
    assert frames[0].height > 500
    assert frames[1].equals(frames[0])


def test_the_feed_accepts_the_list_of_keys(tmp_path: Path) -> None:
    feed, source = police_112_keys.FEED, KOREA.feeds["police_112"].model_copy(update={"span_days": 5, "page_size": 700})
    with opened(settings(tmp_path), feed.name, []) as (url, _):
        (delivery,) = feed.fetch(Request(url, simulator.KEY, source, KOREA, None, NOW))
    assert feed.inspect is not None
    feed.inspect(delivery.parts, source, None, NOW)
    assert delivery.window_end == NOW
    assert feed.parse(delivery.parts).height > 2000


def test_the_profile_holds_the_simulated_agencys_key_and_the_feed_accepts_its_drops(tmp_path: Path) -> None:
    assert KOREA.simulator is not None
    source = KOREA.feeds["investigation_cases"]
    assert source.public_key == simulator.public_key(KOREA.simulator.seed)
    with opened(settings(tmp_path), "investigation_cases", [(START, NOW)]) as (url, _):
        (delivery,) = ask(investigation_cases.FEED, url)
    assert investigation_cases.FEED.inspect is not None
    investigation_cases.FEED.inspect(delivery.parts, source, delivery.window_start, delivery.window_end)


def test_pages_are_kept_byte_for_byte() -> None:
    with simulator.serve(KOREA, NOW) as url:
        (delivery,) = ask(police_112.FEED, url)
        query = {"updated_from": START.isoformat(), "updated_to": NOW.isoformat(), "page": 2, "page_size": 700}
        again = httpx.get(f"{url}/v1/incidents", params=query, headers={"X-API-Key": simulator.KEY})
    assert len(delivery.parts) > 2
    assert delivery.parts[1] == again.content


def test_changes_after_now_are_unknown() -> None:
    later = NOW + timedelta(days=2)
    with simulator.serve(KOREA, NOW) as url:
        source = KOREA.feeds["police_112"]
        (delivery,) = police_112.fetch(Request(url, simulator.KEY, source, KOREA, NOW - timedelta(hours=1), later))
        (nothing,) = police_112.fetch(Request(url, simulator.KEY, source, KOREA, NOW, later))
    updated = police_112.parse(delivery.parts)["updated_at"].str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_zone="UTC")
    assert updated.max() < NOW  # type: ignore[operator]
    assert police_112.parse(nothing.parts).is_empty()


def test_the_past_does_not_depend_on_the_day_of_the_run() -> None:
    answers_by_form = []
    for now in (NOW, NOW + timedelta(days=30)):
        with simulator.serve(KOREA, now) as url:
            answers_by_form.append(ask(fire_119.FEED, f"{url}/fire"))
    assert answers_by_form[0] == answers_by_form[1]


def test_a_wrong_key_is_rejected_without_being_shown() -> None:
    with simulator.serve(KOREA, NOW) as url:
        with pytest.raises(FeedError, match="401") as police:
            ask(police_112.FEED, url, "wr0ng")
        with pytest.raises(FeedError, match="does not know the key") as fire:
            ask(fire_119.FEED, f"{url}/fire", "wr0ng")
    assert "wr0ng" not in f"{police.value}{fire.value}"


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("/v1/incidents", {}, 400, "updated_from"),
        ("/v1/incidents", {"updated_from": "2025-11-01", "updated_to": "2025-11-02"}, 400, "offset"),
        ("/nowhere", {}, 404, "no such path"),
        ("/fire/getCallReception", {"serviceKey": simulator.KEY}, 200, "INVALID_REQUEST_PARAMETER_ERROR"),
    ],
)
def test_an_invalid_request_gets_the_agencys_error(path: str, query: dict[str, str], status: int, words: str) -> None:
    with simulator.serve(KOREA, NOW) as url:
        answer = httpx.get(url + path, params=query, headers={"X-API-Key": simulator.KEY})
    assert answer.status_code == status
    assert words in answer.text


def test_items_of_the_portal_have_all_three_formats() -> None:
    form = {"serviceKey": simulator.KEY, "numOfRows": 400, "resultType": "json"}
    form |= {"chgDtFrom": "20251105000000", "chgDtTo": "20251106000000"}
    with simulator.serve(KOREA, NOW) as url:
        shapes = [
            orjson.loads(httpx.get(f"{url}/fire/getCallReception", params={**form, "pageNo": page}).content)
            for page in (1, 2, 99)
        ]
    first, second, beyond = (shape["response"]["body"]["items"] for shape in shapes)
    assert isinstance(first["item"], list) and isinstance(second, list) and beyond == ""


def test_the_portal_answers_xml_unless_json_is_requested_with_the_same_rows() -> None:
    form = {"serviceKey": simulator.KEY, "numOfRows": 300, "pageNo": 2}
    form |= {"chgDtFrom": "20251105000000", "chgDtTo": "20251106000000"}
    with simulator.serve(KOREA, NOW) as url:
        answers = [
            httpx.get(f"{url}/fire/getCallReception", params={**form, **kind})
            for kind in ({"resultType": "json"}, {"resultType": "xml"}, {})
        ]
    body = orjson.loads(answers[0].content)["response"]["body"]
    root = ElementTree.fromstring(answers[1].content)
    assert answers[1].content == answers[2].content
    assert answers[1].headers["Content-Type"].startswith("text/xml")
    assert (root.findtext("header/resultCode"), root.findtext("body/totalCount")) == ("00", str(body["totalCount"]))
    rows = [{field.tag: field.text or "" for field in item} for item in root.iterfind("body/items/item")]
    assert rows == [{name: value for name, value in item.items() if value is not None} for item in body["items"]]


def test_the_key_list_has_current_calls_and_no_withdrawn_or_vanished_ones() -> None:
    start, end = date(2025, 10, 1), date(2025, 10, 6)
    truth = simulator.tables(KOREA, start, end)
    calls = truth["police_112"].with_columns(
        pl.col("updated_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_zone="UTC")
    )
    gone = set(truth["truth_vanished"].filter(pl.col("vanished_at") <= NOW)["incident_no"])
    withdrawn = set(calls.filter(pl.col("is_withdrawn") & (pl.col("updated_at") < NOW))["incident_no"])
    with simulator.serve(KOREA, NOW) as url:
        query = {"reported_from": f"{start}T00:00:00+09:00", "reported_to": f"{end}T00:00:00+09:00", "page_size": 1000}
        pages = [
            httpx.get(
                f"{url}/v1/incident-keys", params={**query, "page": page}, headers={"X-API-Key": simulator.KEY}
            ).json()
            for page in (1, 2, 3)
        ]
    keys = [key for page in pages for key in page["keys"]]
    assert (pages[0]["pages"], pages[0]["total"]) == (3, len(keys))
    assert datetime.fromisoformat(pages[0]["listed_at"]) == NOW
    assert gone and withdrawn
    assert set(keys) == set(calls["incident_no"]) - gone - withdrawn
    assert keys == sorted(keys)


def test_vanished_records_are_in_no_later_export() -> None:
    start, end = date(2025, 10, 1), date(2025, 10, 6)
    vanished = simulator.tables(KOREA, start, end)["truth_vanished"]
    window = datetime(2025, 9, 30, 15, tzinfo=UTC), datetime(2025, 10, 7, 15, tzinfo=UTC)
    seen = []
    for now in (window[1], window[1] + timedelta(days=40)):
        changes = History(KOREA, now).window("police", *window)
        seen.append(set(changes["incident_no"]))
    late = vanished.filter(pl.col("vanished_at") > window[1])
    assert late.height > 0
    assert set(late["incident_no"]) <= seen[0] - seen[1]


def test_the_drop_folder_has_one_file_a_day_and_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    written = simulator.drop(KOREA, tmp_path, date(2025, 11, 1), date(2025, 11, 5))
    before = {path.name: path.read_bytes() for path in written}
    simulator.drop(KOREA, tmp_path, date(2025, 11, 3), date(2025, 11, 5))
    assert sorted(before) == [f"cases_2025110{day}.csv" for day in (1, 2, 3, 4)]
    data = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix == ".csv"}
    assert data == before
    assert before["cases_20251103.csv"].decode("cp949").startswith("사건번호,접수일,범죄분류")


def test_every_dropped_file_has_a_manifest_that_the_agency_signed(tmp_path: Path) -> None:
    (written,) = simulator.drop(KOREA, tmp_path, date(2025, 11, 3), date(2025, 11, 4))
    manifest = (tmp_path / "cases_20251103.manifest.json").read_bytes()
    assert KOREA.simulator is not None
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(simulator.public_key(KOREA.simulator.seed)))
    key.verify(base64.b64decode((tmp_path / "cases_20251103.manifest.sig").read_bytes()), manifest)
    content = written.read_bytes()
    rows = len(content.splitlines()) - 1
    body = orjson.loads(manifest)
    assert body["date"] == "2025-11-03"
    assert body["files"] == [{"name": written.name, "rows": rows, "sha256": hashlib.sha256(content).hexdigest()}]
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode((tmp_path / "cases_20251103.manifest.sig").read_bytes()), manifest + b" ")


def test_dropped_files_are_removed_after_reading(tmp_path: Path) -> None:
    with opened(settings(tmp_path), "investigation_cases", [(START, NOW)]) as (url, _):
        assert url.startswith("file://")
    assert not any(settings(tmp_path).work.iterdir())


def test_a_feed_that_is_not_simulated_is_rejected(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="'toronto_shootings' is not simulated"),
        opened(settings(tmp_path), "toronto_shootings", []),
    ):
        pass
