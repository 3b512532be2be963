"""Tables of Socrata portals (SODA), as most US cities publish theirs: a city is a few lines of TOML, and no module.

`url` is the portal, `resource` the table's id (four and four signs), `columns` says which of the table's columns
holds which of `COLUMNS`. All feeds of the kind share one staging file and one suite. With `updated_at` mapped the feed
is keyed by `row_id`, else by `source_id`, and read by windows of that column; without it the whole table is a snapshot.

Grain: one row per row of the table, which may be a record or one unit's part in it: rows of one `source_id` are one
incident. Traps: numbers come as text, and null ones not at all; times without offset are local; a table that its
publisher loads anew every night gives every row a new `:updated_at`, so map a column of the record's own or none;
points are a `point` (GeoJSON, or a pair of latitude and longitude) or two columns.
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

from pipelines.config.profile import FeedSource, Profile, ProfileError
from pipelines.feeds.feed import Feed, FeedError, Request, TooLarge
from pipelines.feeds.protocols import http, row_lists
from pipelines.feeds.protocols.paged_json import SHIFTED
from pipelines.feeds.protocols.windows import deliveries
from pipelines.schema.delivery import Delivery
from pipelines.schema.incident import SERVICES

__all__ = ["COLUMNS", "declared", "fetch", "parse"]

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
"""What a table may tell, as text; what it does not is null. `area_code` is code or name of a district, `discovered`
and `withheld` are yes or no. An empty `source_id` or `row_id` means that the table has none."""

_ROW = ":id"
"""The portal's own id of a row."""

_FIELD = re.compile(r":?@?[a-z_][a-z0-9_]{0,127}")
_RESOURCE = re.compile(r"[a-z0-9]{4}-[a-z0-9]{4}")
_CURSOR_TYPES = {"calendar_date": False, "date": True, "fixed_timestamp": True}


def declared(name: str, profile: Profile) -> Feed:
    """The feed that a profile declares under this name.

    Raises:
        ProfileError: its entry lacks something, or names a table or column that no portal can have.
    """
    source = profile.feeds[name]
    if problems := list(_problems(source)):
        raise ProfileError(f"[feeds.{name}] of profile {profile.name}: {'; '.join(problems)}")
    is_keyed = "updated_at" in source.columns
    return Feed(
        name=name,
        agency=str(source.agency),
        kind="keyed" if is_keyed else "snapshot",
        columns=dict.fromkeys(COLUMNS, pl.String),
        fetch=fetch,
        parse=partial(parse, columns=source.columns, category=source.category),
        key=("row_id",) if is_keyed else (),
        updated_at="updated_at" if is_keyed else None,
        place=("lon", "lat"),
        told_at=("updated_at", "reported_at", "occurred_at"),
        template="socrata",
    )


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the rows that changed in the request's window, one delivery per piece of it, or the whole table as one.

    Raises:
        TooLarge: a window holds more rows than one delivery may.
        FeedError: the portal cannot be read, the table lacks a column of the profile, or its pages do not add up.
    """
    updated_at = request.source.columns.get("updated_at")
    with http.session() as client:
        zone = ZoneInfo("UTC") if _check_columns(client, request) else request.profile.zone

        def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
            where = f"{updated_at} >= '{_text(start, zone)}' and {updated_at} < '{_text(end, zone)}'"
            return tuple(_pages(client, request, where))

        if updated_at:
            yield from deliveries(request, read)
        else:
            yield Delivery(tuple(_pages(client, request, None)), None, request.window_end)


def parse(parts: Sequence[bytes], columns: Mapping[str, str], category: str | None = None) -> pl.DataFrame:
    """The rows of all pages under our names, as text. Pure.

    Of columns that are not mapped only the names are kept, with "true" where a row has a value: what they hold may
    describe persons. None are asked for; a portal may still send them.

    Args:
        parts: Pages as received.
        columns: Our column, or `point`, → the source's.
        category: Source category of every row, where no column is mapped to it.
    """
    pages = [part for part in parts if part.strip() not in (b"", b"[]")]
    frames = [_renamed(pl.read_json(page, infer_schema_length=None), columns, category) for page in pages]
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def _problems(source: FeedSource) -> Iterator[str]:
    mapped = source.columns
    if unknown := sorted(set(mapped) - {*COLUMNS, "point"}):
        yield f"columns names {unknown}, which are not among {[*COLUMNS, 'point']}"
    if wrong := sorted(column for column in mapped.values() if not _FIELD.fullmatch(column)):
        yield f"columns maps to {wrong}, which no table has: use the field names of the portal's API page"
    if not _RESOURCE.fullmatch(source.resource or ""):
        yield "resource must be the table's id, such as ijzp-q8t2"
    if source.agency is None:
        yield "agency must be police, fire or investigation"
    if not source.services or set(source.services) - set(SERVICES):
        yield f"services must be of {list(SERVICES)}"
    if not {"occurred_at", "reported_at"} & mapped.keys():
        yield "columns must map occurred_at or reported_at"
    if ("updated_at" in mapped) != (source.window_days is not None):
        yield "updated_at among the columns and window_days need each other; a table without both is read whole"
    if "unit_id" in mapped and "row_id" not in mapped:
        yield "unit_id among the columns needs row_id: without an id of each row, units of one record are told as one"
    if "updated_at" in mapped and "source_id" not in mapped:
        yield "updated_at among the columns needs source_id: changes of a record are told by its id"
    if source.crs != "EPSG:4326":
        yield "crs must be EPSG:4326: map the table's longitude and latitude, or its point"


def _check_columns(client: httpx.Client, request: Request) -> bool:
    """Whether the column of updates is in UTC; refuses a table that lacks a column of the profile."""
    url = f"{request.url.rstrip('/')}/api/views/{request.source.resource}.json"
    answer = http.decode(http.get(url, headers=_headers(request), client=client), http.place(url))
    try:
        types = {str(column["fieldName"]): str(column["dataTypeName"]) for column in answer["columns"]}
    except (KeyError, TypeError) as error:
        raise FeedError(f"{http.place(url)} describes no columns: is `resource` of the feed a table's id?") from error
    wanted = {column for column in request.source.columns.values() if not column.startswith(":")}
    if missing := sorted(wanted - types.keys()):
        new = sorted(types.keys() - wanted)
        raise FeedError(
            f"{http.place(url)}: the table lacks the columns {missing}; it has, besides those mapped, {new}: if the "
            "portal renamed a column, change it under `columns` of the feed in the profile"
        )
    updated_at = request.source.columns.get("updated_at", ":updated_at")
    if updated_at.startswith(":"):
        return True
    if types[updated_at] not in _CURSOR_TYPES:
        kind = types[updated_at]
        raise FeedError(f"{http.place(url)}: {updated_at} is {kind}, no instant: map updated_at to another column")
    return _CURSOR_TYPES[types[updated_at]]


def _pages(client: httpx.Client, request: Request, where: str | None) -> Iterator[bytes]:
    """Pages in an order that holds while they are read. A portal may send fewer rows than asked for."""
    url = f"{request.url.rstrip('/')}/resource/{request.source.resource}.json"
    mapped = request.source.columns
    counted, _ = _ask(client, request, url, {"$select": "count(*) as n", "$where": where})
    try:
        total = int(counted[0]["n"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise FeedError(f"{http.place(url)} does not count its rows: is `resource` a table's id?") from error
    if total > request.source.max_rows:
        what = (
            "one window" if where else "the whole table: raise max_rows of the feed, or map updated_at to read windows"
        )
        raise TooLarge(f"{http.place(url)} counts {total:,} rows in {what}", total)
    order = ", ".join(column for column in (mapped.get("updated_at"), _ROW) if column)
    # Nothing else leaves the portal: tables of calls bear names, phone numbers and free text beside what is mapped.
    select = ", ".join(dict.fromkeys([_ROW, *mapped.values()]))
    received, last = 0, b""
    before: set[Any] = set()
    while received < total or not last:
        asked = {"$select": select, "$where": where, "$order": order, "$limit": request.source.page_size}
        rows, page = _ask(client, request, url, {**asked, "$offset": received})
        if rows and page == last:
            raise FeedError(f"{http.place(url)} sends the same page twice (at row {received}): run again")
        found = {row.get(_ROW) for row in rows} - {None}
        if not before.isdisjoint(found):
            raise FeedError(f"{http.place(url)} sends rows of a page again (at row {received}): {SHIFTED}")
        before = found
        yield page
        received, last = received + len(rows), page
        if not rows:
            break
    if received != total:
        raise FeedError(
            f"{http.place(url)} counts {total} rows but sent {received}: the table changed while it was read; "
            "nothing was kept, run again"
        )


def _ask(
    client: httpx.Client, request: Request, url: str, query: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bytes]:
    """The rows of one answer, decoded and as received."""
    body = http.get(url, query, headers=_headers(request), client=client)
    where = http.place(url, {name: value for name, value in query.items() if value is not None})
    return row_lists.decode(body, where), body


def _headers(request: Request) -> dict[str, str] | None:
    return {"X-App-Token": request.secret} if request.secret else None


def _text(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as SoQL compares it: with Z against a column in UTC, else as the wall clock read it."""
    local = instant.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")
    return f"{local}Z" if zone.key == "UTC" else local


def _renamed(page: pl.DataFrame, columns: Mapping[str, str], category: str | None) -> pl.DataFrame:
    known = {ours: _as_text(page, theirs) for ours, theirs in columns.items() if ours != "point"}
    known |= _axes(page, columns["point"]) if "point" in columns else {}
    source_id = known.get("source_id", pl.lit(""))
    filled = {"source_id": source_id, "row_id": source_id, "category": pl.lit(category, pl.String)} | known
    nothing = pl.lit(None, pl.String)
    # A column of the source that is not mapped may bear one of our names.
    others = [name for name in page.columns if name != _ROW and name not in columns.values()]
    return page.select(
        *(filled.get(name, nothing).alias(name) for name in COLUMNS),
        *(
            pl.when(pl.col(name).is_not_null()).then(True).alias(f"{name} (source)" if name in COLUMNS else name)
            for name in others
        ),
    )


def _as_text(page: pl.DataFrame, name: str) -> pl.Expr:
    """A column as text that does not depend on its neighbours: a page with 2 and 2.5 reads 2 as 2.0."""
    dtype = page.schema.get(name, pl.Null())
    if isinstance(dtype, pl.Null):
        return pl.lit(None, pl.String)
    if isinstance(dtype, pl.Struct):
        return pl.when(pl.col(name).is_not_null()).then(pl.col(name).struct.json_encode())
    if isinstance(dtype, pl.List):
        return pl.when(pl.col(name).is_not_null()).then(pl.struct(name).struct.json_encode())
    text = pl.col(name).cast(pl.String)
    return text.str.strip_suffix(".0") if dtype.is_float() else text


def _axes(page: pl.DataFrame, name: str) -> dict[str, pl.Expr]:
    dtype = page.schema.get(name, pl.Null())
    fields = {field.name for field in dtype.fields} if isinstance(dtype, pl.Struct) else set()
    if "coordinates" in fields:
        pair = pl.col(name).struct.field("coordinates").list
        return {axis: pair.get(place, null_on_oob=True).cast(pl.String) for place, axis in enumerate(("lon", "lat"))}
    if {"longitude", "latitude"} <= fields:
        return {axis: pl.col(name).struct.field(long) for axis, long in (("lon", "longitude"), ("lat", "latitude"))}
    return {}
