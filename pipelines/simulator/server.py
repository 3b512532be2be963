"""The simulated police and fire services over real HTTP on loopback.

Police: a paged JSON export of changes, `GET /v1/incidents?updated_from=…&updated_to=…&page=1&page_size=5000`, and the
list of current calls, `GET /v1/incident-keys?reported_from=…&reported_to=…&page=1&page_size=5000`, key in the header
`X-API-Key`. Fire: the data.go.kr convention, `GET
/fire/getCallReception?serviceKey=…&pageNo=1&numOfRows=5000&resultType=json&…`, XML unless JSON is requested; errors are
XML with status 200, as there. Both keys are `KEY`. Changes at or after ``now`` are not known yet.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import orjson
import polars as pl

from pipelines.config.profile import Profile
from pipelines.simulator import fire, police
from pipelines.simulator.agencies import provinces
from pipelines.simulator.clock import months
from pipelines.simulator.places import places

KEY = "simulated"
POLICE_PATH = "/v1/incidents"
KEYS_PATH = "/v1/incident-keys"
FIRE_PATH = "/fire/getCallReception"
FIRE_FORM = "%Y%m%d%H%M%S"
MAX_PAGE = 10_000
JSON = "application/json"
XML = "text/xml"


class History:
    """Changes of the simulated records by window. A window is built on first request and cached for a while."""

    def __init__(self, profile: Profile, now: datetime) -> None:
        self.profile = profile
        self.now = now
        for province in provinces(profile):
            # Built before the first request: loading the nation's boundaries takes longer than an answer may.
            places(profile, province)
        self._lock = threading.Lock()
        self._window = lru_cache(maxsize=4)(self._cut)
        self._standing = lru_cache(maxsize=2)(self._listed)

    def window(self, agency: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the changes of an agency in [start, end), in order of change; none at or after ``now``.

        Records that vanished before ``now`` are in no window.
        """
        with self._lock:
            return self._window(agency, int(start.timestamp()), int(min(end, self.now).timestamp()))

    def keys(self, start: datetime, end: datetime) -> pl.Series:
        """Return the numbers of police records reported in [start, end) that are current at ``now``, in order."""
        with self._lock:
            return self._standing(int(start.timestamp()), int(min(end, self.now).timestamp()))

    def _cut(self, agency: str, start: int, end: int) -> pl.DataFrame:
        module = {"police": police, "fire": fire}[agency]
        parts = [
            _changes(self.profile, agency, province, days, (start, end), int(self.now.timestamp()))
            for province in provinces(self.profile)
            for days in self._days(start, max(start, end), module.LONGEST_CHANGE_DAYS + 1)
        ]
        frame = pl.concat(parts)
        # The key makes the order of equal instants deterministic, so that pages never overlap.
        return frame.sort("_updated", *frame.columns[:2]).drop("_updated")

    def _listed(self, start: int, end: int) -> pl.Series:
        now = int(self.now.timestamp())
        parts = []
        for province in provinces(self.profile):
            for first, last in self._days(start, max(start, end), 0):
                records = police.records(self.profile, province, first, last)
                inside = (records.reported >= start) & (records.reported < end)
                parts.append(police.keys(self.profile, records.where(inside), now))
        return pl.concat(parts).sort()

    def _days(self, start: int, end: int, before: int) -> list[tuple[date, date]]:
        """Return the local days of a window and ``before`` days earlier, split at the first day of each month."""
        zone = self.profile.zone
        earliest = datetime.fromtimestamp(start, zone).date() - timedelta(days=before)
        return months(earliest, datetime.fromtimestamp(end, zone).date() + timedelta(days=1))


def _changes(
    profile: Profile, agency: str, province: str, days: tuple[date, date], window: tuple[int, int], now: int
) -> pl.DataFrame:
    if agency == "fire":
        return fire.versions(profile, fire.records(profile, province, *days), window)
    records = police.records(profile, province, *days)
    return police.versions(profile, records.where(records.vanished > now), window)


@contextmanager
def serve(profile: Profile, now: datetime, port: int = 0) -> Iterator[str]:
    """Serve both agencies on loopback in their state at ``now``; yield the base URL."""
    history = History(profile, now)
    answers = {POLICE_PATH: _police, KEYS_PATH: _keys, FIRE_PATH: _fire}
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(history, answers))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="simulator", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Refused(Exception):
    """An answer that is not data: status, type and body."""

    def __init__(self, status: int, kind: str, body: bytes) -> None:
        super().__init__(status)
        self.status, self.kind, self.body = status, kind, body


Query = Mapping[str, str]
Answer = Callable[[History, Query, Query], tuple[str, bytes]]
"""Function of history, query and headers that returns type and body of an answer."""


def _handler(history: History, answers: Mapping[str, Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            try:
                if parts.path not in answers:
                    raise _Refused(404, JSON, b'{"error":"no such path"}')
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, (kind, body) = 200, answers[parts.path](history, query, headers)
            except _Refused as refusal:
                status, kind, body = refusal.status, refusal.kind, refusal.body
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _police(history: History, query: Query, headers: Query) -> tuple[str, bytes]:
    start, end, page, size = _requested(query, headers, "updated_from", "updated_to")
    changes = history.window("police", start, end)
    rows = changes.slice((page - 1) * size, size).write_json()
    return JSON, f'{{"page":{page},{_counted(changes.height, size)},"incidents":{rows}}}'.encode()


def _keys(history: History, query: Query, headers: Query) -> tuple[str, bytes]:
    start, end, page, size = _requested(query, headers, "reported_from", "reported_to")
    records = history.keys(start, end)
    listed_at = history.now.astimezone(history.profile.zone).isoformat()
    numbers = orjson.dumps(records.slice((page - 1) * size, size).to_list()).decode()
    counted = _counted(len(records), size)
    return JSON, f'{{"page":{page},{counted},"listed_at":"{listed_at}","keys":{numbers}}}'.encode()


def _requested(query: Query, headers: Query, first: str, last: str) -> tuple[datetime, datetime, int, int]:
    """Return the window, page and page size of a police request."""
    if headers.get("x-api-key") != KEY:
        raise _Refused(401, JSON, b'{"error":"unknown key"}')
    try:
        start, end = (datetime.fromisoformat(query[name]) for name in (first, last))
        page, size = int(query.get("page", "1")), int(query.get("page_size", "1000"))
    except (KeyError, ValueError) as error:
        raise _Refused(400, JSON, orjson.dumps({"error": f"bad request: {error}"})) from error
    if start.tzinfo is None or end.tzinfo is None or not (0 < size <= MAX_PAGE and page > 0):
        raise _Refused(400, JSON, f'{{"error":"instants need an offset; page_size is at most {MAX_PAGE}"}}'.encode())
    return start, end, page, size


def _counted(total: int, size: int) -> str:
    return f'"pages":{max(1, -(-total // size))},"total":{total}'


def _fire(history: History, query: Query, headers: Query) -> tuple[str, bytes]:
    if query.get("serviceKey") != KEY:
        raise _portal_error("SERVICE_KEY_IS_NOT_REGISTERED_ERROR", 30)
    try:
        zone = history.profile.zone
        start, end = (
            datetime.strptime(query[name], FIRE_FORM).replace(tzinfo=zone) for name in ("chgDtFrom", "chgDtTo")
        )
        page, size = int(query.get("pageNo", "1")), int(query.get("numOfRows", "10"))
        form = {"xml": _xml, "json": _json}[query.get("resultType", "xml")]
        if not (0 < size <= MAX_PAGE and page > 0):
            raise ValueError("numOfRows")
    except (KeyError, ValueError) as error:
        raise _portal_error("INVALID_REQUEST_PARAMETER_ERROR", 10) from error
    records = history.window("fire", start, end)
    return form(records.slice((page - 1) * size, size), page, size, records.height)


def _json(rows: pl.DataFrame, page: int, size: int, total: int) -> tuple[str, bytes]:
    text = rows.write_json()
    # The real services send `items` as a list in some answers, as {"item": […]} in others, and as "" when empty.
    items = '""' if rows.is_empty() else text if page % 2 == 0 else f'{{"item":{text}}}'
    header = '{"resultCode":"00","resultMsg":"NORMAL SERVICE"}'
    body = f'{{"pageNo":{page},"numOfRows":{size},"totalCount":{total},"items":{items}}}'
    return JSON, f'{{"response":{{"header":{header},"body":{body}}}}}'.encode()


def _xml(rows: pl.DataFrame, page: int, size: int, total: int) -> tuple[str, bytes]:
    """Return rows as elements; a field without a value is left out, an empty one is an empty element."""
    fields = [
        pl.format(f"<{name}>{{}}</{name}>", pl.col(name).str.replace_many(["&", "<", ">"], ["&amp;", "&lt;", "&gt;"]))
        for name in rows.columns
    ]
    items = rows.select(pl.format("<item>{}</item>", pl.concat_str(fields, ignore_nulls=True))).to_series()
    header = "<header><resultCode>00</resultCode><resultMsg>NORMAL SERVICE</resultMsg></header>"
    counts = f"<numOfRows>{size}</numOfRows><pageNo>{page}</pageNo><totalCount>{total}</totalCount>"
    body = f"<body><items>{''.join(items.to_list())}</items>{counts}</body>"
    return XML, f'<?xml version="1.0" encoding="UTF-8"?><response>{header}{body}</response>'.encode()


def _portal_error(message: str, code: int) -> _Refused:
    body = (
        "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>"
        f"<returnAuthMsg>{message}</returnAuthMsg><returnReasonCode>{code}</returnReasonCode>"
        "</cmmMsgHeader></OpenAPI_ServiceResponse>"
    )
    return _Refused(200, XML, body.encode())
