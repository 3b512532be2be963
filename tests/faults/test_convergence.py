"""Convergence: whatever the order, split, repetition and interleaving of deliveries, raw and staging are the same."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import feeds
from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.feeds import toronto_shootings
from pipelines.feeds.feed import Feed, conform
from pipelines.ingest import chunks, merge
from pipelines.ingest import load as loading
from pipelines.quality import suites
from pipelines.schema.delivery import Delivery
from pipelines.store import landing, warehouse
from pipelines.store.landing import Batch
from pipelines.transform import build
from tests.faults import agencies
from tests.faults.agencies import AGENCIES, AS_OF, Agency, Rows

CHECKED = settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
TORONTO = profiles.load("toronto")


def versions(agency: Agency) -> st.SearchStrategy[Rows]:
    """Versions of a few records of an agency: changed, withdrawn, restored, with one update time or several."""
    clean = agency.clean
    changes = {
        agency.category: st.sampled_from([clean[0][agency.category], clean[1][agency.category]]),
        agency.updated: st.sampled_from([clean[0][agency.updated], clean[1][agency.updated], clean[6][agency.updated]]),
        agency.withdrawn: st.sampled_from([clean[0][agency.withdrawn], agency.gone]),
    }
    row_version = st.builds(
        lambda number, changed: clean[number] | changed, st.integers(0, 2), st.fixed_dictionaries(changes)
    )
    return st.lists(row_version, min_size=1, max_size=6)


@st.composite
def deliveries(draw: st.DrawFn, size: int) -> list[list[list[int]]]:
    """Rows by number in deliveries and parts: every row at least once, some repeated, split anywhere, in any order."""
    order = draw(st.permutations(range(size)))
    again = draw(st.lists(st.integers(0, size - 1), max_size=3))
    rows = [*order, *again]
    cuts = sorted({0, len(rows), *draw(st.lists(st.integers(0, len(rows)), max_size=2))})
    cut = [rows[start:end] for start, end in pairwise(cuts)]
    repeated = [*cut, *draw(st.lists(st.sampled_from(cut), max_size=1))]
    return [[piece[: len(piece) // 2], piece[len(piece) // 2 :]] for piece in draw(st.permutations(repeated))]


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, Rows], list[tuple[str, list[Rows]]]]:
    """Records of all agencies, and their interleaved deliveries."""
    records = {name: draw(versions(agency)) for name, agency in AGENCIES.items()}
    sent = [
        (name, [[rows[number] for number in part] for part in delivery])
        for name, rows in records.items()
        for delivery in draw(deliveries(len(rows)))
    ]
    return records, draw(st.permutations(sent))


def part(agency: Agency, rows: Rows) -> bytes:
    """Return a page or file with some rows."""
    if agency is agencies.INVESTIGATION:
        return agencies.sheet(rows, list(agency.feed.columns))
    page = {"incidents": rows} if agency is agencies.POLICE else {"response": {"body": {"items": {"item": rows}}}}
    return agencies.written(page)


@pytest.fixture(scope="module")
def korea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with memory(Settings(home=tmp_path_factory.mktemp("home"), profile=agencies.profile(), as_of=AS_OF)) as con:
        yield con


@pytest.fixture(scope="module")
def toronto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with memory(Settings(home=tmp_path_factory.mktemp("home"), profile=TORONTO, as_of=AS_OF)) as con:
        yield con


def memory(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Return an in-memory warehouse with everything that staging reads."""
    con = duckdb.connect()
    con.execute("attach ':memory:' as warehouse; use warehouse; set timezone = 'UTC'; set threads = 1")
    warehouse._set_variables(con, settings)
    for schema in warehouse.SCHEMAS:
        con.execute(f"create schema {schema}")
    warehouse._create_bookkeeping(con)
    registered = feeds.of(settings.profile)
    for feed in registered:
        merge.prepare(con, feed)
    build.write_reference(con, settings.profile, registered)
    con.execute("create table reference.areas (area_id text, hierarchy text, area_level text, name text)")
    return con


def load(con: duckdb.DuckDBPyConnection, feed: Feed, frame: pl.DataFrame, end: datetime = AS_OF) -> None:
    """Merge a delivery of rows that passed their suite."""
    numbered = conform(feed, frame).with_columns(_row=pl.int_range(frame.height, dtype=pl.Int64))
    name = hashlib.sha256(f"{end} {numbered.write_json()}".encode()).hexdigest()
    batch = Batch(name, feed.name, None, end, AS_OF, "", False)
    nothing = suites.Verdict(numbered, pl.DataFrame(schema=suites.FAILURES), pl.DataFrame(schema=suites.RESULTS))
    merge.gather(con, feed, [chunks.Chunk(batch, numbered, nothing)])
    merge.merge(con, feed, batch)


def hashes(
    con: duckdb.DuckDBPyConnection, wanted: Sequence[Feed], staged: Sequence[Feed], schemas: Sequence[str]
) -> list[str]:
    """Return the logical hashes of feeds' tables, and empty raw again."""
    if "staging" in schemas:
        build.stage(con, tuple(staged))
    table_hashes = [warehouse.logical_hash(con, schema, feed.name) for feed in wanted for schema in schemas]
    for feed in wanted:
        con.execute(f"delete from raw.{feed.name}")
    return table_hashes


@pytest.mark.slow
@CHECKED
@given(history=histories(), schemas=st.sampled_from([["raw", "staging"], *[["raw"]] * 4]))
def test_any_order_split_repetition_and_interleaving_of_deliveries_gives_the_same_tables(
    korea: duckdb.DuckDBPyConnection, history: tuple[dict[str, Rows], list[tuple[str, list[Rows]]]], schemas: list[str]
) -> None:
    # Staging is a function of raw, so it is rebuilt in one example of five: it takes as long as everything else.
    records, sent = history
    registered = feeds.of(agencies.profile())
    keyed = [agency.feed for agency in AGENCIES.values()]
    for name, rows in records.items():
        load(korea, AGENCIES[name].feed, AGENCIES[name].feed.parse([part(AGENCIES[name], rows)]))
    at_once = hashes(korea, keyed, registered, schemas)
    for name, parts in sent:
        agency = AGENCIES[name]
        load(korea, agency.feed, agency.feed.parse([part(agency, rows) for rows in parts]))
    assert hashes(korea, keyed, registered, schemas) == at_once


shooting = st.builds(
    lambda event, deaths: (
        dict.fromkeys(toronto_shootings.FEED.columns)
        | {"EVENT_UNIQUE_ID": event, "OCC_DATE": "2020-01-01T00:00:00", "DEATH": deaths}
    ),
    st.sampled_from(["GO-1", "GO-2"]),
    st.integers(0, 1),
)
snapshots = st.lists(st.lists(shooting, min_size=1, max_size=3), min_size=1, max_size=3)


@pytest.mark.slow
@CHECKED
@given(whole=snapshots, order=st.data())
def test_any_order_and_repetition_of_whole_snapshots_gives_the_same_tables(
    toronto: duckdb.DuckDBPyConnection, whole: list[list[dict[str, Any]]], order: st.DataObject
) -> None:
    feed = toronto_shootings.FEED
    frames = [pl.DataFrame(rows, schema_overrides=dict(feed.columns)) for rows in whole]
    for day, frame in enumerate(frames):
        load(toronto, feed, frame, AS_OF + timedelta(days=day))
    in_order = hashes(toronto, [feed], [feed], ["raw", "staging"])
    days = [*range(len(frames)), *order.draw(st.lists(st.integers(0, len(frames) - 1), max_size=2))]
    for day in order.draw(st.permutations(days)):
        load(toronto, feed, frames[day], AS_OF + timedelta(days=day))
    assert hashes(toronto, [feed], [feed], ["raw", "staging"]) == in_order


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=versions(agencies.POLICE), more=st.data())
def test_the_same_holds_through_landing_and_the_real_suite(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, more: st.DataObject
) -> None:
    agency = agencies.POLICE
    sent = [[[rows[number] for number in piece] for piece in delivery] for delivery in more.draw(deliveries(len(rows)))]
    ends = [AS_OF - timedelta(hours=number) for number in range(len(sent))]

    def home(given: list[tuple[list[Rows], datetime]]) -> str:
        folder: Path = tmp_path_factory.mktemp("home")
        fresh = Settings(home=folder, profile=agencies.profile(), as_of=AS_OF)
        for parts, end in given:
            pages = tuple(part(agency, some) for some in parts)
            landing.put(fresh, agency.feed.name, Delivery(pages, end - timedelta(days=3), end))
        with warehouse.connect(fresh) as con:
            loading.load_pending(con, fresh, agency.feed)
            return warehouse.logical_hash(con, "raw", agency.feed.name)

    assert home([([rows], AS_OF)]) == home(list(zip(sent, ends, strict=True)))
