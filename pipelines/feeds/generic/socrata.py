"""Tables of Socrata portals (SODA), which most US cities use: a city needs a few lines of TOML and no module.

`url` is the portal, `resource` the table's id (such as `ijzp-q8t2`), and `columns` maps `COLUMNS` to the table's
columns. All feeds of the kind share one staging file and one suite. With `updated_at` mapped, the feed is keyed by
`row_id` (else by `source_id`) and read in windows of that column; without it, the whole table is a snapshot.

Grain: one row per row of the table, which may be a record or one unit's part of it: rows with the same `source_id` are
one incident. Pitfalls: numbers are text, and null values are left out; times without offset are local; a table that its
publisher reloads every night gives every row a new `:updated_at`, so map a column of the record itself or none; points
are a `point` (GeoJSON, or a pair of latitude and longitude) or two columns.
Source: the SODA guides (paging, system fields, `calendar_date` and `fixed_timestamp`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import polars as pl

from pipelines.config.profile import FeedSource, Profile
from pipelines.config.profile_checks import Problem
from pipelines.feeds.feed import Feed, FeedError, Request, TooLarge
from pipelines.feeds.protocols import http, row_lists
from pipelines.feeds.protocols.offset_pages import Changed, Page, pages, unchanged
from pipelines.feeds.protocols.windows import deliveries
from pipelines.schema.delivery import Delivery
from pipelines.schema.incident import SERVICES

__all__ = ["COLUMNS", "declared", "fetch", "parse", "problems"]

INSTANTS = (
    "occurred_at",
    "reported_at",
    "updated_at",
    "dispatched_at",
    "en_route_at",
    "arrived_at",
    "left_scene_at",
    "hospital_at",
    "available_at",
    "closed_at",
)
COLUMNS = (
    "source_id",
    "row_id",
    "category",
    *INSTANTS,
    "priority",
    "unit_id",
    "unit_type",
    "lon",
    "lat",
    "area_code",
    "discovered",
    "withheld",
)
"""Columns that a table may provide, as text; missing ones are null. `area_code` is the code or name of a district;
`discovered` and `withheld` are yes or no. An empty `source_id` or `row_id` means that the table has none.
"""

CLOCKS = {"occurred_at": "occurred_time", "reported_at": "reported_time"}
"""Columns that may state the time of day apart, for a column of days: 1:30, 01:30:00, 1:30 PM, 0130 or 130."""

NO_COORDINATE = ("", "na", "n/a", "nan", "null", "none", "redacted", "-")
"""Text in lower case that a source writes where it has no place."""
_ROW = ":id"
"""The portal's id of a row."""

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


def parse(parts: Sequence[bytes], columns: Mapping[str, str], category: str | None = None) -> pl.DataFrame:
    """Parse the rows of all pages into the project's columns, as text. Pure.

    A page that begins with the last row of the one before it has that row once. Of columns that are not mapped only the
    names are kept, with "true" where a row has a value, because their values may describe persons. Unmapped columns are
    not requested, but a portal may still send them.

    Args:
        parts: Pages as received.
        columns: Project column, or `point`, → source column.
        category: Source category of every row, for a table without a category column.
    """
    frames, last = [], None
    for part in parts:
        if part.strip() in (b"", b"[]"):
            continue
        page = pl.read_json(part, infer_schema_length=None)
        ids = page[_ROW] if _ROW in page.columns else None
        is_shared = ids is not None and last is not None and ids[0] == last
        last = None if ids is None else ids[-1]
        frames.append(_renamed(page.slice(int(is_shared)), columns, category))
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


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
    order = ", ".join(column for column in (mapped.get("updated_at"), _ROW) if column)
    # Request mapped columns only: tables of calls may also contain names, phone numbers and free text.
    select = ", ".join(dict.fromkeys([_ROW, *mapped.values()]))

    def ask(offset: int) -> Page:
        query = {"$select": select, "$where": where, "$order": order, "$limit": request.source.page_size}
        rows, page = _ask(client, request, url, {**query, "$offset": offset})
        return Page(page, [row.get(_ROW) for row in rows])

    parts = list(pages(ask, total, request.source.page_size, http.place(url)))
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


def _renamed(page: pl.DataFrame, columns: Mapping[str, str], category: str | None) -> pl.DataFrame:
    known = {name: _as_text(page, column) for name, column in columns.items() if name != "point"}
    known |= _axes(page, columns["point"]) if "point" in columns else {}
    known |= {name: _coordinate(known[name]) for name in ("lon", "lat") if name in known}
    known |= {day: _at_time(known[day], known.pop(clock)) for day, clock in CLOCKS.items() if clock in known}
    source_id = known.get("source_id", pl.lit(""))
    filled = {"source_id": source_id, "row_id": source_id, "category": pl.lit(category, pl.String)} | known
    nothing = pl.lit(None, pl.String)
    # An unmapped column of the source may have the name of a project column.
    others = [name for name in page.columns if name != _ROW and name not in columns.values()]
    return page.select(
        *(filled.get(name, nothing).alias(name) for name in COLUMNS),
        *(
            pl.when(pl.col(name).is_not_null()).then(True).alias(f"{name} (source)" if name in COLUMNS else name)
            for name in others
        ),
    )


def _as_text(page: pl.DataFrame, name: str) -> pl.Expr:
    """Convert a column to text independent of its other values: a page with 2 and 2.5 gives 2.0 for 2."""
    dtype = page.schema.get(name, pl.Null())
    if isinstance(dtype, pl.Null):
        return pl.lit(None, pl.String)
    if isinstance(dtype, pl.Struct):
        return pl.when(pl.col(name).is_not_null()).then(pl.col(name).struct.json_encode())
    if isinstance(dtype, pl.List):
        return pl.when(pl.col(name).is_not_null()).then(pl.struct(name).struct.json_encode())
    text = pl.col(name).cast(pl.String)
    return text.str.strip_suffix(".0") if dtype.is_float() else text


def _at_time(day: pl.Expr, clock: pl.Expr) -> pl.Expr:
    """Return a day with the time that another column states; the day alone where there is none.

    What is not a time is kept as it is, so that the suite quarantines the row.
    """
    # A portal without a type for times writes 1900-01-01T01:30:00.000.
    text = clock.str.strip_chars().str.replace(r"^\d{4}-\d{2}-\d{2}[T ]", "")
    digits = text.str.extract(r"^(\d{1,6})$")
    padded = digits.str.pad_start(pl.when(digits.str.len_chars() > 4).then(6).otherwise(4), "0")
    parts = pl.coalesce(padded.str.replace(r"^(\d\d)(\d\d)(\d*)$", "${1}:${2}:${3}"), text)
    groups = parts.str.extract_groups(r"^(\d{1,2}):(\d{2}):?(\d{2})?(?:\.\d+)?\s*(?:([AaPp])\.?[Mm]\.?)?$")
    hour = groups.struct.field("1").cast(pl.Int32)
    half = groups.struct.field("4").str.to_lowercase()
    of_day = pl.when(half.is_null()).then(hour).otherwise(hour % 12 + pl.when(half == "p").then(12).otherwise(0))
    written = pl.format(
        "{}:{}:{}",
        of_day.cast(pl.String).str.zfill(2),
        groups.struct.field("2"),
        groups.struct.field("3").fill_null("00"),
    )
    date = day.str.strip_chars().str.slice(0, 10)
    return pl.when(text.fill_null("") == "").then(date).otherwise(pl.format("{}T{}", date, pl.coalesce(written, text)))


def _coordinate(text: pl.Expr) -> pl.Expr:
    """Return a coordinate's text, null for words that mean that there is none."""
    return pl.when(~text.str.strip_chars().str.to_lowercase().is_in(NO_COORDINATE)).then(text)


def _axes(page: pl.DataFrame, name: str) -> dict[str, pl.Expr]:
    dtype = page.schema.get(name, pl.Null())
    fields = {field.name for field in dtype.fields} if isinstance(dtype, pl.Struct) else set()
    if "coordinates" in fields:
        pair = pl.col(name).struct.field("coordinates").list
        return {axis: pair.get(place, null_on_oob=True).cast(pl.String) for place, axis in enumerate(("lon", "lat"))}
    if {"longitude", "latitude"} <= fields:
        return {axis: pl.col(name).struct.field(long) for axis, long in (("lon", "longitude"), ("lat", "latitude"))}
    return {}
