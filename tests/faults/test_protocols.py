"""Every protocol with every fault: the rows held are read exactly, or the source is refused with the cause named.

The table declares the end of each pair of fault and protocol, or why the fault cannot apply to the protocol. Faults
begin with the second request for rows, if there is one; `once` means that the next answer is right.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import pytest

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import http
from tests.faults import drops
from tests.faults.protocols import (
    ABSENT,
    CKAN,
    DATA_GO_KR,
    DATA_GO_KR_XML,
    EXPORT,
    GEOJSON,
    LAYER_BY_KEY,
    LAYER_BY_OFFSET,
    POLICE_UK,
    ROWS,
    SERVICES,
    SIZE,
    SOCRATA,
    Fault,
    Run,
    Service,
    Turn,
    read_folder,
)
from tests.faults.server import Answer

OFFSET = (LAYER_BY_OFFSET, CKAN, SOCRATA)
NUMBERED = (DATA_GO_KR, DATA_GO_KR_XML, EXPORT)
COUNTED = (LAYER_BY_KEY, *OFFSET, *NUMBERED)


@dataclass(frozen=True)
class End:
    """How a pair ends: read whole, refused with words of the message, or not applicable for a reason."""

    refused: str = ""
    reason: str = ""


WHOLE = End()
ONE_ANSWER = End(reason="the whole download is one answer")
ONE_MONTH = End(reason="a month is one answer, and the API states no total")
NO_HTTP = End(reason="a folder has no statuses, headers or redirects")
NO_PAGES = End(reason="a file is read whole; its folder states no number of rows")
Ends = Mapping[Service | tuple[Service, ...], End]


def refused(words: str) -> End:
    return End(refused=words)


def ever(change: Fault) -> Fault:
    """From the first faulty request on."""
    return lambda turn: change(turn) if turn.number >= turn.service.first_fault else turn.answer()


def once(change: Fault) -> Fault:
    return lambda turn: change(turn) if turn.number == turn.service.first_fault else turn.answer()


def sends(**fields: object) -> Fault:
    """The right answer in another way."""
    return lambda turn: replace(turn.answer(), **fields)


def instead(body: bytes, **fields: str) -> Fault:
    return lambda turn: Answer(body, **fields)  # type: ignore[arg-type]


def first_page_again(turn: Turn) -> Answer:
    return turn.answer(sent=turn.rows[: 2 if turn.service is POLICE_UK else SIZE])


def row_of_another_page(turn: Turn) -> Answer:
    """In place of the last row of the page, each time another one."""
    return turn.answer(sent=[*turn.wanted[:-1], turn.rows[turn.number % len(turn.rows)]] if turn.wanted else None)


def row_added(turn: Turn) -> Answer:
    turn.rows.append(turn.rows[-1] + 1)
    return turn.answer()


def row_removed(turn: Turn) -> Answer:
    turn.rows.pop(0)
    return turn.answer()


def row_replaced(turn: Turn) -> Answer:
    turn.rows.append(turn.rows[-1] + 1)
    return row_removed(turn)


def published_again(turn: Turn) -> Answer:
    turn.editions.append(turn.number)
    return turn.answer()


def cut(turn: Turn) -> Answer:
    return replace(turn.answer(), sent_bytes=len(turn.answer().body) // 2)


def total(change: Callable[[Turn], object]) -> Fault:
    """Another total from the first request on."""
    return lambda turn: turn.answer(total=change(turn))


def endless(turn: Turn) -> Answer:
    """More rows follow, whatever the total of nine says."""
    turn.rows.extend(range(turn.rows[-1] + 1, turn.rows[-1] + 1 + SIZE))
    return turn.answer(total=9, has_more=True)


def one_row_a_page(turn: Turn) -> Answer:
    """A hundred rows are stated and the first page is full; numbered pages then have one row each, without end."""
    turn.rows[:] = range(1, 101)
    if turn.number <= 1:
        return turn.answer()
    return turn.answer(sent=[1000 + turn.number] if turn.service in NUMBERED else turn.wanted[:1])


def no_data(turn: Turn) -> Answer:
    turn.rows.clear()
    return turn.answer()


def portal_code_03(turn: Turn) -> Answer:
    turn.rows.clear()
    if turn.service is DATA_GO_KR_XML:
        return Answer(b"<response><header><resultCode>03</resultCode></header></response>", kind="text/xml")
    return Answer(b'{"response": {"header": {"resultCode": "03", "resultMsg": "NODATA_ERROR"}}}')


LATER = {"Retry-After": "7"}
HTML = b"<!doctype html><title>Maintenance</title>"
ERROR = b'{"error": {"code": 400, "message": "down for maintenance"}}'
MOVED = "in each of 3 attempts; nothing was stored"

TABLE: Mapping[str, tuple[Fault, Ends, End | tuple[drops.Reading, End]]] = {
    "none": (
        Turn.answer,
        {SERVICES: WHOLE},
        (lambda name, again, content: content, WHOLE),
    ),
    "repeated page": (
        ever(first_page_again),
        {
            LAYER_BY_KEY: refused("ignores the order or condition of a query"),
            OFFSET: refused("begins each page with the same row: it ignores offsets"),
            NUMBERED: refused(f"returned page 1 again instead of 2, {MOVED}"),
            POLICE_UK: refused("4 of 5 months were not read, first 2026-02.*sent crimes of 2026-01"),
            GEOJSON: ONE_ANSWER,
        },
        End(reason="files are unsigned, and equal files may be real"),
    ),
    "repeated row": (
        ever(row_of_another_page),
        {
            LAYER_BY_KEY: refused("ignores the order or condition of a query"),
            OFFSET: refused(MOVED),
            NUMBERED: refused(f"sent records on two pages, other ones each time, {MOVED}"),
            POLICE_UK: End(reason="crimes have no id: equal rows are separate crimes"),
            GEOJSON: End(reason="features have no id that every source sets"),
        },
        End(reason="files are unsigned, and equal rows may be real"),
    ),
    "row added while reading, once": (
        once(row_added),
        {COUNTED: WHOLE, POLICE_UK: ONE_MONTH, GEOJSON: ONE_ANSWER},
        NO_PAGES,
    ),
    "row removed while reading, once": (
        once(row_removed),
        {COUNTED: WHOLE, POLICE_UK: ONE_MONTH, GEOJSON: ONE_ANSWER},
        NO_PAGES,
    ),
    "row replaced while reading, once": (
        once(row_replaced),
        {
            (LAYER_BY_KEY, *OFFSET): WHOLE,
            NUMBERED: End(reason="numbered pages cannot overlap; the feed's lag reads the window again"),
            POLICE_UK: ONE_MONTH,
            GEOJSON: ONE_ANSWER,
        },
        NO_PAGES,
    ),
    "row added while reading, ever": (
        ever(row_added),
        {COUNTED: refused(MOVED), POLICE_UK: ONE_MONTH, GEOJSON: ONE_ANSWER},
        NO_PAGES,
    ),
    "published again while reading, ever": (
        ever(published_again),
        {
            (LAYER_BY_KEY, *OFFSET): refused(MOVED),
            (*NUMBERED, POLICE_UK): End(reason="the service does not state when it was modified"),
            GEOJSON: ONE_ANSWER,
        },
        NO_PAGES,
    ),
    "short page that is not the last, once": (
        once(lambda turn: turn.answer(sent=turn.wanted[:2])),
        {
            COUNTED: WHOLE,
            POLICE_UK: ONE_MONTH,
            GEOJSON: refused("states 10 features and sent 2"),
        },
        NO_PAGES,
    ),
    "short pages that are not the last, ever": (
        ever(lambda turn: turn.answer(sent=turn.wanted[:2])),
        {
            (LAYER_BY_KEY, *OFFSET): WHOLE,
            NUMBERED: refused(f"counts 10 rows but sent 6, {MOVED}"),
            POLICE_UK: ONE_MONTH,
            GEOJSON: refused("states 10 features and sent 2"),
        },
        NO_PAGES,
    ),
    "empty page that is not the last, once": (
        once(lambda turn: turn.answer(sent=())),
        {
            (LAYER_BY_KEY, *OFFSET, *NUMBERED): WHOLE,
            POLICE_UK: ONE_MONTH,
            GEOJSON: refused("states 10 features and sent 0"),
        },
        NO_PAGES,
    ),
    "empty pages, ever": (
        ever(lambda turn: turn.answer(sent=())),
        {
            COUNTED: refused(MOVED),
            POLICE_UK: ONE_MONTH,
            GEOJSON: refused("states 10 features and sent 0"),
        },
        NO_PAGES,
    ),
    "total missing": (
        total(lambda turn: ABSENT),
        {
            (LAYER_BY_KEY, LAYER_BY_OFFSET): refused("states no number of rows"),
            CKAN: refused("states no total"),
            SOCRATA: refused("returned no row count"),
            (DATA_GO_KR, DATA_GO_KR_XML): refused("returned no totalCount or items"),
            EXPORT: refused("returned no page, total or incidents"),
            POLICE_UK: ONE_MONTH,
            GEOJSON: WHOLE,
        },
        NO_PAGES,
    ),
    "total as text": (
        total(lambda turn: str(len(turn.rows))),
        {(*COUNTED, GEOJSON): WHOLE, POLICE_UK: ONE_MONTH},
        NO_PAGES,
    ),
    "total that is not a number": (
        total(lambda turn: "many"),
        {
            (LAYER_BY_KEY, LAYER_BY_OFFSET): refused("states no number of rows"),
            CKAN: refused("states no total"),
            SOCRATA: refused("returned no row count"),
            (DATA_GO_KR, DATA_GO_KR_XML): refused("format changed"),
            EXPORT: refused("returned no page, total or incidents"),
            POLICE_UK: ONE_MONTH,
            GEOJSON: WHOLE,
        },
        NO_PAGES,
    ),
    "rows without end": (
        endless,
        {COUNTED: refused(MOVED), POLICE_UK: ONE_MONTH, GEOJSON: ONE_ANSWER},
        NO_PAGES,
    ),
    "pages of one row": (
        one_row_a_page,
        {
            LAYER_BY_KEY: WHOLE,
            OFFSET: refused(MOVED),
            NUMBERED: refused("sends pages without end for 100 rows"),
            POLICE_UK: ONE_MONTH,
            GEOJSON: ONE_ANSWER,
        },
        NO_PAGES,
    ),
    "no data": (
        no_data,
        {SERVICES: WHOLE},
        (lambda name, again, content: content[: content.index(b"\n") + 1], WHOLE),
    ),
    "no data as a code": (
        portal_code_03,
        {
            (DATA_GO_KR, DATA_GO_KR_XML): WHOLE,
            (LAYER_BY_KEY, *OFFSET, EXPORT, POLICE_UK, GEOJSON): End(reason="the protocol has no such code"),
        },
        NO_HTTP,
    ),
    "HTML page with status 200": (
        ever(instead(HTML, kind="text/html")),
        {SERVICES: refused("returned an HTML page instead of data")},
        (lambda name, again, content: HTML, refused("a log-in or error page")),
    ),
    "error in JSON with status 200": (
        ever(instead(ERROR)),
        {
            (LAYER_BY_KEY, LAYER_BY_OFFSET): refused("the layer returned error 400: down for maintenance"),
            CKAN: refused("the portal reports a failure: down for maintenance"),
            (SOCRATA, POLICE_UK): refused("expected a list of rows, but the answer begins .*down for maintenance"),
            (DATA_GO_KR, DATA_GO_KR_XML): refused("is not an answer of the portal"),
            EXPORT: refused("returned no page, total or incidents"),
            GEOJSON: refused("is not a GeoJSON feature collection"),
        },
        (lambda name, again, content: ERROR, refused("none of the 2 columns of a file is one of the feed's")),
    ),
    "202 with Retry-After, once": (once(sends(status=202, headers=LATER)), {SERVICES: WHOLE}, NO_HTTP),
    "202, ever": (ever(sends(status=202)), {SERVICES: refused(r"status 202 \(3 attempts\)")}, NO_HTTP),
    "429 with Retry-After, once": (once(sends(status=429, headers=LATER)), {SERVICES: WHOLE}, NO_HTTP),
    "429, ever": (ever(sends(status=429)), {SERVICES: refused(r"status 429 \(3 attempts\)")}, NO_HTTP),
    "500, once": (once(sends(status=500)), {SERVICES: WHOLE}, NO_HTTP),
    "500, ever": (
        ever(sends(status=500)),
        {SERVICES: refused(r"status 500 \(3 attempts\)")},
        (lambda name, again, content: failing(), refused("cannot be read")),
    ),
    "404, ever": (
        ever(sends(status=404)),
        {SERVICES: refused("status 404; not found")},
        End(reason="a file that is not there is not listed"),
    ),
    "body cut off, once": (once(cut), {SERVICES: WHOLE}, NO_HTTP),
    "body cut off, ever": (
        ever(cut),
        {SERVICES: refused("the connection failed")},
        (lambda name, again, content: content[: len(content) - 9], refused("it was cut off")),
    ),
    "redirect": (
        ever(instead(b"", status=302, headers={"Location": "https://stranger.example/"})),  # type: ignore[arg-type]
        {SERVICES: refused("redirects to https://stranger.example/ .*redirects are not followed")},
        NO_HTTP,
    ),
}


def failing() -> bytes:
    raise OSError(os.strerror(5))


def declared() -> Iterator[tuple[str, Service, End]]:
    for name, (_, ends, _) in TABLE.items():
        for services, end in ends.items():
            yield from ((name, service, end) for service in (services if isinstance(services, tuple) else (services,)))


PAIRS = [(name, service, end) for name, service, end in declared() if not end.reason]


def test_every_fault_is_declared_once_for_every_protocol() -> None:
    pairs = [(name, service.name) for name, service, _ in declared()]
    assert sorted(pairs) == sorted(product(TABLE, (service.name for service in SERVICES)))


@pytest.mark.parametrize(
    ("fault", "service", "end"), PAIRS, ids=[f"{name}: {service.name}" for name, service, _ in PAIRS]
)
def test_the_rows_held_are_read_or_the_cause_is_named(
    fault: str, service: Service, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(http, "_sleep", waits.append)
    run = Run(service, TABLE[fault][0])
    if end.refused:
        with pytest.raises(FeedError, match=end.refused):
            run.read()
    else:
        assert run.read() == run.rows
        assert not run.rows or run.requests >= service.first_fault, "the fault was not met"
    assert ("Retry-After" in fault) == (7.0 in waits)


FILES = {name: given for name, (_, _, given) in TABLE.items() if isinstance(given, tuple)}


@pytest.mark.parametrize("fault", FILES)
def test_the_files_of_a_folder_are_read_or_the_cause_is_named(fault: str) -> None:
    reading, end = FILES[fault]
    if end.refused:
        with pytest.raises(FeedError, match=end.refused):
            read_folder(reading)
    else:
        assert read_folder(reading) == ([] if fault == "no data" else list(ROWS))
