"""Helpers for tests of cities declared in TOML only: the blocks of docs/add-a-place.md, and staging of a few rows."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl

from pipelines import feeds
from pipelines.config.profile import Profile
from pipelines.feeds.feed import Feed, Request
from pipelines.ingest import merge
from pipelines.store import warehouse
from pipelines.transform import build
from tests.feeds.portal import as_of, load

PAGE = Path(__file__).parents[2] / "docs" / "add-a-place.md"
_BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
CHICAGO = _BLOCKS[0]
"""The whole profile of the page."""


def others() -> dict[str, dict[str, Any]]:
    """The page's other blocks, by feed name."""
    read = [tomllib.loads(block) for block in _BLOCKS[1:]]
    return {name: block for block in read for name in block["feeds"]}


def place(name: str | None = None, **changed: Any) -> Profile:
    """The page's Chicago profile, or the same place with another block's feed next to its districts, with changes."""
    whole = tomllib.loads(CHICAGO)
    if name:
        block = others()[name]
        whole["feeds"] = {**block["feeds"], "chicago_districts": whole["feeds"]["chicago_districts"]}
        whole["categories"] |= block["categories"]
        whole["demand"]["services"] = {service: {"service": service} for service in block["feeds"][name]["services"]}
    feed = name or "chicago_assaults"
    whole["feeds"][feed] |= changed
    return Profile.model_validate(whole)


def feed_of(profile: Profile) -> Feed:
    """The only feed of records."""
    return feeds.of(profile)[0]


def request(profile: Profile, url: str, start: str | None = None, end: str = "2026-10-01T10:00:00+00:00") -> Request:
    """A request to the only feed of records."""
    since = datetime.fromisoformat(start) if start else None
    source = profile.feeds[feed_of(profile).name]
    return Request(url, None, source, profile, since, datetime.fromisoformat(end))


def memory(profile: Profile, now: str = "2026-10-01 10:00:00+00") -> duckdb.DuckDBPyConnection:
    """An in-memory database with the profile's settings, two districts and no rows."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    for schema in ("raw", "reference", "staging"):
        con.execute(f"create schema {schema}")
    build.write_reference(con, profile, feeds.of(profile))
    areas = [("C-017", "Nob Hill", "admin", "district"), ("C-6", "Gresham", "admin", "district")]
    frame = pl.DataFrame(areas, schema=["area_id", "name", "hierarchy", "area_level"], orient="row")
    warehouse.write_frame(con, "reference", "areas", frame)
    con.execute("set variable time_zone = ?", [profile.time_zone])
    merge.prepare(con, feed_of(profile))
    as_of(con, now)
    return con


def received(con: duckdb.DuckDBPyConnection, feed: Feed, *rows: dict[str, Any], day: int = 1) -> list[int]:
    """Load rows as one delivery; return the numbers of the rows that the suite accepts."""
    verdict = load(con, feed, feed.parse([orjson.dumps(rows)]), datetime(2026, 10, day, tzinfo=UTC))
    return verdict.accepted["_row"].to_list()


def staged(con: duckdb.DuckDBPyConnection, feed: Feed, what: str = "") -> list[dict[str, Any]]:
    """Rebuild and return `staging.<feed>`, or its table of dispatches or excluded rows."""
    build.stage(con, (feed,))
    return con.execute(f'select * from staging."{feed.name}{what}" order by all').pl().to_dicts()
