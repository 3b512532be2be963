"""Services of Korea's public data portal (data.go.kr): `serviceKey, pageNo, numOfRows, resultType` json or xml.

Pitfalls: errors arrive with status 200, as XML whatever format was requested, or as a result code other than '00';
`items` is a list in some answers, `{"item": […]}` in others, one bare record when there is one, and "", null or {} when
there is none, or the answer is code 03 without a body; counts are numbers or text, inside the body or next to it. A
field that a record lacks is null, an empty one "". Each key exists twice on the portal's page, plain and
percent-encoded; users paste either. Source: the portal's guides to the 119 services (codes, both formats, position of
the counts).
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote
from xml.etree import ElementTree

import httpx
import msgspec
import polars as pl
import tenacity

from pipelines.feeds.feed import FeedError, Request
from pipelines.feeds.protocols import http
from pipelines.feeds.protocols.offset_pages import NumberedPage, numbered
from pipelines.feeds.protocols.paged_json import checked, hashes, unnested

SUCCESS = ("0", "00", "0000")
NO_DATA = ("3", "03")
ATTEMPTS = 4
FIRST_WAIT_SECONDS = 5.0

_PASSING = "a temporary error of the portal: run again"
PASSING = {
    "1": f"application error, {_PASSING}",
    "2": f"error of the portal's database, {_PASSING}",
    "4": f"the service behind the portal does not answer, {_PASSING}",
    "5": f"the service behind the portal timed out, {_PASSING}",
    "99": f"an unspecified error, {_PASSING}",
}
"""Codes that are retried, with what to do if they persist."""
LASTING = {
    "10": "a parameter is wrong or missing: check the feed's url and page_size in the profile",
    "12": "the service is closed or does not exist: check the feed's url in the profile",
    "20": "the key may not use this service: apply for it on the portal",
    "22": "the daily quota is used up: run again after midnight Korean time",
    "30": "the portal does not know the key: set the environment variable that the profile names under `secret`",
    "31": "the key has expired: renew it on the portal",
    "32": "this machine's address is not registered with the key: register it on the portal",
}
"""Codes that are not retried."""


_ITEMS = "body/items/item"


class _Busy(FeedError):
    """An error that may be temporary."""


def pages(request: Request, operation: str, wanted: Mapping[str, str]) -> tuple[bytes, ...]:
    """Read all pages of an operation, byte for byte.

    Raises:
        TooLarge: The operation counts more rows than one delivery may hold; only its first page was read.
        FeedError: The portal returns an error, or the pages contradicted each other in every attempt.
    """
    url = f"{request.url.rstrip('/')}/{operation}"
    form = request.source.result_type or "json"
    key = {"serviceKey": plain_key(request.secret)}
    with http.session() as client:

        def ask(number: int) -> NumberedPage:
            query = {"pageNo": number, "numOfRows": request.source.page_size, "resultType": form, **wanted}
            return _read(client, url, {**key, **query}, form)

        if request.first_page:
            return (ask(1).body,)
        return numbered(ask, request.source.max_rows, http.place(url, wanted))


def plain_key(secret: str | None) -> str | None:
    """Return a key as the portal checks it: without blanks around it, and not percent-encoded."""
    return secret and unquote(secret.strip())


def rows(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the rows of all pages with all their fields; without rows, return an empty frame."""
    return unnested([_xml_items(part) if _is_xml(part) else _json_items(part) for part in parts])


def _read(client: httpx.Client, url: str, query: Mapping[str, object], form: str) -> NumberedPage:
    """Return one page; temporary errors are retried."""

    def once() -> NumberedPage:
        return _described(http.get(url, query, client=client), form, http.place(url, query))

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Busy),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=http.LONGEST_WAIT_SECONDS),
        sleep=lambda seconds: http._sleep(seconds),
        reraise=True,
    )
    return retrying(once)


def _described(part: bytes, form: str, where: str) -> NumberedPage:
    code, message, page = _xml_answer(part, where) if _is_xml(part) else _json_answer(part, where)
    if code in NO_DATA:
        return NumberedPage(part, (), 0, None)
    if code not in SUCCESS:
        short = code.lstrip("0")
        hint = PASSING.get(short) or LASTING.get(short, "see the service's guide")
        raise (_Busy if short in PASSING else FeedError)(f"{where}: the portal returned error {code} {message}; {hint}")
    if page is None:
        raise FeedError(f"{where} returned no totalCount or items: the service's format changed")
    if _is_xml(part) != (form == "xml"):
        raise FeedError(f"{where} was requested as {form} but is in the other format: set `result_type` in the profile")
    return page


def _is_xml(part: bytes) -> bool:
    return part.removeprefix(http.BOM).lstrip().startswith(b"<")


_ABSENT = msgspec.Raw(b"")


class _Items(msgspec.Struct):
    item: msgspec.Raw = _ABSENT


class _Body(msgspec.Struct, rename="camel"):
    items: msgspec.Raw = _ABSENT
    total_count: int | None = None
    page_no: int | None = None


class _Header(msgspec.Struct, rename="camel"):
    result_code: str | int
    result_msg: str | None = None


class _Response(msgspec.Struct, rename="camel"):
    header: _Header
    body: _Body | str | None = None
    total_count: int | None = None
    page_no: int | None = None


class _Gateway(msgspec.Struct, rename="camel"):
    """What the gateway in front of the services answers."""

    return_reason_code: str | int
    return_auth_msg: str = ""


class _Refusal(msgspec.Struct, rename={"header": "cmmMsgHeader"}):
    header: _Gateway


class _Answer(msgspec.Struct, rename={"refusal": "OpenAPI_ServiceResponse"}):
    response: _Response | None = None
    refusal: _Refusal | None = None


def _json_answer(part: bytes, where: str) -> tuple[str, str, NumberedPage | None]:
    """Return the result code, the message and, on success, the page."""
    try:
        answer = msgspec.json.decode(part.removeprefix(http.BOM), type=_Answer, strict=False)
        if answer.refusal:
            gateway = answer.refusal.header
            return str(gateway.return_reason_code), gateway.return_auth_msg, None
        if (response := answer.response) is None:
            raise msgspec.ValidationError("it has no `response`")
        body = response.body if isinstance(response.body, _Body) else _Body()
        records = _records(body.items)
    except msgspec.ValidationError as error:
        raise FeedError(f"{where} is not an answer of the portal ({error}): the service's format changed") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedError(f"{where}: expected JSON, but the answer begins {part[:80]!r} ({error})") from None
    code, message = str(response.header.result_code), response.header.result_msg or ""
    total = response.total_count if body.total_count is None else body.total_count
    if total is None or records is None:
        return code, message, None
    return code, message, NumberedPage(part, hashes(records), total, body.page_no or response.page_no)


def _records(items: msgspec.Raw, is_inner: bool = False) -> Sequence[msgspec.Raw] | None:
    """Return the records of `items` as received: a list, or an object whose `item` is a list or one bare record.

    Blank text, null and {} mean no records; None means that there is no `items`.
    """
    opening = bytes(memoryview(items)[:1])
    if opening == b"[":
        return checked(msgspec.json.decode(items, type=list[msgspec.Raw]))
    if opening == b"{":
        return [items] if is_inner else _records(msgspec.json.decode(items, type=_Items).item, is_inner=True)
    if opening not in (b'"', b"n", b""):
        raise msgspec.ValidationError(f"items begin {opening!r}")
    return [] if opening or is_inner else None


def _json_items(part: bytes) -> pl.Series:
    answer = pl.read_json(part, infer_schema_length=None)
    for name in ("response", "body", "items"):
        if name not in answer.columns:
            return pl.Series()
        answer = answer.select(pl.col(name)) if name == "items" else answer.select(name).unnest(name)
    items = answer["items"]
    if isinstance(items.dtype, pl.Struct):
        items = items.struct.field("item") if items.struct.fields else pl.Series()
    return items.implode() if isinstance(items.dtype, pl.Struct) else items


def _xml(part: bytes, where: str = "the answer") -> ElementTree.Element:
    """Return the root of an answer.

    Raises:
        FeedError: It is not well-formed UTF-8 XML, or it declares a document type, whose entities could expand without
            limit.
    """
    try:
        text = part.decode("utf-8-sig")
        if re.search(r"<!(?:DOCTYPE|ENTITY)", text, re.I):
            raise FeedError(f"{where} is XML with a document type, which no answer of the portal has; it was rejected")
        return ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise FeedError(f"{where} is not well-formed XML ({error}): run again") from error


def _xml_answer(part: bytes, where: str) -> tuple[str, str, NumberedPage | None]:
    root = _xml(part, where)
    code = _text(root, "header/resultCode", "cmmMsgHeader/returnReasonCode") or "?"
    message = _text(root, "header/resultMsg", "cmmMsgHeader/returnAuthMsg", "cmmMsgHeader/errMsg")
    total, number = _text(root, "body/totalCount", "totalCount"), _text(root, "body/pageNo", "pageNo")
    if root.find("body/items") is None or not total.isdigit():
        return code, message, None
    rows = [hash(tuple((field.tag, field.text) for field in item)) for item in root.findall(_ITEMS)]
    return code, message, NumberedPage(part, rows, int(total), int(number) if number.isdigit() else None)


def _text(root: ElementTree.Element, *paths: str) -> str:
    return next((text.strip() for path in paths if (text := root.findtext(path))), "")


def _xml_items(part: bytes) -> pl.Series:
    records = [{field.tag: field.text or "" for field in item} for item in _xml(part).findall(_ITEMS)]
    return pl.DataFrame(records, infer_schema_length=None).to_struct().implode()
