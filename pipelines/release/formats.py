"""Results of a query in the formats that other programs read.

Geometry is WKB in the released files. Text formats get it as WKT, JSON as GeoJSON, and nested values as JSON text.
"""

import io
import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

import orjson
import polars as pl
import polars.selectors as cs
import shapely

from pipelines.config.errors import BongsuError

BOM: Final = "\ufeff"
"""Excel reads a CSV file as UTF-8 only if it begins with this character."""
SHEET_ROWS: Final = 1_048_575
"""Rows of a sheet below its header."""
CELL_CHARACTERS: Final = 32_767
"""Characters of a cell of a sheet."""
HEADER_CHARACTERS: Final = 255
"""Characters of a column's name in a table of a sheet."""
SHEET_NUMBER: Final = 1e15
"""From here on Excel rounds whole numbers, such as ids: it keeps 15 digits."""
SHEET_BEGINS: Final = date(1900, 3, 1)
"""The first day that Excel counts like other programs."""
NESTED: Final = (pl.List, pl.Array, pl.Struct, pl.Map)


class FormatError(BongsuError):
    """Report that a result does not fit a format, and what to use instead."""


def csv(frame: pl.DataFrame) -> bytes:
    """Return a frame as CSV in UTF-8."""
    return as_text(frame).write_csv().encode()


def csv_for_excel(frame: pl.DataFrame) -> bytes:
    """Return a frame as CSV that Excel reads as UTF-8, Korean included."""
    return BOM.encode() + csv(frame)


def json(frame: pl.DataFrame) -> bytes:
    """Return a frame as a JSON list of rows; NaN and infinities are null, which JSON has no other word for."""
    columns = {name: _geojson(values) if values.dtype == pl.Binary else values.to_list() for name, values in _of(frame)}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return _json(rows) + b"\n"


def parquet(frame: pl.DataFrame) -> bytes:
    """Return a frame as Parquet; geometry stays WKB."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def xlsx(frame: pl.DataFrame) -> bytes:
    """Return a frame as an Excel workbook; NaN is empty, because Excel does not know it.

    Columns with what Excel would change are text: instants, numbers of more than 15 digits, dates before March 1900.

    Raises:
        FormatError: There are more rows than a sheet holds, or a text or a column's name is too long.
    """
    import xlsxwriter

    if frame.height > SHEET_ROWS:
        raise FormatError(f"{frame.height:,} rows: a sheet of Excel holds {SHEET_ROWS:,}; add LIMIT, or write CSV")
    if name := next((name for name in frame.columns if len(name) > HEADER_CHARACTERS), None):
        raise FormatError(
            f"column {name[:60]}…: its name has {len(name)} characters, and Excel takes {HEADER_CHARACTERS}; use AS"
        )
    buffer = io.BytesIO()
    # Text of a source must stay text, even if it looks like a formula or a link.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    cells = as_text(frame).with_columns(
        *(_unchanged(values) for values in frame.select(cs.temporal() | cs.integer() | cs.decimal())),
        cs.float().replace([math.nan, math.inf, -math.inf], None),
    )
    for values in cells.select(cs.string()):
        if values.str.len_chars().fill_null(0).ge(CELL_CHARACTERS + 1).any():
            raise FormatError(
                f"column {values.name}: a cell of Excel holds {CELL_CHARACTERS:,} characters; write CSV or JSON"
            )
    with xlsxwriter.Workbook(buffer, options) as workbook:
        cells.write_excel(workbook, autofit=True)
    return buffer.getvalue()


def _unchanged(values: pl.Series) -> pl.Series:
    """Return values as text if Excel would change one of them."""
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        return values.dt.to_string("iso:strict")
    if values.dtype in (pl.Date, pl.Datetime):
        return values.dt.to_string("iso") if (values.dt.date() < SHEET_BEGINS).any() else values
    if values.dtype.is_numeric() and (values.cast(pl.Float64).abs() >= SHEET_NUMBER).any():
        return values.cast(pl.String)
    return values


FORMATS: Final[dict[str, Callable[[pl.DataFrame], bytes]]] = {
    "csv": csv, "json": json, "parquet": parquet, "xlsx": xlsx,
}  # fmt: skip
"""How a result is written, by format."""


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose geometry is WKT and whose nested values are JSON text."""
    return frame.with_columns(
        *(_wkt(values).alias(name) for name, values in _of(frame) if values.dtype == pl.Binary),
        *(_nested(values).alias(name) for name, values in _of(frame) if isinstance(values.dtype, NESTED)),
    )


def _of(frame: pl.DataFrame) -> list[tuple[str, pl.Series]]:
    return [(values.name, values) for values in frame]


def _nested(values: pl.Series) -> pl.Series:
    texts = [None if value is None else _json(value).decode() for value in values.to_list()]
    return pl.Series(texts, dtype=pl.String)


def _json(value: object) -> bytes:
    """Return JSON; keys of maps are text, as JSON knows no others."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise FormatError(f"a nested value cannot be JSON ({error}); cast its column to varchar") from error


def _wkt(values: pl.Series) -> pl.Series:
    """Return geometry as WKT; other bytes as hexadecimal digits."""
    shapes = shapely.from_wkb(values.to_list(), on_invalid="ignore")
    texts = [
        value if value is None else value.hex() if shape is None else shapely.to_wkt(shape, rounding_precision=-1)
        for value, shape in zip(values.to_list(), shapes, strict=True)
    ]
    return pl.Series(texts, dtype=pl.String)


def _geojson(values: pl.Series) -> list[Any]:
    """Return geometry as GeoJSON objects; other bytes as hexadecimal digits."""
    shapes = shapely.from_wkb(values.to_list(), on_invalid="ignore")
    return [
        value if value is None else value.hex() if shape is None else orjson.loads(shapely.to_geojson(shape))
        for value, shape in zip(values.to_list(), shapes, strict=True)
    ]


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        if value != value.to_integral_value():
            return float(value)
        # More than 64 bits are text: a rounded number would be another one.
        return int(value) if -(2**63) <= value < 2**64 else str(int(value))
    return value.hex() if isinstance(value, bytes) else str(value)
