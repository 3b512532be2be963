"""Street-level crimes of data.police.uk (police.uk's API): a place in the United Kingdom needs a few lines of TOML.

`resource` is a polygon in the API's format (`52.27,0.54:52.79,0.24:52.13,0.48`: latitude, longitude), or the id of a
force (`leicestershire`), for the crimes of a force that have no location.

Grain: one row per crime. Each delivery is a snapshot of all months that the API serves (36). It has no key:
`persistent_id` is empty for anti-social behaviour and for some forces, and `id` belongs to the API and may change, so
it is not loaded. Staging takes each month from the newest delivery that contains it, so a month that the API no
longer serves is kept. Pitfalls: only the month of a crime is known; points are moved to one of 750,000 street points;
coordinates are text; `outcome_status` is null until there is an outcome; the API answers 503 for a polygon with more
than 10,000 crimes a month, and reads a polygon of more than 4,094 characters by POST only. A month that cannot be read
is left out and keeps its last version; the delivery's note names it and why.
Source: the API's documentation (docs/method on data.police.uk).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import polars as pl

from pipelines.config import logs
from pipelines.config.profile import Profile
from pipelines.config.profile_checks import Problem
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.protocols import http, row_lists
from pipelines.schema.delivery import Delivery

__all__ = ["declared", "fetch", "parse", "problems"]

log = logs.logger(__name__)

_PAIR = r"-?\d{1,2}(\.\d+)?,-?\d{1,3}(\.\d+)?"
_POLYGON = re.compile(rf"{_PAIR}(:{_PAIR}){{2,}}")
_FORCE = re.compile(r"[a-z]+(-[a-z]+)*")
LONGEST_POLYGON = 4094
"""Characters of a polygon in a URL; a longer one is sent by POST."""
MOST_FAILURES = 3
"""Months that may fail at once; more are a fault of the API or of the request."""
_COLUMNS = (
    "persistent_id",
    "month",
    "category",
    "location_type",
    "location_subtype",
    "context",
    "longitude",
    "latitude",
    "street",
    "outcome",
)


def problems(name: str, profile: Profile) -> Iterator[Problem]:
    """Yield what is incomplete or invalid in the entry of a feed, with its key."""
    source, here = profile.feeds[name], ("feeds", name)
    resource = source.resource or ""
    if not (_POLYGON.fullmatch(resource) or _FORCE.fullmatch(resource)):
        yield (*here, "resource"), "must be a polygon (lat,lng:lat,lng:lat,lng) or the id of a force"
    if source.agency != "police":
        yield (*here, "agency"), 'must be "police"'
    if source.window_days:
        yield (*here, "window_days"), "must not be set: the API sends all months at once"


def declared(name: str, profile: Profile) -> Feed:
    """Build the feed that a profile declares under this name, in which `problems` sees nothing wrong."""
    return Feed(
        name=name,
        agency="police",
        load_type="snapshot",
        columns=dict.fromkeys(_COLUMNS, pl.String),
        fetch=fetch,
        parse=parse,
        coordinate_columns=("longitude", "latitude"),
        template="data_police_uk",
    )


def fetch(request: Request) -> Iterator[Delivery]:
    """Read every month that the API serves as one delivery with one part per month; see `MOST_FAILURES`.

    Raises:
        FeedError: The API cannot be read, or too many of its answers are not a list of crimes.
    """
    named = request.source.resource or ""
    base = request.url.rstrip("/")
    if _POLYGON.fullmatch(named):
        url, wanted = f"{base}/crimes-street/all-crime", {"poly": named}
    else:
        url, wanted = f"{base}/crimes-no-location", {"category": "all-crime", "force": named}
    with http.session() as client:
        months = _months(client, f"{base}/crimes-street-dates")
        if request.first_page:
            months = months[-1:]
        read = {month: _read(client, url, {**wanted, "date": month}) for month in months}
    failures = {month: part for month, part in read.items() if isinstance(part, FeedError)}
    if len(failures) > min(MOST_FAILURES, len(months) - 1):
        month, failure = next(iter(failures.items()))
        raise FeedError(f"{len(failures)} of {len(months)} months were not read, first {month}: {failure}")
    for month, failure in failures.items():
        log.warning("bongsu: the month %s was not read and keeps its last version: %s", month, failure)
    parts = tuple(part for part in read.values() if isinstance(part, bytes))
    yield Delivery(parts, None, request.window_end, _note(failures, "poly" in wanted))


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the crimes of all months as text, with the nested location and outcome flattened. Pure."""
    months = [part for part in parts if part.strip() != b"[]"]
    frames = [_flat(pl.read_json(month, infer_schema_length=None)) for month in months]
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def _flat(month: pl.DataFrame) -> pl.DataFrame:
    """Flatten one month. A field that is null in the whole month, such as a missing outcome, has no nested fields."""
    nested = {
        "longitude": _inside(month, "location", "longitude"),
        "latitude": _inside(month, "location", "latitude"),
        "street": _inside(month, "location", "street", "name"),
        "outcome": _inside(month, "outcome_status", "category"),
    }
    plain = [name for name in month.columns if name not in ("id", "location", "outcome_status")]
    return month.select(
        pl.col(plain).cast(pl.String), **{name: value.cast(pl.String) for name, value in nested.items()}
    )


def _inside(month: pl.DataFrame, name: str, *path: str) -> pl.Expr:
    dtype, value = month.schema.get(name, pl.Null()), pl.col(name)
    for field in path:
        fields = {item.name: item.dtype for item in dtype.fields} if isinstance(dtype, pl.Struct) else {}
        if field not in fields:
            return pl.lit(None)
        dtype, value = fields[field], value.struct.field(field)  # type: ignore[assignment]
    return value


def _months(client: httpx.Client, url: str) -> list[str]:
    months = [str(row.get("date")) for row in row_lists.decode(http.get(url, client=client), http.place(url))]
    if wrong := [month for month in months if not re.fullmatch(r"\d{4}-\d{2}", month)]:
        raise FeedError(f"{http.place(url)} lists the months {wrong[:3]}: the API's format changed")
    return sorted(months)


def _read(client: httpx.Client, url: str, query: dict[str, str]) -> bytes | FeedError:
    """Return a month, or why it cannot be read."""
    try:
        is_long = len(query.get("poly", "")) > LONGEST_POLYGON
        part = http.post(url, query, client=client) if is_long else http.get(url, query, client=client)
        _check_month(row_lists.decode(part, http.place(url, query)), query["date"], http.place(url))
    except http.Unavailable as failure:
        if failure.status == httpx.codes.SERVICE_UNAVAILABLE and "poly" in query:
            hint = f"if only {query['date']} fails, it has more than 10,000 crimes in the polygon: divide the polygon"
            return http.Unavailable(f"{failure}; {hint}", failure.status)
        return failure
    except FeedError as failure:
        return failure
    return part


def _check_month(crimes: Sequence[Mapping[str, Any]], month: str, where: str) -> None:
    """Raise an error if crimes of another month were sent: they would count twice, and this month's be missing."""
    if others := sorted({str(crime["month"]) for crime in crimes if crime.get("month")} - {month}):
        raise FeedError(f"{where} sent crimes of {', '.join(others[:3])} as those of {month}: run again")


def _note(failures: Mapping[str, FeedError], has_polygon: bool) -> str:
    """Return which months are missing and why, without the polygon that each failure's message repeats."""
    if not failures:
        return ""
    reasons = [f"{month} ({_reason(failure, has_polygon)})" for month, failure in failures.items()]
    return (
        f"months that were not read and keep their last version, if there is one: {', '.join(reasons)}; the next run "
        "reads them again"
    )


def _reason(failure: FeedError, has_polygon: bool) -> str:
    if not isinstance(failure, http.Unavailable):
        return "an unusable answer: see the run's log"
    if failure.status is None:
        return "no answer"
    is_too_large = has_polygon and failure.status == httpx.codes.SERVICE_UNAVAILABLE
    return f"status {failure.status}" + (": if it persists, divide the polygon" if is_too_large else "")
