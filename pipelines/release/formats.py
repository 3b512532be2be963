"""Results of a query in the formats that other programs read.

Geometry is WKB in the released files. Text formats get it as WKT, JSON as GeoJSON, and nested values as JSON text.
"""

import io
import math
from collections.abc import Callable
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
    return orjson.dumps(rows, default=_plain, option=orjson.OPT_APPEND_NEWLINE)


def parquet(frame: pl.DataFrame) -> bytes:
    """Return a frame as Parquet; geometry stays WKB."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def xlsx(frame: pl.DataFrame) -> bytes:
    """Return a frame as an Excel workbook; instants are text and NaN is empty, because Excel knows neither.

    Raises:
        FormatError: There are more rows than a sheet holds.
    """
    import xlsxwriter

    if frame.height > SHEET_ROWS:
        raise FormatError(f"{frame.height:,} rows: a sheet of Excel holds {SHEET_ROWS:,}; add LIMIT, or write CSV")
    buffer = io.BytesIO()
    # Text of a source must stay text, even if it looks like a formula or a link.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
    with xlsxwriter.Workbook(buffer, options) as workbook:
        as_text(frame).with_columns(
            pl.col(zoned).dt.to_string("iso:strict"), cs.float().replace([math.nan, math.inf, -math.inf], None)
        ).write_excel(workbook, autofit=True)
    return buffer.getvalue()


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
    texts = [None if value is None else orjson.dumps(value, default=_plain).decode() for value in values.to_list()]
    return pl.Series(texts, dtype=pl.String)


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
        return int(value) if value == value.to_integral_value() else float(value)
    return value.hex() if isinstance(value, bytes) else str(value)
