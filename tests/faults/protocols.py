"""Small services of every protocol: each holds some rows and answers as the real ones do, with whatever fault is added.

A service holds the ids of its rows. A fault sees each request as a `Turn` and decides what is answered.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pipelines.feeds import fire_119, fire_calls_seoul, police_112
from pipelines.feeds.feed import Request
from pipelines.feeds.generic import data_police_uk, geojson, socrata
from pipelines.feeds.protocols import arcgis, byte_checks, ckan
from pipelines.schema.delivery import Delivery
from tests.faults import drops
from tests.faults.server import Answer, Question, serving
from tests.feeds import cities, korea, portal

SIZE = 4
"""Rows per page."""

ROWS = tuple(range(1, 11))
ABSENT: Final = object()
"""A total that is not stated."""

Fault = Callable[["Turn"], Answer]
Stated = dict[str, object]


@dataclass(frozen=True)
class Service:
    """One protocol.

    ``wanted`` returns the ids that a question requests of these, None for a question about something else;
    ``respond`` builds the answer to a question with these ids and a total; ``request`` and ``fetch`` read the service;
    ``ids`` reads the ids from the parts of a delivery.
    """

    name: str
    wanted: Callable[[Question, Sequence[int]], Sequence[int] | None]
    respond: Callable[[Question, Sequence[int], Stated, bool], Any]
    request: Callable[[str], Request]
    fetch: Callable[[Request], Iterator[Delivery]]
    ids: Callable[[Sequence[bytes]], list[Any]]
    total: str = "total"
    first_fault: int = 2
    """Which request for rows the fault begins with: the second one, if there is more than one."""


@dataclass
class Turn:
    """One request, the number of requests for rows up to it (0 for one about something else), and the ids of its rows.

    ``editions`` has an entry for each time that the rows were published again.
    """

    service: Service
    question: Question
    rows: list[int]
    number: int
    editions: list[int]

    def answer(self, sent: Sequence[int] | None = None, total: object = None, has_more: bool | None = None) -> Answer:
        """Return the service's own answer, or one with other rows, another total or another flag for more pages."""
        wanted = list(self.service.wanted(self.question, self.rows) or ())
        stated: Stated = {"edition": len(self.editions)}
        if total is not ABSENT:
            stated[self.service.total] = len(self.rows) if total is None else total
        more = bool(wanted) and wanted[-1] != self.rows[-1] if has_more is None else has_more
        content = self.service.respond(self.question, wanted if sent is None else sent, stated, more)
        return content if isinstance(content, Answer) else Answer(orjson.dumps(content))

    @property
    def wanted(self) -> list[int]:
        """The ids that this request is for."""
        return list(self.service.wanted(self.question, self.rows) or ())


@dataclass
class Run:
    """A service with a fault and the ids of its rows."""

    service: Service
    fault: Fault
    rows: list[int] = field(default_factory=lambda: list(ROWS))
    requests: int = 0
    editions: list[int] = field(default_factory=list)

    def read(self) -> list[int]:
        """Return the ids that were read, in order.

        Raises:
            FeedError: The service was refused.
        """
        with serving(self._answer) as base:
            deliveries = list(self.service.fetch(self.service.request(base)))
        parts = [part for delivery in deliveries for part in delivery.parts]
        return sorted(int(number) for number in self.service.ids(parts))

    def _answer(self, question: Question) -> Answer:
        is_for_rows = self.service.wanted(question, self.rows) is not None
        self.requests += is_for_rows
        number = self.requests if is_for_rows else 0
        return self.fault(Turn(self.service, question, self.rows, number, self.editions))


def _offset(name: str, size: str, path: str) -> Callable[[Question, Sequence[int]], Sequence[int] | None]:
    def wanted(question: Question, rows: Sequence[int]) -> Sequence[int] | None:
        if not question.path.endswith(path) or name not in question.query:
            return None
        first = int(question.query[name])
        return rows[first : first + int(question.query[size])]

    return wanted


def _numbered(name: str, size: str) -> Callable[[Question, Sequence[int]], Sequence[int] | None]:
    def wanted(question: Question, rows: Sequence[int]) -> Sequence[int] | None:
        length = int(question.query[size])
        return rows[(int(question.query[name]) - 1) * length :][:length]

    return wanted


def _beyond(question: Question, rows: Sequence[int]) -> Sequence[int] | None:
    if "orderByFields" not in question.query:
        return None
    beyond = int(question.query["where"].partition(">")[2] or 0)
    return [number for number in rows if number > beyond][: int(question.query["resultRecordCount"])]


def _layer(has_order: bool) -> Callable[[Question, Sequence[int], Stated, bool], Any]:
    def respond(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
        if not question.path.endswith("/query"):
            capable = {"advancedQueryCapabilities": {"supportsOrderBy": has_order}}
            edited = {"editingInfo": {"lastEditDate": total["edition"]}}
            return {"objectIdField": "OID", "maxRecordCount": SIZE, **capable, **edited}
        if "returnCountOnly" in question.query:
            return total
        features = [{"attributes": {"OID": number, "id": number}} for number in sent]
        return {"objectIdFieldName": "OID", "features": features, "exceededTransferLimit": has_more}

    return respond


def _datastore(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
    if question.path.endswith("resource_show"):
        return {"success": True, "result": {"last_modified": total["edition"]}}
    return {"success": True, "result": {"records": [{"_id": number} for number in sent], **total}}


def _table(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
    if "views" in question.path:
        columns = [("case", "text"), ("kind", "text"), ("filed", "calendar_date")]
        return {
            "columns": [{"fieldName": name, "dataTypeName": dtype} for name, dtype in columns],
            "rowsUpdatedAt": total["edition"],
        }
    if "count" in question.query["$select"]:
        return [total]
    return [{":id": f"row-{number:04}", "case": str(number), "kind": "THEFT"} for number in sent]


def _portal(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
    items = [{"dclr_rcpt_no": str(number)} for number in sent]
    body = {"pageNo": question.query["pageNo"], "items": {"item": items} if items else "", **total}
    return {"response": {"header": {"resultCode": "00"}, "body": body}}


def _portal_xml(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
    items = "".join(f"<item><dclr_rcpt_no>{number}</dclr_rcpt_no></item>" for number in sent)
    counts = "".join(
        f"<{name}>{value}</{name}>" for name, value in {"pageNo": question.query["pageNo"], **total}.items()
    )
    body = f"<header><resultCode>00</resultCode></header><body><items>{items}</items>{counts}</body>"
    return Answer(f"<response>{body}</response>".encode(), kind="text/xml")


def _export(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
    records = [{"incident_no": str(number)} for number in sent]
    return {"page": int(question.query["page"]), "incidents": records, **total}


def _months(question: Question, rows: Sequence[int]) -> Sequence[int] | None:
    """Two crimes a month."""
    if "date" not in question.query:
        return None
    month = int(question.query["date"][-2:])
    return rows[2 * month - 2 : 2 * month]


def _crimes(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
    if "date" not in question.query:
        return [{"date": f"2026-{month:02}"} for month in range(1, len(ROWS) // 2 + 1)]
    return [{"persistent_id": str(number), "month": f"2026-{(number + 1) // 2:02}"} for number in sent]


def _collection(question: Question, sent: Sequence[int], total: Stated, has_more: bool) -> Any:
    features = [{"type": "Feature", "properties": {"id": number}, "geometry": None} for number in sent]
    return {"type": "FeatureCollection", "features": features, **total}


_SNAPSHOT = cities.place(
    "chicago_crimes",
    window_days=None,
    page_size=SIZE,
    columns={"source_id": "case", "category": "kind", "reported_at": "filed"},
)
_CAMBRIDGE = cities.place("cambridge_crimes")
_DAY = ("2025-11-01T00:00:00+00:00", "2025-11-02T00:00:00+00:00")


def _arcgis(name: str, wanted: Callable[[Question, Sequence[int]], Sequence[int] | None], has_order: bool) -> Service:
    return Service(
        name,
        wanted,
        _layer(has_order),
        lambda base: portal.request("toronto_police_mci", f"{base}/FeatureServer/0", page_size=SIZE),
        arcgis.fetch,
        lambda parts: _column(arcgis.parse(parts), "id"),
        total="count",
    )


def _data_go_kr(name: str, respond: Callable[[Question, Sequence[int], Stated, bool], Any], form: str) -> Service:
    return Service(
        name,
        _numbered("pageNo", "numOfRows"),
        respond,
        lambda base: korea.request("fire_119", base, *_DAY, "key", page_size=SIZE, result_type=form),
        fire_119.fetch,
        lambda parts: _column(fire_119.parse(parts), "dclr_rcpt_no"),
        total="totalCount",
    )


def _column(frame: Any, name: str) -> list[Any]:
    return frame[name].to_list() if frame.width else []


LAYER_BY_KEY = _arcgis("ArcGIS by key", _beyond, has_order=True)
LAYER_BY_OFFSET = _arcgis("ArcGIS by offset", _offset("resultOffset", "resultRecordCount", "/query"), has_order=False)
CKAN = Service(
    "CKAN",
    _offset("offset", "limit", "datastore_search"),
    _datastore,
    lambda base: portal.request(
        "toronto_fire_incidents", base, resource="11111111-2222-3333-4444-555555555555", page_size=SIZE
    ),
    ckan.fetch,
    lambda parts: _column(ckan.parse(parts), "_id"),
)
SOCRATA = Service(
    "Socrata",
    _offset("$offset", "$limit", ".json"),
    _table,
    lambda base: cities.request(_SNAPSHOT, base),
    socrata.fetch,
    lambda parts: _column(socrata.parse(parts, _SNAPSHOT.feeds["chicago_crimes"].columns), "source_id"),
    total="n",
)
DATA_GO_KR = _data_go_kr("data.go.kr", _portal, "json")
DATA_GO_KR_XML = _data_go_kr("data.go.kr in XML", _portal_xml, "xml")
EXPORT = Service(
    "paged JSON",
    _numbered("page", "page_size"),
    _export,
    lambda base: korea.request("police_112", base, *_DAY, "key", page_size=SIZE),
    police_112.fetch,
    lambda parts: _column(police_112.parse(parts), "incident_no"),
)
POLICE_UK = Service(
    "data.police.uk",
    _months,
    _crimes,
    lambda base: cities.request(_CAMBRIDGE, base),
    data_police_uk.fetch,
    lambda parts: _column(data_police_uk.parse(parts), "persistent_id"),
)
GEOJSON = Service(
    "GeoJSON",
    lambda question, rows: rows,
    _collection,
    lambda base: portal.request("toronto_neighbourhoods", f"{base}/areas.geojson"),
    geojson.fetch,
    lambda parts: _column(geojson.parse(parts), "id"),
    total="numberMatched",
    first_fault=1,
)
FILES = fire_calls_seoul.FEED
SERVICES = (LAYER_BY_KEY, LAYER_BY_OFFSET, CKAN, SOCRATA, DATA_GO_KR, DATA_GO_KR_XML, EXPORT, POLICE_UK, GEOJSON)


def read_folder(reading: drops.Reading, rows: Sequence[int] = ROWS) -> list[int]:
    """Return the ids read from a folder of two CSV files, checked as every part of a delivery is.

    Raises:
        FeedError: The folder was refused.
    """
    halves = {"1.csv": rows[: len(rows) // 2], "2.csv": rows[len(rows) // 2 :]}
    files = {
        name: "\r\n".join(["dclr_rcpt_no,clmty_sgg_nm", *(f"{number},종로구" for number in ids), ""]).encode("cp949")
        for name, ids in halves.items()
    }
    (delivery,) = FILES.fetch(korea.request("fire_119", drops.filled(files, reading), *_DAY))
    for number, part in enumerate(delivery.parts, start=1):
        byte_checks.inspect(part, "csv", FILES.encoding, f"part {number}")
    return sorted(int(number) for number in _column(FILES.parse(delivery.parts), "dclr_rcpt_no"))
