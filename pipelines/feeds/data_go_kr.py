"""Services of Korea's public data portal (data.go.kr): `serviceKey, pageNo, numOfRows, resultType=json`.

Traps: errors come as XML with status 200, or as a result code other than '00'; `items` is a list in some answers,
`{"item": […]}` in others, one bare record when there is one, and "" when there is none.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipelines.feeds import http
from pipelines.feeds.feed import FeedError, Request
from pipelines.feeds.paged_json import unnested

SUCCESS = "00"
_HINTS = {
    "20": "the key may not use this service: apply for it on the portal",
    "22": "the day's allowance is used up: it is renewed at midnight Korean time",
    "30": "the portal does not know the key: set the environment variable that the profile names under `secret`",
    "31": "the key has expired: renew it on the portal",
    "32": "this machine's address is not registered with the key",
}


def pages(request: Request, operation: str, wanted: Mapping[str, str]) -> tuple[bytes, ...]:
    """Read all pages of an operation, byte for byte.

    Raises:
        FeedError: the portal refuses, or the pages together lack rows that it counted.
    """
    url = f"{request.url.rstrip('/')}/{operation}"
    size = request.source.page_size
    parts: list[bytes] = []
    received, total = 0, 0
    with http.session() as client:
        while not parts or len(parts) * size < total:
            query = {"pageNo": len(parts) + 1, "numOfRows": size, "resultType": "json", **wanted}
            where = http.place(url, query)
            part = http.get(url, {"serviceKey": request.secret, **query}, client=client)
            body = _body(part, where)
            total = int(body["totalCount"])
            received += _count(body["items"])
            parts.append(part)
    if received != total:
        raise FeedError(f"{url} counts {total} rows but sent {received}: run again")
    return tuple(parts)


def rows(parts: Sequence[bytes]) -> pl.DataFrame:
    """The rows of all pages, with whatever fields they bring; no rows give an empty frame."""
    return unnested([_items(part) for part in parts])


def _items(part: bytes) -> pl.Series:
    answer = pl.read_json(part, infer_schema_length=None)["response"].struct.field("body")
    items = answer.struct.field("items")
    if isinstance(items.dtype, pl.Struct):
        items = items.struct.field("item")
    return items.implode() if isinstance(items.dtype, pl.Struct) else items


def _body(part: bytes, where: str) -> dict[str, Any]:
    if part.lstrip().startswith(b"<"):
        text = part.decode("utf-8", "replace")
        code, message = _tag(text, "returnReasonCode"), _tag(text, "returnAuthMsg") or _tag(text, "errMsg")
        raise FeedError(
            f"{where}: the portal refuses with {code or '?'} {message}; {_HINTS.get(code, 'see its guide')}"
        )
    response = http.decode(part, where).get("response")
    try:
        header, body = response["header"], response["body"]  # type: ignore[index]
        code = str(header["resultCode"])
    except (KeyError, TypeError) as error:
        raise FeedError(f"{where} does not answer response, header and body: the service's format changed") from error
    if code != SUCCESS:
        hint = _HINTS.get(code, "see its guide")
        raise FeedError(f"{where}: the portal refuses with {code} {header.get('resultMsg', '')}; {hint}")
    if not isinstance(body, dict) or not {"totalCount", "items"} <= body.keys():
        raise FeedError(f"{where} answers without totalCount and items: the service's format changed")
    return body


def _count(items: object) -> int:
    if isinstance(items, dict):
        items = items.get("item", [])
    return len(items) if isinstance(items, list) else int(isinstance(items, dict))


def _tag(text: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", text, re.S)
    return found[1].strip() if found else ""
