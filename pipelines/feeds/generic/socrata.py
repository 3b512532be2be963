"""Tables of Socrata portals (SODA), which most US cities use: a city needs a few lines of TOML and no module.

`url` is the portal, `resource` the table's id (such as `ijzp-q8t2`), and `columns` maps `COLUMNS` to the table's
columns. All feeds of the kind share one staging file and one suite. With `updated_at` mapped, the feed is keyed by
`row_id` (else by `source_id`) and read in windows of that column; without it, the whole table is a snapshot.

Grain: one row per row of the table, which may be a record or one unit's part of it: rows with the same `source_id` are
one incident. Pitfalls: numbers are text, and null values are left out; times without offset are local; a table that its
publisher reloads every night gives every row a new `:updated_at`, so map a column of the record itself or none; points
are a `point` (GeoJSON, WKT, or a pair of latitude and longitude, also as text) or two columns.
Source: the SODA guides (paging, system fields, `calendar_date` and `fixed_timestamp`).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import polars as pl

from pipelines.config.profile import FeedSource, Profile
from pipelines.config.profile_checks import Problem
from pipelines.feeds.feed import Feed, FeedError, Request, TooLarge
from pipelines.feeds.generic.socrata_rows import CLOCKS, COLUMNS, ROW, parse
from pipelines.feeds.protocols import http, row_lists
from pipelines.feeds.protocols.offset_pages import Changed, Page, pages, unchanged
from pipelines.feeds.protocols.windows import deliveries
from pipelines.schema.delivery import Delivery
from pipelines.schema.incident import SERVICES

__all__ = ["CLOCKS", "COLUMNS", "declared", "fetch", "parse", "problems"]

_FIELD = re.compile(r":?@?[a-z_][a-z0-9_]{0,127}")
_RESOURCE = re.compile(r"[a-z0-9]{4}-[a-z0-9]{4}")
_CURSOR_TYPES = {"calendar_date": False, "date": True, "fixed_timestamp": True}


def declared(name: str, profile: Profile) -> Feed:
    """Build the feed that a profile declares under this name, in which `problems` sees nothing wrong."""
    source = profile.feeds[name]
    is_keyed = "updated_at" in source.columns
    return Feed(
        name=name,
        agency=str(source.agency),
        load_type="keyed" if is_keyed else "snapshot",
        columns=dict.fromkeys(COLUMNS, pl.String),
        fetch=fetch,
        parse=partial(parse, columns=source.columns, category=source.category),
        key=("row_id",) if is_keyed else (),
        updated_at="updated_at" if is_keyed else None,
        coordinate_columns=("lon", "lat"),
        timestamp_columns=("updated_at", "reported_at", "occurred_at"),
        template="socrata",
    )


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the rows that changed in the request's window, one delivery per chunk, or the whole table as one delivery.

    Raises:
        TooLarge: A window has more rows than one delivery may hold.
        FeedError: The portal cannot be read, the table lacks a mapped column, or it changed during each attempt.
    """
    updated_at = request.source.columns.get("updated_at")
    with http.session() as client:
        zone = ZoneInfo("UTC") if _check_columns(client, request) else request.profile.zone

        def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
            where = f"{updated_at} >= '{_text(start, zone)}' and {updated_at} < '{_text(end, zone)}'"
            return unchanged(lambda: _pages(client, request, where))

        if updated_at:
            yield from deliveries(request, read)
        else:
            yield Delivery(unchanged(lambda: _pages(client, request, None)), None, request.window_end)


def problems(name: str, profile: Profile) -> Iterator[Problem]:
    """Yield what is incomplete or invalid in the entry of a feed, with its key."""
    source, here = profile.feeds[name], ("feeds", name)
    mapped = source.columns
    for column, field in mapped.items():
        if column not in (known := (*COLUMNS, "point", *CLOCKS.values())):
            yield (*here, "columns", column), f"is not one of {', '.join(known)}"
        if not _FIELD.fullmatch(field):
            yield (*here, "columns", column), f"{field!r} is not a column name: use those of the portal's API page"
    if not _RESOURCE.fullmatch(source.resource or ""):
        yield (*here, "resource"), "must be the table's id, such as ijzp-q8t2"
    if source.agency is None:
        yield (*here, "agency"), "must be police, fire or investigation"
    if not source.services:
        yield (*here, "services"), f"must name some of {', '.join(SERVICES)}"
    if source.crs != "EPSG:4326":
        yield (*here, "crs"), "must be EPSG:4326: map the table's longitude and latitude, or its point"
    yield from (((*here, "columns"), reason) for reason in _incomplete(source))


def _incomplete(source: FeedSource) -> Iterator[str]:
    """Yield which columns need another one."""
    mapped = source.columns
    if not {"occurred_at", "reported_at"} & mapped.keys():
        yield "must map occurred_at or reported_at"
    if ("updated_at" in mapped) != (source.window_days is not None):
        yield "set both updated_at and the feed's window_days, or neither (then the whole table is read)"
    for day, clock in CLOCKS.items():
        if clock in mapped and day not in mapped:
            yield f"{clock} needs {day}: it is the time of day of the date in that column"
    if "unit_id" in mapped and "row_id" not in mapped:
        yield "unit_id needs row_id: without a row id, units of one record cannot be distinguished"
    if "updated_at" in mapped and "source_id" not in mapped:
        yield "updated_at needs source_id: it identifies the record that changed"


def _described(client: httpx.Client, request: Request) -> dict[str, Any]:
    """Return the portal's description of the table."""
    url = f"{request.url.rstrip('/')}/api/views/{request.source.resource}.json"
    return http.decode(http.get(url, headers=_headers(request), client=client), http.place(url))


def _check_columns(client: httpx.Client, request: Request) -> bool:
    """Return whether the update column is in UTC; raise an error if the table lacks a mapped column."""
    url = f"{request.url.rstrip('/')}/api/views/{request.source.resource}.json"
    answer = _described(client, request)
    try:
        types = {str(column["fieldName"]): str(column["dataTypeName"]) for column in answer["columns"]}
    except (KeyError, TypeError) as error:
        raise FeedError(
            f"{http.place(url)} returned no column descriptions: check that `resource` is a table id"
        ) from error
    wanted = {column for column in request.source.columns.values() if not column.startswith(":")}
    if missing := sorted(wanted - types.keys()):
        new = sorted(types.keys() - wanted)
        raise FeedError(
            f"{http.place(url)}: the table has no columns {missing}; its unmapped columns are {new}; if the "
            "portal renamed a column, change it under `columns` of the feed in the profile"
        )
    updated_at = request.source.columns.get("updated_at", ":updated_at")
    if updated_at.startswith(":"):
        return True
    if types[updated_at] not in _CURSOR_TYPES:
        kind = types[updated_at]
        raise FeedError(
            f"{http.place(url)}: {updated_at} has type {kind}, which is not a timestamp: map updated_at to another "
            "column"
        )
    return _CURSOR_TYPES[types[updated_at]]


def _pages(client: httpx.Client, request: Request, where: str | None) -> tuple[bytes, ...]:
    """Return the pages of a table that stays the same. A portal may send fewer rows per page than requested."""
    url = f"{request.url.rstrip('/')}/resource/{request.source.resource}.json"
    mapped = request.source.columns
    total = _count(client, request, url, where)
    if total > request.source.max_rows:
        what = "one window" if where else "the whole table: raise max_rows, or map updated_at to read in windows"
        raise TooLarge(f"{http.place(url)} has {total:,} rows in {what}", total)
    updated = _described(client, request).get("rowsUpdatedAt")
    order = ", ".join(column for column in (mapped.get("updated_at"), ROW) if column)
    # Request mapped columns only: tables of calls may also contain names, phone numbers and free text.
    select = ", ".join(dict.fromkeys([ROW, *mapped.values()]))

    def ask(offset: int) -> Page:
        query = {"$select": select, "$where": where, "$order": order, "$limit": request.source.page_size}
        rows, page = _ask(client, request, url, {**query, "$offset": offset})
        return Page(page, [row.get(ROW) for row in rows])

    numbered = pages(ask, total, request.source.page_size, http.place(url))
    if request.first_page:
        return (next(numbered)[0].body,)
    parts = list(numbered)
    received = sum(fresh for _, fresh in parts)
    after, updated_after = _count(client, request, url, where), _described(client, request).get("rowsUpdatedAt")
    # The table of a window may grow outside it; without a window every update counts.
    is_updated = where is None and updated_after != updated
    if received != total or after != total or is_updated:
        raise Changed(
            f"{http.place(url)} counted {total} rows, sent {received} and then counted {after}: the table changed "
            "while it was read"
        )
    return tuple(page.body for page, _ in parts)


def _count(client: httpx.Client, request: Request, url: str, where: str | None) -> int:
    counted, _ = _ask(client, request, url, {"$select": "count(*) as n", "$where": where})
    try:
        return int(counted[0]["n"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise FeedError(f"{http.place(url)} returned no row count: check that `resource` is a table id") from error


def _ask(
    client: httpx.Client, request: Request, url: str, query: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bytes]:
    """Return the rows of one answer, decoded and as received."""
    body = http.get(url, query, headers=_headers(request), client=client)
    where = http.place(url, {name: value for name, value in query.items() if value is not None})
    return row_lists.decode(body, where), body


def _headers(request: Request) -> dict[str, str] | None:
    return {"X-App-Token": request.secret} if request.secret else None


def _text(instant: datetime, zone: ZoneInfo) -> str:
    """Format an instant for SoQL: with Z for a column in UTC, otherwise in local time without offset."""
    local = instant.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")
    return f"{local}Z" if zone.key == "UTC" else local
