"""Helpers of the Korean feeds' tests: an in-memory database with a fixed November evening as now, and requests."""

from datetime import datetime

import duckdb

from pipelines.config import profile as profiles
from pipelines.feeds.feed import Request
from tests.feeds.portal import as_of

KOREA = profiles.load("korea")
NOW = "2025-11-05 20:15:00+00"


def memory(delay_seconds: int = 0) -> duckdb.DuckDBPyConnection:
    """Schemas, the feeds' delays, a fire station and three districts, the time zone and the current time."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    for schema in ("raw", "reference", "staging"):
        con.execute(f"create schema {schema}")
    con.execute("create table reference.feeds (feed varchar, delay_seconds bigint)")
    for name in KOREA.feeds:
        con.execute("insert into reference.feeds values (?, ?)", [name, delay_seconds])
    con.execute(
        """
        create table reference.areas as
        select * from (
            values
                ('F-11-01', 'fire', 'station', '종로소방서', null),
                ('11', 'admin', 'province', '서울특별시', 'KR'),
                ('26', 'admin', 'province', '부산광역시', 'KR'),
                ('11110', 'admin', 'district', '종로구', '11'),
                ('11140', 'admin', 'district', '중구', '11'),
                ('26110', 'admin', 'district', '중구', '26')
        ) as area(area_id, hierarchy, area_level, name, parent_area_id)
        """
    )
    con.execute("set variable time_zone = 'Asia/Seoul'")
    as_of(con, NOW)
    return con


def request(feed: str, url: str, start: str, end: str, secret: str | None = None, **source: object) -> Request:
    """A request for a window, with parts of the profile's entry replaced."""
    known = KOREA.feeds[feed].model_copy(update=source)
    return Request(url, secret, known, KOREA, datetime.fromisoformat(start), datetime.fromisoformat(end))
