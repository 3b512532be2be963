"""The columns of your own points: times, coordinates and categories as people write them."""

import math
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from pipelines.config.errors import BongsuError
from pipelines.forecast import written_times
from pipelines.forecast.written_times import FIRST_YEAR, LAST_YEAR, TimesError

COLUMNS: Final = ("occurred_at", "occ_date", "known_at", "x", "y", "lon", "lat", "category")
ALL: Final = "all"
"""The category of points without a category column."""
EMPTY: Final = ("", "na", "n/a", "nan", "null", "none", "redacted", "-")
"""Text in place of a value, in lower case, that means that there is none."""
UNKNOWN: Final = "unknown"
"""The category of points with an empty one."""
OFFSET: Final = r"(:\d{2}(?:\.\d+)?) *(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)$"
"""How a time with an offset ends; a point counts on the date as written, so the offset is not needed."""


class PointsError(BongsuError, ValueError):
    """Report that the points or the boundary cannot be used as given; the message states what to change."""


def crs_of(name: str) -> CRS:
    """Return the CRS of ``--crs``.

    Raises:
        PointsError: It is not known, or has no place on the globe.
    """
    try:
        crs = CRS.from_user_input(name)
    except CRSError:
        raise PointsError(f"--crs {name} is not a known CRS: give its EPSG code, such as EPSG:4326") from None
    if not (crs.is_geographic or (crs.is_projected and crs.geodetic_crs)):
        raise PointsError(f"--crs {name} is neither in degrees nor a projection: give its EPSG code, such as EPSG:4326")
    return crs


def coordinates(points: pl.DataFrame, crs: str, grid: CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return eastings and northings in the CRS of the grid, NaN or infinite where a point has no place in it.

    Raises:
        PointsError: There are no coordinates, or some are not numbers.
    """
    x, y = (numbers(points, name) for name in names(points))
    source = source_crs(points, crs)
    if source == grid:
        return x, y
    easting, northing = Transformer.from_crs(source, grid, always_xy=True).transform(x, y)
    return np.asarray(easting), np.asarray(northing)


def names(points: pl.DataFrame) -> tuple[str, str]:
    """Return the columns of the coordinates, the one to the east first.

    Raises:
        PointsError: There are none.
    """
    for pair in (("x", "y"), ("lon", "lat")):
        if set(pair) <= set(points.columns):
            return pair
    raise PointsError("the points lack coordinates; give x and y in --crs, or lon and lat")


def source_crs(points: pl.DataFrame, crs: str) -> CRS:
    """Return the CRS of the coordinates."""
    return crs_of(crs) if names(points) == ("x", "y") else CRS.from_epsg(4326)


def numbers(points: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column of coordinates, NaN where it is empty."""
    text = points[name].cast(pl.String).str.strip_chars()
    values = text.cast(pl.Float64, strict=False)
    is_empty = text.is_null() | text.str.to_lowercase().is_in(EMPTY)
    if (wrong := points.with_row_index("row", offset=1).filter(values.is_null() & ~is_empty)).height:
        row = wrong.row(0, named=True)
        raise PointsError(
            f"row {row['row']}: {name} {row[name]!r} is not a number ({wrong.height} such rows); write it with a "
            "decimal point and without separators, or leave it empty"
        )
    return values.fill_null(math.nan).to_numpy()


def days(points: pl.DataFrame) -> pl.DataFrame:
    """Return ``day`` (number), ``known_from`` (first day whose run sees it) and ``category`` of every point.

    A time counts on its own local date; a point is seen from the day after it happened and became known.

    Raises:
        PointsError: A date is missing, unreadable, impossible, or may have the day or the month first.
    """
    name = next((name for name in ("occurred_at", "occ_date") if name in points.columns), None)
    if name is None:
        raise PointsError("the points lack a time; give occurred_at or occ_date")
    day = _day_numbers(points[name])
    _check_days(points[name], day)
    known = day
    if "known_at" in points.columns:
        written = points["known_at"].cast(pl.String).str.strip_chars()
        is_empty = written.str.to_lowercase().is_in(EMPTY).fill_null(True)
        known = points.select(pl.when(is_empty).then(day).otherwise(_day_numbers(points["known_at"]))).to_series()
        _check_days(points["known_at"], known)
    later = pl.max_horizontal(pl.lit(day), pl.lit(known))
    return points.select(pl.lit(day).alias("day"), (later + 1).alias("known_from"), _category(points))


def _day_numbers(values: pl.Series) -> pl.Series:
    """Return local dates as days since 1970-01-01, null where there is none."""
    if not values.dtype.is_temporal():
        written = values.cast(pl.String).str.strip_chars().str.replace(OFFSET, "${1}")
        try:
            values = written_times.instants(written.alias(values.name))
        except TimesError as error:
            raise PointsError(str(error)) from None
    elif values.dtype not in (pl.Date, pl.Datetime):
        raise PointsError(f"{values.name} is {values.dtype}; give dates or times")
    return values.dt.date().cast(pl.Int32).cast(pl.Int64)


def _check_days(values: pl.Series, day: pl.Series) -> None:
    """Refuse points without a date that can be read, or with one of another era."""
    if (unread := day.is_null().arg_true()).len():
        raise PointsError(
            f"{values.name} is empty or unreadable in {unread.len()} points (first: {values[unread[0]]!r} in row "
            f"{unread[0] + 1}); write days as YYYY-MM-DD and times as YYYY-MM-DDThh:mm, or remove these points"
        )
    year = day.cast(pl.Int32).cast(pl.Date).dt.year()
    if (far := (~year.is_between(FIRST_YEAR, LAST_YEAR)).arg_true()).len():
        raise PointsError(
            f"row {far[0] + 1}: {values.name} {values[far[0]]!r} is outside {FIRST_YEAR} to {LAST_YEAR}; correct it or "
            "remove the point"
        )


def _category(points: pl.DataFrame) -> pl.Expr:
    if "category" not in points.columns:
        return pl.lit(ALL).alias("category")
    text = pl.col("category").cast(pl.String).str.strip_chars()
    return pl.when(text == "").then(None).otherwise(text).fill_null(UNKNOWN).alias("category")
