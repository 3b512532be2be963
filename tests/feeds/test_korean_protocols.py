"""The shared protocols of the Korean feeds: windows, paged JSON, the public data portal, and their failures."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from pipelines.feeds import data_go_kr, http, paged_json
from pipelines.feeds.feed import FeedError
from pipelines.feeds.windows import windows
from tests.feeds.korea import request

URL = "http://127.0.0.1:9/service"
START, END = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 5, 6, tzinfo=UTC)
REFUSED = b"""<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>
<returnAuthMsg>LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR</returnAuthMsg>
<returnReasonCode>22</returnReasonCode></cmmMsgHeader></OpenAPI_ServiceResponse>"""


def answering(monkeypatch: pytest.MonkeyPatch, *pages: Any) -> list[Mapping[str, Any]]:
    """Answer requests with these pages in turn; returns the list that collects the parameters asked for."""
    asked: list[Mapping[str, Any]] = []

    def get(url: str, params: Mapping[str, Any], **_: Any) -> bytes:
        asked.append(params)
        page = pages[min(len(asked), len(pages)) - 1]
        return page if isinstance(page, bytes) else orjson.dumps(page)

    monkeypatch.setattr(http, "get", get)
    return asked


def portal(total: int, items: Any, code: str = "00") -> dict[str, Any]:
    return {
        "response": {"header": {"resultCode": code, "resultMsg": "x"}, "body": {"totalCount": total, "items": items}}
    }


def read_portal(**source: Any) -> tuple[bytes, ...]:
    asked = request("fire_119", URL, START.isoformat(), END.isoformat(), "hidden", **source)
    return data_go_kr.pages(asked, "getCallReception", {"chgDtFrom": "a"})


def read_pages() -> tuple[bytes, ...]:
    asked = request("police_112", URL, START.isoformat(), END.isoformat(), page_size=1)
    return paged_json.pages(asked, "/v1/incidents", "incidents", START, END)


def test_a_window_is_cut_into_pieces_that_join_without_gap_or_overlap() -> None:
    asked = request("police_112", URL, "2025-11-01T05:15:00+09:00", "2025-11-04T00:00:00.9+00:00", window_days=2)
    assert list(windows(asked)) == [
        (datetime(2025, 10, 31, 20, 15, tzinfo=UTC), datetime(2025, 11, 2, 20, 15, tzinfo=UTC)),
        (datetime(2025, 11, 2, 20, 15, tzinfo=UTC), datetime(2025, 11, 4, tzinfo=UTC)),
    ]


def test_a_keyed_feed_without_a_start_is_refused() -> None:
    asked = replace(request("police_112", URL, START.isoformat(), END.isoformat()), window_start=None)
    with pytest.raises(FeedError, match="--from"):
        list(windows(asked))


def test_all_pages_of_an_export_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ({"page": n, "pages": 2, "total": 2, "incidents": [{"n": n}]} for n in (1, 2))
    asked = answering(monkeypatch, first, second)
    assert read_pages() == (orjson.dumps(first), orjson.dumps(second))
    assert [(query["page"], query["updated_from"]) for query in asked] == [
        (n, "2025-11-01T00:00:00+00:00") for n in (1, 2)
    ]


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([{"page": 2, "pages": 2, "total": 2, "incidents": []}], "page 2 instead of 1"),
        ([{"page": 1, "pages": 1, "total": 9, "incidents": [1]}], "counts 9 records .* but sent 1"),
        ([{"page": 1}], "the export's format changed"),
        ([b"busy"], "expected JSON"),
    ],
)
def test_an_export_that_contradicts_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch, pages: list[Any], reason: str
) -> None:
    answering(monkeypatch, *pages)
    with pytest.raises(FeedError, match=reason):
        read_pages()


@pytest.mark.parametrize(
    ("items", "numbers"),
    [([{"n": "1"}, {"n": "2"}], ["1", "2"]), ({"item": [{"n": "1"}]}, ["1"]), ({"item": {"n": "1"}}, ["1"]), ("", [])],
)
def test_items_are_read_in_each_of_their_shapes(
    monkeypatch: pytest.MonkeyPatch, items: Any, numbers: list[str]
) -> None:
    answering(monkeypatch, portal(len(numbers), items))
    found = data_go_kr.rows(read_portal())
    assert (found["n"].to_list() if numbers else found.rows()) == numbers


def test_pages_of_the_portal_are_read_until_all_rows_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, portal(3, [{"n": 1}, {"n": 2}]), portal(3, {"item": {"n": 3}}))
    parts = read_portal(page_size=2)
    assert data_go_kr.rows(parts)["n"].to_list() == [1, 2, 3]
    assert [query["pageNo"] for query in asked] == [1, 2]
    assert asked[0]["serviceKey"] == "hidden"


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (REFUSED, "22 LIMITED_NUMBER.*allowance is used up"),
        (portal(0, "", code="20"), "refuses with 20 x; the key may not use this service"),
        (portal(5, [{"n": 1}]), "counts 5 rows but sent"),
        ({"response": {}}, "format changed"),
        ({"response": {"header": {"resultCode": "00"}, "body": {}}}, "format changed"),
    ],
    ids=["xml", "code", "count", "no header", "no body"],
)
def test_a_refusal_of_the_portal_says_why_and_never_the_key(
    monkeypatch: pytest.MonkeyPatch, page: Any, reason: str
) -> None:
    answering(monkeypatch, page)
    with pytest.raises(FeedError, match=reason) as refused:
        read_portal()
    assert "hidden" not in str(refused.value)
