"""The fault matrix: definition of a case, how it is run, and what is checked.

A case is one fault at one agency. It is run in a separate home: fetch and load while the fault lasts, then a day later
without it. It declares the outcome, the exact accounting, and words of the message. In addition, always: raw contains
only records that the agency holds, received = loaded + unchanged + quarantined + rejected, a rejection leaves the
cursor unchanged, no message shows the key, and after the fault raw and staging equal those of a home without it.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import duckdb
import orjson
import polars as pl
import pytest

from pipelines import feeds
from pipelines.config.profile import Profile
from pipelines.config.settings import Settings
from pipelines.feeds.feed import FeedError, conform
from pipelines.feeds.protocols import http
from pipelines.ingest import accounting, fetch, merge
from pipelines.ingest import load as loading
from pipelines.store import warehouse
from pipelines.transform import build
from tests.faults import agencies, drops
from tests.faults.agencies import AGENCIES, AS_OF, DAYS, Agency, Files, Row, Rows
from tests.faults.server import Answer, Question, serving

Outcome = Literal["accept", "quarantine", "reject", "retry"]
Counts = tuple[int, int, int, int, int]
"""received, loaded, unchanged, quarantined, rejected."""

ALL: Counts = (12, 12, 0, 0, 0)
NOTHING: Counts = (0, 0, 0, 0, 0)
DAY = timedelta(days=1)
Found = TypeVar("Found")
Declared = dict[str, Any]
"""The declaration of a fault at one agency: fields of `Case`."""


@dataclass(frozen=True)
class Case:
    """One fault at one agency, how it is injected, and its declaration.

    ``rows`` changes what the agency sends; ``body`` the bytes of each page or, before signing, each file; ``answer``
    the server's answers, ``files`` the files of its folder, ``reading`` the result of reading a file, ``url`` its
    address. ``truth`` is what the agency holds when the fault is over; by default the clean records. ``known`` are
    records loaded on a clean day before, ``kept`` versions that raw keeps although the agency has withdrawn them.
    ``staged`` is a query of the feed's staging table and its expected single value.
    """

    fault: str
    agency: Agency
    outcome: Outcome
    counts: Counts
    says: str = ""
    rows: Callable[[Rows], Rows] = list
    body: Callable[[bytes], bytes] = bytes
    answer: Callable[[Answer, Question], Answer] = lambda answer, question: answer
    files: Callable[[Files], Files] = dict
    reading: drops.Reading | None = None
    url: Callable[[str], str] = str
    truth: Callable[[Rows], Rows] = list
    known: Callable[[Rows], Rows] | None = None
    kept: Callable[[Rows], Rows] = lambda rows: []
    staged: tuple[str, object] | None = None
    patience_seconds: float = 30
    setting: Callable[[Settings], Settings] = lambda settings: settings
    tls: Callable[[], tuple[ssl.SSLContext, ssl.SSLContext]] | None = None


@dataclass(frozen=True)
class Seen:
    """The result of a run: its outcome, the sums of its accounting and every message."""

    outcome: Outcome
    counts: Counts
    message: str


def fault(
    name: str,
    outcome: Outcome,
    counts: Counts,
    says: str = "",
    *,
    sets: Row | None = None,
    police: Declared | None = None,
    fire: Declared | None = None,
    investigation: Declared | None = None,
    **shared: Any,
) -> list[Case]:
    """Declare a fault at all three agencies: common fields, and differences per agency.

    ``sets`` are values of one record, by the agency's own column or by its role for the agency (`Agency.id`).
    """
    cases = []
    for agency, per_agency in zip(AGENCIES.values(), (police, fire, investigation), strict=True):
        declared: Declared = {
            "outcome": outcome,
            "counts": counts,
            "says": says,
            "sets": sets,
            **shared,
            **(per_agency or {}),
        }
        if values := declared.pop("sets"):
            columns = {getattr(agency, str(column), column): value for column, value in values.items()}
            declared["rows"] = put(columns)
        cases.append(Case(fault=name, agency=agency, **declared))
    return cases


def put(values: Row, *numbers: int) -> Callable[[Rows], Rows]:
    """Return records with other values in one of them, or in those given by number."""
    return lambda rows: [row | values if number in (numbers or (3,)) else row for number, row in enumerate(rows)]


def check(case: Case, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Run a case and check its declaration and the invariants of every case."""
    settings = case.setting(Settings(home=folder, profile=agencies.profile(), as_of=AS_OF))
    clean = case.agency.clean
    known = [] if case.known is None else case.known(clean)
    if case.known is not None:
        _run(settings, replace(_honest(case.agency), rows=case.known), monkeypatch, lambda con: None)
        settings = settings.model_copy(update={"as_of": AS_OF + DAY})
    before = _cursor(settings, case.agency)
    seen, (rows, staged) = _run(settings, case, monkeypatch, lambda con: (_rows_of_raw(con, case), _staged(con, case)))
    truth, kept = case.truth(clean), case.kept(clean)
    _is_declared(case, seen)
    intruders = rows - _rows(case.agency, [*known, *truth, *kept])
    assert not intruders, f"reached raw: {intruders}"
    assert staged == (case.staged[1] if case.staged else None)
    is_refused = case.outcome == "reject" or (case.outcome == "retry" and seen.counts == NOTHING)
    assert (_cursor(settings, case.agency) == before) == is_refused, "the cursor"

    later = Settings(home=folder, profile=agencies.profile(), as_of=settings.as_of + DAY)
    honest = replace(_honest(case.agency), rows=case.truth)
    _, result = _run(later, honest, monkeypatch, lambda con: _hashes(con, case.agency))
    ever = [*known, *kept, *truth]
    assert result == _expected(case.agency, ever, later.as_of, monkeypatch), "after the fault"


def _is_declared(case: Case, seen: Seen) -> None:
    assert (seen.outcome, seen.counts) == (case.outcome, case.counts), seen
    assert seen.counts[0] == sum(seen.counts[1:])
    for word in case.says.split("|"):
        assert word in seen.message, seen.message
    assert agencies.KEY not in seen.message


def _honest(agency: Agency) -> Case:
    return Case("none", agency, "accept", ALL)


def _run(
    settings: Settings, case: Case, monkeypatch: pytest.MonkeyPatch, look: Callable[[duckdb.DuckDBPyConnection], Found]
) -> tuple[Seen, Found]:
    """Fetch, load and look; the outcome is derived from the run, not from the declaration."""
    feed, refusal = case.agency.feed, ""
    waits: list[float] = []
    monkeypatch.setattr(http, "_sleep", waits.append)
    monkeypatch.setenv("BONGSU_REQUEST_TIMEOUT_SECONDS", str(case.patience_seconds))
    with _source(case, settings, monkeypatch):
        try:
            fetch.fetch(settings, feed, lambda _: None)
        except FeedError as error:
            refusal = str(error)
    with warehouse.connect(settings) as con:
        loads = [load for load in loading.load_pending(con, settings, feed) if load.feed == feed.name]
        reasons = con.execute("select distinct reason from ops.quarantine order by 1").fetchall()
        result = look(con)
    counts = tuple(
        sum(getattr(load, name) for load in loads)
        for name in ("received", "loaded", "unchanged", "quarantined", "rejected")
    )
    messages = [refusal, *(load.message for load in loads), *(reason for (reason,) in reasons)]
    outcome: Outcome = "accept"
    if waits:
        outcome = "retry"
    elif refusal or any(load.verdict != "accepted" for load in loads):
        outcome = "reject"
    elif any(load.quarantined for load in loads):
        outcome = "quarantine"
    return Seen(outcome, counts, " ".join(filter(None, messages))), result  # type: ignore[arg-type]


@contextmanager
def _source(case: Case, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve the agency with its fault."""
    name = case.agency.feed.name
    rows = case.rows(case.agency.clean)
    monkeypatch.setenv(f"BONGSU_KEY_{name.upper()}", agencies.KEY)
    monkeypatch.setenv("NO_PROXY", "*")
    if case.agency is agencies.INVESTIGATION:
        until = max(DAYS[-1], (settings.as_of.astimezone(AS_OF.tzinfo) - DAY).date())
        files = case.files(agencies.drop(rows, until, case.body))
        monkeypatch.setenv(f"BONGSU_URL_{name.upper()}", case.url(drops.filled(files, case.reading)))
        yield
        return

    def answer(question: Question) -> Answer:
        return case.answer(agencies.ANSWERS[case.agency.name](rows, question, case.body), question)

    server, client = case.tls() if case.tls else (None, None)
    if client:
        monkeypatch.setattr(http, "_certificates", lambda: client)
    with serving(answer, server) as base:
        monkeypatch.setenv(f"BONGSU_URL_{name.upper()}", case.url(base))
        yield


def _cursor(settings: Settings, agency: Agency) -> object:
    return accounting.cursor(accounting.acknowledged(settings), agency.feed.name)


def _rows_of_raw(con: duckdb.DuckDBPyConnection, case: Case) -> set[tuple[object, ...]]:
    columns = ", ".join(f'"{name}"' for name in case.agency.feed.columns)
    return set(con.execute(f"select {columns} from raw.{case.agency.feed.name}").fetchall())


def _rows(agency: Agency, rows: Rows) -> set[tuple[object, ...]]:
    if not rows:
        return set()
    frame = conform(agency.feed, pl.DataFrame([agency.full(row) for row in rows], infer_schema_length=None))
    return set(frame.select(list(agency.feed.columns)).rows())


def _hashes(con: duckdb.DuckDBPyConnection, agency: Agency) -> dict[str, str]:
    _stage(con, agencies.profile())
    return {schema: warehouse.logical_hash(con, schema, agency.feed.name) for schema in ("raw", "staging")}


def _staged(con: duckdb.DuckDBPyConnection, case: Case) -> object:
    """Return the single value of the case's query of its staging table."""
    if case.staged is None:
        return None
    _stage(con, agencies.profile())
    return con.execute(case.staged[0].format(f"staging.{case.agency.feed.name}")).fetchall()[0][0]


def _stage(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    registered = feeds.of(profile)
    for feed in registered:
        merge.prepare(con, feed)
    build.write_reference(con, profile, registered)
    con.execute("create or replace table reference.areas (area_id text, hierarchy text, area_level text, name text)")
    build.stage(con, registered)


_hashes_known: dict[tuple[str, bytes, datetime], dict[str, str]] = {}


def _expected(agency: Agency, rows: Rows, as_of: datetime, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the hashes of a home that received these records complete, at once, without faults."""
    given = [row for number, row in enumerate(rows) if row not in rows[:number]]
    wanted = (agency.name, orjson.dumps(given), as_of)
    if wanted not in _hashes_known:
        with TemporaryDirectory() as folder:
            settings = Settings(home=Path(folder), profile=agencies.profile(), as_of=as_of)
            honest = replace(_honest(agency), rows=lambda _: given)
            _, _hashes_known[wanted] = _run(settings, honest, monkeypatch, lambda con: _hashes(con, agency))
    return _hashes_known[wanted]
