"""Street-level crimes of data.police.uk (police.uk's API): a place in the United Kingdom is a few lines of TOML.

`resource` is a polygon as the API writes it (`52.27,0.54:52.79,0.24:52.13,0.48`: latitude, longitude), or a force's id
(`leicestershire`), for the crimes of a force that have no place.

Grain: one row per crime. A snapshot of all months that the API serves (36) at once, not keyed: `persistent_id` is empty
for anti-social behaviour and for some forces, and `id` is the API's own and may change, so it is left to `_extra`. Of
the months, each is taken from the newest delivery that holds it (staging): one that the API no longer serves stays.
Traps: the month is all that is known of the time; points are moved to one of 750,000 street points; coordinates are
text; `outcome_status` is null as long as there is none; a polygon with more than 10,000 crimes a month answers 503.
Source: the API's documentation (docs/method on data.police.uk).
"""

import re
from collections.abc import Iterator, Sequence

import httpx
import polars as pl

from pipelines.config.profile import Profile, ProfileError
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.protocols import http, row_lists
from pipelines.schema.delivery import Delivery

__all__ = ["declared", "fetch", "parse"]

_PAIR = r"-?\d{1,2}(\.\d+)?,-?\d{1,3}(\.\d+)?"
_POLYGON = re.compile(rf"{_PAIR}(:{_PAIR}){{2,}}")
_FORCE = re.compile(r"[a-z]+(-[a-z]+)*")
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


def declared(name: str, profile: Profile) -> Feed:
    """The feed that a profile declares under this name.

    Raises:
        ProfileError: its entry names no polygon or force.
    """
    source = profile.feeds[name]
    named = source.resource or ""
    if not (_POLYGON.fullmatch(named) or _FORCE.fullmatch(named)) or source.agency != "police" or source.window_days:
        raise ProfileError(
            f"[feeds.{name}] of profile {profile.name}: resource must be a polygon (lat,lng:lat,lng:lat,lng) or the id "
            'of a force, agency "police", and no window_days be set: all months come at once'
        )
    return Feed(
        name=name,
        agency="police",
        kind="snapshot",
        columns=dict.fromkeys(_COLUMNS, pl.String),
        fetch=fetch,
        parse=parse,
        place=("longitude", "latitude"),
        template="data_police_uk",
    )


def fetch(request: Request) -> Iterator[Delivery]:
    """Read every month that the API serves as one delivery, each month a part.

    Raises:
        FeedError: the API cannot be read, or answers something else than crimes.
    """
    named = request.source.resource or ""
    base = request.url.rstrip("/")
    if _POLYGON.fullmatch(named):
        url, wanted = f"{base}/crimes-street/all-crime", {"poly": named}
    else:
        url, wanted = f"{base}/crimes-no-location", {"category": "all-crime", "force": named}
    with http.session() as client:
        months = _months(client, f"{base}/crimes-street-dates")
        parts = tuple(_read(client, url, {**wanted, "date": month}) for month in months)
    yield Delivery(parts, None, request.window_end)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """The crimes of all months as text, the nested place and outcome laid flat. Pure."""
    months = [part for part in parts if part.strip() != b"[]"]
    frames = [_flat(pl.read_json(month, infer_schema_length=None)) for month in months]
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def _flat(month: pl.DataFrame) -> pl.DataFrame:
    """A field that is null throughout a month, such as the outcome of a new one, has no fields of its own."""
    nested = {
        "longitude": _inside(month, "location", "longitude"),
        "latitude": _inside(month, "location", "latitude"),
        "street": _inside(month, "location", "street", "name"),
        "outcome": _inside(month, "outcome_status", "category"),
    }
    plain = [name for name in month.columns if name not in ("location", "outcome_status")]
    return month.select(pl.col(plain).cast(pl.String), **{name: one.cast(pl.String) for name, one in nested.items()})


def _inside(month: pl.DataFrame, name: str, *path: str) -> pl.Expr:
    dtype, found = month.schema.get(name, pl.Null()), pl.col(name)
    for field in path:
        fields = {one.name: one.dtype for one in dtype.fields} if isinstance(dtype, pl.Struct) else {}
        if field not in fields:
            return pl.lit(None)
        dtype, found = fields[field], found.struct.field(field)  # type: ignore[assignment]
    return found


def _months(client: httpx.Client, url: str) -> list[str]:
    months = [str(row.get("date")) for row in row_lists.decode(http.get(url, client=client), http.place(url))]
    if wrong := [month for month in months if not re.fullmatch(r"\d{4}-\d{2}", month)]:
        raise FeedError(f"{http.place(url)} names the months {wrong[:3]}: the API's format changed")
    return sorted(months)


def _read(client: httpx.Client, url: str, query: dict[str, str]) -> bytes:
    part = http.get(url, query, client=client)
    row_lists.decode(part, http.place(url, query))
    return part
