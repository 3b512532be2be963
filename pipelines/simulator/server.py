"""The simulated police and fire services over real HTTP on loopback, and the investigation agency's drop folder.

Police: a paged JSON export of changes, `GET /v1/incidents?updated_from=…&updated_to=…&page=1&page_size=5000`, key in
the header `X-API-Key`. Fire: the data.go.kr convention, `GET
/fire/getCallReception?serviceKey=…&pageNo=1&numOfRows=5000&resultType=json&…`; its errors come as XML with status
200, as there. Both keys are `KEY`. Nothing that changed at or after ``now`` is known yet.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import orjson
import polars as pl

from pipelines.profile import Profile
from pipelines.settings import Settings
from pipelines.simulator import cases, fire, police
from pipelines.simulator.clock import months
from pipelines.simulator.events import truth

KEY = "simulated"
POLICE_PATH = "/v1/incidents"
FIRE_PATH = "/fire/getCallReception"
FIRE_FORM = "%Y%m%d%H%M%S"


class History:
    """Changes of the simulated records by window, made month by month of reception and kept for a while."""

    def __init__(self, profile: Profile, now: datetime) -> None:
        self.profile = profile
        self.now = now
        self._lock = threading.Lock()
        self._month = lru_cache(maxsize=8)(self._made)
        self._window = lru_cache(maxsize=4)(self._cut)

    def window(self, agency: str, start: datetime, end: datetime) -> pl.DataFrame:
        """The changes of an agency in [start, end), in order of change; none at or after ``now``."""
        with self._lock:
            return self._window(agency, int(start.timestamp()), int(min(end, self.now).timestamp()))

    def _cut(self, agency: str, start: int, end: int) -> pl.DataFrame:
        if end <= start:
            return self._month(agency, date(2000, 1, 1)).clear().drop("_updated")
        module = {"police": police, "fire": fire}[agency]
        zone = self.profile.zone
        earliest = datetime.fromtimestamp(start, zone).date() - timedelta(days=module.LONGEST_CHANGE_DAYS + 1)
        latest = datetime.fromtimestamp(end, zone).date()
        inside = pl.col("_updated").is_between(start, end, closed="left")
        parts = [self._month(agency, month).filter(inside) for month in months(earliest, latest)]
        frame = pl.concat(parts)
        # The key makes the order of equal instants certain, so that pages never overlap.
        return frame.sort("_updated", *frame.columns[:2]).drop("_updated")

    def _made(self, agency: str, month: date) -> pl.DataFrame:
        following = (month + timedelta(days=32)).replace(day=1)
        if agency == "police":
            return police.versions(self.profile, police.records(self.profile, month, following))
        return fire.versions(self.profile, fire.records(self.profile, month, following))


@contextmanager
def serve(profile: Profile, now: datetime, port: int = 0) -> Iterator[str]:
    """Serve both agencies on loopback as they stood at ``now``; yields the base URL."""
    history = History(profile, now)
    answers = {POLICE_PATH: _police, FIRE_PATH: _fire}
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


def drop(profile: Profile, folder: Path, start: date, end: date) -> list[Path]:
    """Write the investigation agency's daily files of the local days [start, end); returns their paths.

    Writing again gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changes = cases.versions(profile, start - timedelta(days=cases.LONGEST_CHANGE_DAYS), end)
    written = []
    for ordinal in range(start.toordinal(), end.toordinal()):
        day = date.fromordinal(ordinal)
        path = folder / f"cases_{day:%Y%m%d}.csv"
        aside = path.with_suffix(".part")
        aside.write_bytes(cases.daily_file(changes, day, profile.time_zone))
        aside.replace(path)
        written.append(path)
    return written


@contextmanager
def serving(settings: Settings, feed: str, asked: Sequence[tuple[datetime | None, datetime]]) -> Iterator[str]:
    """Stand up the source of one simulated feed as it is at ``as_of``, for the windows asked for; yields its URL.

    The key is `KEY`. Dropped files lie under ``settings.work`` and vanish afterwards.

    Raises:
        ValueError: nobody simulates this feed.
    """
    profile = settings.profile
    if feed == "investigation_cases":
        settings.work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="drop-", dir=settings.work) as folder:
            starts = [start for start, _ in asked if start is not None]
            first = min(starts, default=settings.as_of).astimezone(profile.zone).date()
            drop(profile, Path(folder), first - timedelta(days=1), settings.as_of.astimezone(profile.zone).date())
            yield Path(folder).absolute().as_uri()
        return
    paths = {"police_112": "", "fire_119": "/fire"}
    if feed not in paths:
        raise ValueError(f"nobody simulates {feed!r}; simulated are {[*paths, 'investigation_cases']}")
    with serve(profile, settings.as_of) as base:
        yield base + paths[feed]


def tables(profile: Profile, start: date, end: date) -> dict[str, pl.DataFrame]:
    """What the agencies would know of the local days [start, end), and the truth behind it.

    ``police_112``, ``fire_119``, ``investigation_cases``: every version of every record received on those days, in
    the sources' own columns. ``truth_police``: one row per call with its true time, place and origin.
    ``truth_clusters``: the injected clusters.
    """
    calls = police.records(profile, start, end)
    return {
        "police_112": police.versions(profile, calls).drop("_updated"),
        "fire_119": fire.versions(profile, fire.records(profile, start, end)).drop("_updated"),
        "investigation_cases": cases.versions(profile, start, end).drop("_updated"),
        "truth_police": police.truth_columns(profile, calls),
        "truth_clusters": truth(profile, start, end),
    }


class _Refused(Exception):
    """An answer that is not data: status, type and body."""

    def __init__(self, status: int, kind: str, body: bytes) -> None:
        super().__init__(status)
        self.status, self.kind, self.body = status, kind, body


Answer = Callable[[History, Mapping[str, str], Mapping[str, str]], bytes]


def _handler(history: History, answers: Mapping[str, Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            try:
                if parts.path not in answers:
                    raise _Refused(404, "application/json", b'{"error":"no such path"}')
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, kind, body = 200, "application/json", answers[parts.path](history, query, headers)
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


def _police(history: History, query: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    if headers.get("x-api-key") != KEY:
        raise _Refused(401, "application/json", b'{"error":"unknown key"}')
    try:
        start, end = (datetime.fromisoformat(query[name]) for name in ("updated_from", "updated_to"))
        page, size = int(query.get("page", "1")), int(query.get("page_size", "1000"))
    except (KeyError, ValueError) as error:
        raise _Refused(400, "application/json", orjson.dumps({"error": f"bad request: {error}"})) from error
    if start.tzinfo is None or end.tzinfo is None or not (0 < size <= 10_000 and page > 0):
        raise _Refused(400, "application/json", b'{"error":"instants need an offset; page_size is at most 10000"}')
    found = history.window("police", start, end)
    pages = max(1, -(-found.height // size))
    rows = found.slice((page - 1) * size, size).write_json()
    return f'{{"page":{page},"pages":{pages},"total":{found.height},"incidents":{rows}}}'.encode()


def _fire(history: History, query: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    if query.get("serviceKey") != KEY:
        raise _portal_error("SERVICE_KEY_IS_NOT_REGISTERED_ERROR", 30)
    try:
        zone = history.profile.zone
        start, end = (
            datetime.strptime(query[name], FIRE_FORM).replace(tzinfo=zone) for name in ("chgDtFrom", "chgDtTo")
        )
        page, size = int(query.get("pageNo", "1")), int(query.get("numOfRows", "10"))
        if not (0 < size <= 10_000 and page > 0):
            raise ValueError("numOfRows")
    except (KeyError, ValueError) as error:
        raise _portal_error("INVALID_REQUEST_PARAMETER_ERROR", 10) from error
    if query.get("resultType") != "json":
        raise _portal_error("ONLY_JSON_IS_SIMULATED", 10)
    found = history.window("fire", start, end)
    rows = found.slice((page - 1) * size, size).write_json()
    # The real services send `items` as a list in some answers, as {"item": […]} in others, and as "" for nothing.
    items = '""' if rows == "[]" else rows if page % 2 == 0 else f'{{"item":{rows}}}'
    header = '{"resultCode":"00","resultMsg":"NORMAL SERVICE"}'
    body = f'{{"pageNo":{page},"numOfRows":{size},"totalCount":{found.height},"items":{items}}}'
    return f'{{"response":{{"header":{header},"body":{body}}}}}'.encode()


def _portal_error(message: str, code: int) -> _Refused:
    body = (
        "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>"
        f"<returnAuthMsg>{message}</returnAuthMsg><returnReasonCode>{code}</returnReasonCode>"
        "</cmmMsgHeader></OpenAPI_ServiceResponse>"
    )
    return _Refused(200, "text/xml", body.encode())
