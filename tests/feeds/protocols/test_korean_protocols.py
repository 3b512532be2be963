"""The shared protocols of the Korean feeds: windows, paged JSON, the public data portal, and their failures."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipelines.feeds.feed import FeedError, TooLarge, conform
from pipelines.feeds.fire_119 import FEED
from pipelines.feeds.protocols import data_go_kr, http, paged_json
from pipelines.feeds.protocols.windows import windows
from tests.feeds.korea import request

URL = "http://127.0.0.1:9/service"
START, END = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 5, 6, tzinfo=UTC)
REFUSED = b"""<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>
<returnAuthMsg>LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR</returnAuthMsg>
<returnReasonCode>22</returnReasonCode></cmmMsgHeader></OpenAPI_ServiceResponse>"""


def answering(monkeypatch: pytest.MonkeyPatch, *pages: Any) -> list[Mapping[str, Any]]:
    """Answer requests with these pages in turn, again from the first one when page 1 is requested after another.

    Returns the list that collects the parameters of each request.
    """
    queries: list[Mapping[str, Any]] = []
    turn = 0

    def get(url: str, params: Mapping[str, Any], **_: Any) -> bytes:
        nonlocal turn
        queries.append(params)
        numbers = [query.get("page", query.get("pageNo")) for query in queries[-2:]]
        turn = 0 if numbers[-1] == 1 and numbers[0] != 1 else turn + (len(queries) > 1)
        page = pages[min(turn, len(pages) - 1)]
        return page if isinstance(page, bytes) else orjson.dumps(page)

    monkeypatch.setattr(http, "get", get)
    return queries


def export(page: int, total: int, *records: Any) -> dict[str, Any]:
    return {"page": page, "pages": 2, "total": total, "incidents": list(records)}


def portal(total: int, items: Any, code: str = "00") -> dict[str, Any]:
    return {
        "response": {"header": {"resultCode": code, "resultMsg": "x"}, "body": {"totalCount": total, "items": items}}
    }


def as_form(form: str, records: list[dict[str, Any]], total: int | None = None, page: int = 1) -> bytes:
    """A page of the portal: JSON with `items` as a list, or XML, in which a null field is absent."""
    count = len(records) if total is None else total
    if form == "json":
        body = {"pageNo": page, "totalCount": count, "items": records}
        return orjson.dumps({"response": {"header": {"resultCode": "00"}, "body": body}})
    items = "".join(
        f"<item>{''.join(f'<{k}>{escape(str(v))}</{k}>' for k, v in record.items() if v is not None)}</item>"
        for record in records
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><response><header><resultCode>00</resultCode></header>'
        f"<pageNo>{page}</pageNo><totalCount>{count}</totalCount><body><items>{items}</items></body></response>"
    ).encode()


def read_portal(**source: Any) -> tuple[bytes, ...]:
    wanted = request("fire_119", URL, START.isoformat(), END.isoformat(), "hidden", **source)
    return data_go_kr.pages(wanted, "getCallReception", {"chgDtFrom": "a"})


def read_pages(**source: Any) -> tuple[bytes, ...]:
    wanted = request("police_112", URL, START.isoformat(), END.isoformat(), page_size=1, **source)
    return paged_json.pages(wanted, "/v1/incidents", "incidents", START, END)


def test_a_window_is_split_into_chunks_without_gap_or_overlap() -> None:
    wanted = request("police_112", URL, "2025-11-01T05:15:00+09:00", "2025-11-04T00:00:00.9+00:00", window_days=2)
    assert list(windows(wanted)) == [
        (datetime(2025, 10, 31, 20, 15, tzinfo=UTC), datetime(2025, 11, 2, 20, 15, tzinfo=UTC)),
        (datetime(2025, 11, 2, 20, 15, tzinfo=UTC), datetime(2025, 11, 4, tzinfo=UTC)),
    ]


def test_a_keyed_feed_without_a_start_is_rejected() -> None:
    wanted = replace(request("police_112", URL, START.isoformat(), END.isoformat()), window_start=None)
    with pytest.raises(FeedError, match="--from"):
        list(windows(wanted))


def test_all_pages_of_an_export_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (export(n, 2, {"n": n}) for n in (1, 2))
    queries = answering(monkeypatch, first, second)
    assert read_pages() == (orjson.dumps(first), orjson.dumps(second))
    assert [(query["page"], query["updated_from"]) for query in queries] == [
        (n, "2025-11-01T00:00:00+00:00") for n in (1, 2)
    ]


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([export(2, 2)], "page 2 instead of 1"),
        ([export(1, 9, {"n": 1}), export(2, 9)], "counts 9 rows but sent 1"),
        ([export(1, 2, {"n": 1}), export(2, 3, {"n": 2})], "counted 2 rows and then 3"),
        ([export(1, 2, {"n": 1})], "returned page 1 instead of 2"),
        ([export(n, 4, {"n": 2 - n % 2}) for n in (1, 2, 3, 4)], "returned page 1 again instead of 3"),
        ([export(1, 1, {"n": 1}, {"n": 2})], "counts 1 rows but sent 2"),
        ([{"page": 1}], "the export's format changed"),
        ([{"page": 1, "total": 1, "incidents": [1]}], "the export's format changed"),
        ([b'{"page": 1, "total": 1, "incidents": [{"n": 01}]}'], "expected JSON"),
        ([b"busy"], "expected JSON"),
    ],
)
def test_an_inconsistent_export_is_rejected(monkeypatch: pytest.MonkeyPatch, pages: list[Any], reason: str) -> None:
    answering(monkeypatch, *pages)
    with pytest.raises(FeedError, match=reason):
        read_pages()


def test_too_many_rows_are_reported_with_their_number_after_the_first_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queries = answering(monkeypatch, export(1, 7, {"n": 1}))
    with pytest.raises(TooLarge, match="counts 7 rows, more than the 6 of max_rows") as refused:
        read_pages(max_rows=6)
    assert refused.value.total == 7
    queries += answering(monkeypatch, portal(7, [{"n": 1}]))
    with pytest.raises(TooLarge, match="counts 7 rows, more"):
        read_portal(max_rows=6)
    assert len(queries) == 1


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_page_that_repeats_a_record_of_the_previous_page_is_rejected(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    first, second, third = ({"n": str(n)} for n in (1, 2, 3))
    sent = [as_form(form, [first, second], 4, 1), as_form(form, [second, third], 4, 2)]
    answering(monkeypatch, *sent)
    with pytest.raises(FeedError, match=r"repeated records of page 1 on page 2.*in each of 3 attempts.*run again"):
        read_portal(result_type=form)
    answering(monkeypatch, export(1, 4, first, second), export(2, 4, second, third))
    with pytest.raises(FeedError, match=r"repeated records of page 1 on page 2.*in each of 3 attempts.*run again"):
        read_pages()


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_record_that_the_source_lists_twice_is_accepted_when_it_is_again_in_the_same_places(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    records = [{"n": str(n)} for n in (1, 2, 3, 1)]
    queries = answering(monkeypatch, as_form(form, records[:2], 4, 1), as_form(form, records[2:], 4, 2))
    assert data_go_kr.rows(read_portal(result_type=form))["n"].to_list() == ["1", "2", "3", "1"]
    assert [query["pageNo"] for query in queries] == [1, 2, 1, 2]


def test_records_that_come_twice_in_other_places_each_time_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # A source without a fixed order: the total is right and another record is missing each time.
    pages = [
        page for n in range(3) for page in (export(1, 4, {"n": n}, {"n": n + 1}), export(2, 4, {"n": 9}, {"n": n}))
    ]
    queries: list[int] = []

    def get(url: str, params: Mapping[str, Any], **_: Any) -> bytes:
        queries.append(params["page"])
        return orjson.dumps(pages[len(queries) - 1])

    monkeypatch.setattr(http, "get", get)
    with pytest.raises(FeedError, match="sent records on two pages, other ones each time, in each of 3 attempts"):
        read_pages()
    assert queries == [1, 2] * 3


@pytest.mark.parametrize(
    "moved",
    [
        [export(1, 2, {"n": 1}), export(2, 3, {"n": 2})],
        [export(1, 2, {"n": 1}), export(2, 2, {"n": 1})],
        [export(1, 2, {"n": 1}), export(1, 2, {"n": 1})],
        [export(1, 2, {"n": 1}), export(2, 2)],
    ],
    ids=["total changed", "record moved", "first page again", "empty page"],
)
def test_an_export_that_changes_once_is_read_again(monkeypatch: pytest.MonkeyPatch, moved: list[Any]) -> None:
    whole = [export(1, 2, {"n": 1}), export(2, 2, {"n": 2})]
    sent = iter([*moved, *whole])
    monkeypatch.setattr(http, "get", lambda url, params, **_: orjson.dumps(next(sent)))
    assert read_pages() == tuple(orjson.dumps(page) for page in whole)


def test_a_portal_that_sends_ever_shorter_pages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []

    def get(url: str, params: Mapping[str, Any], **_: Any) -> bytes:
        numbers.append(params["pageNo"])
        records = [{"n": str(n)} for n in range(100)] if len(numbers) == 1 else [{"n": f"more {len(numbers)}"}]
        return as_form("json", records, 1000, params["pageNo"])

    monkeypatch.setattr(http, "get", get)
    with pytest.raises(FeedError, match="sends pages without end for 1000 rows"):
        read_portal(page_size=100)
    assert len(numbers) == 30


@pytest.mark.parametrize(
    ("items", "numbers"),
    [
        ([{"n": "1"}, {"n": "2"}], ["1", "2"]),
        ({"item": [{"n": "1"}]}, ["1"]),
        ({"item": {"n": "1"}}, ["1"]),
        ({"item": []}, []),
        ("", []),
        (None, []),
    ],
)
def test_items_are_read_in_every_format(monkeypatch: pytest.MonkeyPatch, items: Any, numbers: list[str]) -> None:
    answering(monkeypatch, portal(len(numbers), items))
    records = data_go_kr.rows(read_portal())
    assert (records["n"].to_list() if numbers else records.rows()) == numbers


def test_counts_may_be_text_and_outside_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"resultCode": "00", "resultMsg": "NORMAL SERVICE"}
    answering(monkeypatch, {"response": {"header": header, "totalCount": "1", "pageNo": "1", "body": {"items": [{}]}}})
    assert len(read_portal()) == 1


NO_DATA = [
    portal(0, ""), portal(0, None), portal(0, {}), portal(0, []), portal(0, {"item": ""}),
    {"response": {"header": {"resultCode": "03", "resultMsg": "NODATA_ERROR"}}},
    b"<response><header><resultCode>03</resultCode><resultMsg>NODATA_ERROR</resultMsg></header></response>",
]  # fmt: skip


@pytest.mark.parametrize("answer", NO_DATA)
def test_a_window_without_records_is_empty_however_the_portal_says_so(
    monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    answering(monkeypatch, answer)
    assert data_go_kr.rows(read_portal()).height == 0


@pytest.mark.parametrize("code", ["0", "00", "0000"])
def test_every_spelling_of_success_is_success(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    answering(monkeypatch, portal(1, [{"n": "1"}], code))
    assert data_go_kr.rows(read_portal()).height == 1


@pytest.mark.parametrize("secret", ["ab+cd/ef==", "ab%2Bcd%2Fef%3D%3D", " ab+cd/ef==\n", "ab%2bcd%2fef%3d%3d "])
def test_the_plain_and_the_encoded_key_are_sent_alike(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    queries = answering(monkeypatch, portal(0, ""))
    data_go_kr.pages(request("fire_119", URL, START.isoformat(), END.isoformat(), secret), "getCallReception", {})
    assert queries[0]["serviceKey"] == "ab+cd/ef=="


def test_a_refusal_of_the_gateway_in_json_states_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"returnAuthMsg": "SERVICE_KEY_IS_NOT_REGISTERED_ERROR", "returnReasonCode": "30"}
    answering(monkeypatch, {"OpenAPI_ServiceResponse": {"cmmMsgHeader": header}})
    with pytest.raises(
        FeedError, match="error 30 SERVICE_KEY_IS_NOT_REGISTERED_ERROR; the portal does not know the key"
    ):
        read_portal()


@pytest.mark.parametrize("form", ["json", "xml"])
def test_pages_of_the_portal_are_read_until_all_rows_are_there(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    # The portal sends fewer rows a page than requested.
    sent = [as_form(form, [{"n": "1"}, {"n": "2"}], total=3, page=1), as_form(form, [{"n": "3"}], total=3, page=2)]
    queries = answering(monkeypatch, *sent)
    parts = read_portal(page_size=1000, result_type=form)
    assert data_go_kr.rows(parts)["n"].to_list() == ["1", "2", "3"]
    assert data_go_kr.rows(parts[1:])["n"].to_list() == ["3"]
    assert [(query["pageNo"], query["resultType"]) for query in queries] == [(1, form), (2, form)]
    assert queries[0]["serviceKey"] == "hidden"


# Excluded because neither format can carry them: control characters, and line ends that XML normalizes.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=8
)


FIELDS = ("dclr_rcpt_no", "vhcl_no", "chg_dt", "rcpt_path_nm")
VALUE = TEXT | st.none() | st.integers(0, 10**9)
RECORD = st.fixed_dictionaries({FIELDS[0]: TEXT}, optional=dict.fromkeys(FIELDS[1:], VALUE))


@given(st.lists(RECORD, min_size=1, max_size=6))
def test_json_and_xml_of_the_same_answer_give_the_same_rows(records: list[dict[str, Any]]) -> None:
    ours = replace(FEED, columns=dict.fromkeys(FIELDS, pl.String))
    frames = [
        data_go_kr.rows([as_form(form, records), as_form(form, [dict.fromkeys(ours.columns, "x")])])
        for form in ("json", "xml")
    ]
    assert_frame_equal(conform(ours, frames[0]), conform(ours, frames[1]))


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (REFUSED, "22 LIMITED_NUMBER.*after midnight Korean time"),
        (portal(0, "", code="20"), "returned error 20 x; the key may not use this service"),
        (b"<response><header><resultCode>31</resultCode></header><body/></response>", "31 .*expired"),
        ({"response": {"header": {"resultCode": "77"}, "body": ""}}, "77 .*guide"),
        ({"response": {}}, "format changed"),
        ({"response": {"header": {"resultCode": "00"}, "body": {}}}, "format changed"),
        (b"<response><header><resultCode>00</resultCode></header><body/></response>", "format changed"),
        (b"<response><header>", "is not well-formed XML"),
        ("<response>말</response>".encode("cp949"), "is not well-formed XML"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]><response>&a;</response>', "document type"),
        (portal(1, [1]), "format changed"),
        (portal(1, 1), "format changed"),
        (b"busy", "expected JSON"),
        (b'{"response": \xff}', "expected JSON"),
        (b'{"response": {"header": {"x": ' + b"[" * 5000, "expected JSON"),
    ],
    ids=lambda given: str(given)[:60],
)
def test_a_portal_error_states_the_reason_and_never_the_key(
    monkeypatch: pytest.MonkeyPatch, page: Any, reason: str, form: str
) -> None:
    queries = answering(monkeypatch, page)
    with pytest.raises(FeedError, match=reason) as refused:
        read_portal(result_type=form)
    assert "hidden" not in str(refused.value)
    assert len(queries) == 1, "permanent errors are not retried"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([portal(5, [{"n": 1}]), portal(5, "")], "counts 5 rows but sent 1"),
        ([portal(5, [{"n": 1}])], "returned page 1 again instead of 2"),
        ([portal(2, [{"n": 1}]), portal(3, [{"n": 2}])], "counted 2 rows and then 3"),
    ],
    ids=["last page missing", "the same page for ever", "total changed"],
)
def test_inconsistent_pages_are_rejected(monkeypatch: pytest.MonkeyPatch, sent: list[Any], reason: str) -> None:
    answering(monkeypatch, *sent)
    with pytest.raises(FeedError, match=reason):
        read_portal()


def test_an_answer_in_the_wrong_format_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, as_form("xml", [{"n": "1"}]))
    with pytest.raises(FeedError, match=r"requested as json.*result_type"):
        read_portal()


@pytest.mark.parametrize("code", ["1", "01", "2", "02", "4", "99"])
def test_temporary_portal_errors_are_retried_and_permanent_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(http, "_sleep", waits.append)
    busy = f"<response><header><resultCode>{code}</resultCode></header></response>".encode()
    queries = answering(monkeypatch, busy, busy, portal(1, [{"n": 1}]))
    assert len(read_portal()) == 1
    assert (len(queries), waits) == (3, [5, 10])
    answering(monkeypatch, busy)
    with pytest.raises(FeedError, match=f"returned error {code}.*run again"):
        read_portal()
