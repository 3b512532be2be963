"""Helpers of the Toronto feeds' tests: requests, and raw and staging tables built from a few rows in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.feeds import FEEDS
from pipelines.feeds.feed import Feed, Request, conform
from pipelines.ingest import chunks, merge
from pipelines.quality import suites
from pipelines.store import warehouse
from pipelines.store.landing import Batch
from pipelines.transform import build
from tests import replay

TORONTO = profiles.load("toronto")
END = datetime(2027, 1, 1, tzinfo=UTC)
DAY_SECONDS = 86_400

needs_shared_data = pytest.mark.skipif(
    not (replay.shared_data() / "toronto").is_dir(),
    reason=f"the shared Toronto files are not at {replay.shared_data() / 'toronto'}",
)


def request(feed: str, url: str, **source: Any) -> Request:
    """A request for a whole delivery, with parts of the profile's entry replaced."""
    return Request(url, None, TORONTO.feeds[feed].model_copy(update=source), TORONTO, None, END)


def memory() -> duckdb.DuckDBPyConnection:
    """An in-memory database in UTC with the delays of the Toronto feeds and 2022 as the current time."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    for schema in ("raw", "reference", "staging"):
        con.execute(f"create schema {schema}")
    con.execute("create table reference.feeds (feed varchar, delay_seconds bigint)")
    for name in TORONTO.feeds:
        con.execute("insert into reference.feeds values (?, ?)", [name, DAY_SECONDS])
    con.execute("set variable time_zone = 'America/Toronto'")
    as_of(con, END.isoformat())
    return con


def as_of(con: duckdb.DuckDBPyConnection, instant: str) -> None:
    """Set the current time of the database to this instant."""
    con.execute(f"set variable as_of = timestamptz '{instant}'")


def load(con: duckdb.DuckDBPyConnection, feed: Feed, frame: pl.DataFrame, end: datetime = END) -> suites.Verdict:
    """Check a parsed frame with the feed's suite and merge it into raw; return the suite result."""
    numbered = conform(feed, frame).with_row_index("_row").with_columns(pl.col("_row").cast(pl.Int64))
    merge.prepare(con, feed)
    batch = cast(Batch, SimpleNamespace(batch_id=f"{end:%Y%m%d}", window_end=end))
    piece = chunks.checked(feed, chunks.Chunk(batch, numbered), TORONTO.zone)
    merge.gather(con, feed, [piece])
    merge.merge(con, feed, batch)
    assert piece.verdict is not None
    return piece.verdict


def rows(feed: Feed, *given: Mapping[str, Any]) -> pl.DataFrame:
    """A parsed frame of a few rows; columns that are not given are null."""
    return pl.DataFrame([dict.fromkeys(feed.columns) | dict(row) for row in given], infer_schema_length=None)


def stage(con: duckdb.DuckDBPyConnection, table: str) -> pl.DataFrame:
    """Build one table of staging with those of staging that it reads."""
    selects = build.staging_selects(FEEDS)
    wanted, ahead = set(), [table]
    while ahead:
        wanted.add(name := ahead.pop())
        read = {source.partition(".")[2] for source in warehouse.references(con, selects[name])}
        ahead += (read & selects.keys()) - wanted
    warehouse.run_selects(con, "staging", {name: selects[name] for name in wanted})
    return con.execute(f'select * from staging."{table}"').pl()
