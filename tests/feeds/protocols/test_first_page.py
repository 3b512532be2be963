"""The first page of a source: one page and no more, whichever protocol it speaks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.feeds import fire_119, fire_calls_seoul, patrols, police_112
from pipelines.feeds.feed import Feed, Request
from pipelines.feeds.generic import data_police_uk
from pipelines.feeds.protocols import arcgis, ckan
from tests import soda
from tests.feeds import cities, korea, portal
from tests.feeds.protocols.test_arcgis import LAYER, ORDERED, Layer
from tests.feeds.protocols.test_ckan import RESOURCE, Portal
from tests.replay import running

SIZE = 2
WINDOW = ("2025-10-01T00:00:00+00:00", "2025-11-01T00:00:00+00:00")

Answer = Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], bytes]]


def export(_path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    page = {"page": int(query["page"]), "total": 5, "incidents": [{"incident_no": query["page"] + n} for n in "ab"]}
    return 200, {}, orjson.dumps(page)


def portal_119(_path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    items = [{"dclr_rcpt_no": query["pageNo"] + n} for n in "ab"]
    body = {"items": items, "totalCount": 5, "pageNo": int(query["pageNo"])}
    return 200, {}, orjson.dumps({"response": {"header": {"resultCode": "00"}, "body": body}})


def months(path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    listed = [{"date": "2026-04"}, {"date": "2026-05"}]
    return 200, {}, orjson.dumps(listed if path.endswith("dates") else [{"month": query["date"]}] * 2)


def toronto(feed: str, **source: Any) -> Request:
    return portal.request(feed, "", page_size=SIZE, **source)


@pytest.mark.parametrize(
    ("answer", "read", "request_"),
    [
        (Layer([1, 2, 3, 4, 5], ORDERED).answer, arcgis, toronto("toronto_police_mci")),
        (Layer([1, 2, 3, 4, 5], LAYER).answer, arcgis, toronto("toronto_police_mci")),
        (Portal([1, 2, 3, 4, 5]).answer, ckan, toronto("toronto_fire_incidents", resource=RESOURCE)),
        (export, police_112, korea.request("police_112", "", *WINDOW, page_size=SIZE, window_days=7)),
        (portal_119, fire_119, korea.request("fire_119", "", *WINDOW, page_size=SIZE, window_days=7)),
        (months, data_police_uk, cities.request(cities.place("cambridge_crimes"), "")),
    ],
    ids=["arcgis by key", "arcgis by offset", "ckan", "paged json", "data.go.kr", "data.police.uk"],
)
def test_the_first_page_alone_is_read_of_a_source_with_more(answer: Answer, read: Any, request_: Request) -> None:
    with running(answer) as base:
        (delivery,) = read.fetch(replace(request_, url=base, first_page=True))
    assert len(delivery.parts) == 1 and read.parse(delivery.parts).height == SIZE


def test_the_first_page_of_a_table_in_windows_is_of_the_newest_window_that_one_delivery_may_hold() -> None:
    days = [f"2026-09-{day:02}" for day in range(1, 31)]
    rows = [{"id": day[-2:], "date": day, "updated_on": f"{day}T12:00:00.000"} for day in days]
    columns = {"source_id": "id", "occurred_at": "date", "updated_at": "updated_on"}
    profile = cities.place("chicago_crimes", page_size=SIZE, window_days=8, max_rows=5, columns=columns)
    served = soda.Portal({"ijzp-q8t2": pl.DataFrame(rows)}, {}, instants=("updated_on",))
    with soda.serve(served) as base:
        whole = cities.request(profile, base, "2026-09-01T00:00:00+00:00", "2026-10-01T00:00:00+00:00")
        (delivery,) = cities.feed_of(profile).fetch(replace(whole, first_page=True))
    assert [row["id"] for row in orjson.loads(delivery.parts[0])] == ["25", "26"]
    assert delivery.window_start and delivery.window_start.day == 25


def test_the_first_page_of_a_folder_is_its_newest_file(tmp_path: Path) -> None:
    feed: Feed = fire_calls_seoul.FEED
    for year in (2024, 2025):
        (tmp_path / f"{year}.csv").write_text(f"dclr_rcpt_no\n{year}\n", "cp949")
    whole = replace(korea.request("fire_119", tmp_path.as_uri(), *WINDOW), first_page=True)
    (delivery,) = feed.fetch(whole)
    assert feed.parse(delivery.parts)["dclr_rcpt_no"].to_list() == ["2025"]


def test_the_first_page_of_daily_files_is_their_newest_window(tmp_path: Path) -> None:
    for number in range(31):
        day = date(2025, 10, 1) + timedelta(days=number)
        (tmp_path / f"patrols_{day:%Y%m%d}.csv").write_text("cell_id\n", "utf-8")
    whole = korea.request("police_112", tmp_path.as_uri(), *WINDOW, window_days=3)
    (delivery,) = patrols.fetch(replace(whole, first_page=True))
    assert len(delivery.parts) == 1
