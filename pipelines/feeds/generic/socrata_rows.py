"""Rows of Socrata tables in the project's columns, as text, from times of day, points and placeholders."""

from collections.abc import Mapping, Sequence

import polars as pl

__all__ = ["CLOCKS", "COLUMNS", "ROW", "parse"]

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
_NUMBER = r'"?([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"?'
_X_FIRST, _Y_FIRST = {"lon": 1, "lat": 2}, {"lat": 1, "lon": 2}
POINTS = (
    (rf"(?i)\bPOINT\s*(?:Z|M|ZM)?\s*\(\s*{_NUMBER}\s+{_NUMBER}", _X_FIRST),
    (rf'"coordinates"\s*:\s*\[\s*{_NUMBER}\s*,\s*{_NUMBER}', _X_FIRST),
    # A collection of points that has one only.
    (rf'"coordinates"\s*:\s*\[\s*\[\s*{_NUMBER}\s*,\s*{_NUMBER}[^\[\]]*\]\s*\]\s*[,}}]', _X_FIRST),
    (rf"^\s*{_NUMBER}\s*[,;]\s*{_NUMBER}\s*$", _Y_FIRST),
    # A location as text has the point in brackets, perhaps after its address.
    (rf"\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)\s*$", _Y_FIRST),
)
"""Points as text, and which group is which axis: longitude is first in WKT and GeoJSON, second in a mere pair."""
ROW = ":id"
"""The portal's id of a row."""


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
        ids = page[ROW] if ROW in page.columns else None
        is_shared = ids is not None and last is not None and ids[0] == last
        last = None if ids is None else ids[-1]
        frames.append(_renamed(page.slice(int(is_shared)), columns, category))
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def _renamed(page: pl.DataFrame, columns: Mapping[str, str], category: str | None) -> pl.DataFrame:
    known = {name: _as_text(page, column) for name, column in columns.items() if name != "point"}
    known |= _axes(page, columns["point"]) if "point" in columns else {}
    known |= {name: _coordinate(known[name]) for name in ("lon", "lat") if name in known}
    known |= {day: _at_time(known[day], known.pop(clock)) for day, clock in CLOCKS.items() if clock in known}
    source_id = known.get("source_id", pl.lit(""))
    filled = {"source_id": source_id, "row_id": source_id, "category": pl.lit(category, pl.String)} | known
    nothing = pl.lit(None, pl.String)
    # An unmapped column of the source may have the name of a project column.
    others = [name for name in page.columns if name != ROW and name not in columns.values()]
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
    trimmed = text.str.strip_chars()
    return pl.when(~trimmed.str.to_lowercase().is_in(NO_COORDINATE)).then(trimmed)


def _axes(page: pl.DataFrame, name: str) -> dict[str, pl.Expr]:
    dtype = page.schema.get(name, pl.Null())
    fields = {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}
    numbers = fields.get("coordinates")
    if isinstance(numbers, pl.List) and not isinstance(numbers.inner, pl.List):
        pair = pl.col(name).struct.field("coordinates").list
        return {axis: pair.get(place, null_on_oob=True).cast(pl.String) for place, axis in enumerate(("lon", "lat"))}
    if {"longitude", "latitude"} <= fields.keys():
        return {axis: pl.col(name).struct.field(long) for axis, long in (("lon", "longitude"), ("lat", "latitude"))}
    text = _as_text(page, name)
    return {
        axis: pl.coalesce(text.str.extract(pattern, groups[axis]) for pattern, groups in POINTS)
        for axis in ("lon", "lat")
    }
