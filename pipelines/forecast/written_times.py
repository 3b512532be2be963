"""Dates and times that text states: year first, or in the order of day and month that the column shows."""

from typing import Final

import polars as pl

from pipelines.config.errors import BongsuError

FIRST_YEAR, LAST_YEAR = 1900, 2100
ROWS: Final = 200_000
"""Times that are read at once."""
_TIME: Final = r"(?:[T ]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?\s*([AaPp][Mm])?)?$"
_YEAR_FIRST: Final = r"^([0-9]{4})(?:[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})|([0-9]{2})([0-9]{2}))" + _TIME
_YEAR_LAST: Final = r"^([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})" + _TIME
_OFFSET: Final = r"[0-9] *(?:Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_KOREAN: Final = (
    (
        r"^([0-9]{4})(?:년|\.) *([0-9]{1,2})(?:월|\.) *([0-9]{1,2})(?:일|\.?)(?: *\([월화수목금토일]\))?",
        "${1}-${2}-${3}",
    ),
    (r"오전 *([0-9][0-9:]*)$", "${1} AM"),
    (r"오후 *([0-9][0-9:]*)$", "${1} PM"),
)
"""How Korean offices and Excel write dates and hours of twelve, and the same in digits."""


class TimesError(BongsuError, ValueError):
    """Report times that cannot be read without a guess; the message states what to change."""


def instants(text: pl.Series) -> pl.Series:
    """Return the times that text states, null where it states none. The name of ``text`` is used in messages.

    Raises:
        TimesError: Times have offsets, or 03/04/2023 may be the 3rd of April or the 4th of March.
    """
    if (offsets := (text.str.contains(_OFFSET) & text.str.contains(":", literal=True)).arg_true()).len():
        raise TimesError(
            f"row {offsets[0] + 1}: {text.name} {text[offsets[0]]!r} has an offset; give local times without one"
        )
    # Parts of every time are several times as large as the text.
    starts = range(0, max(text.len(), 1), ROWS)
    plain = pl.concat([_plain(text.slice(start, ROWS)) for start in starts])
    is_day_first = _is_day_first(plain)
    return pl.concat([_read(plain.slice(start, ROWS), is_day_first) for start in starts])


def _read(text: pl.Series, is_day_first: bool) -> pl.Series:
    """Return times in digits of ASCII, as ``instants``."""
    first, last = pl.lit(text).str.extract_groups(_YEAR_FIRST), pl.lit(text).str.extract_groups(_YEAR_LAST)
    parts = pl.select(
        *(first.struct.field(str(i)).alias(f"f{i}") for i in range(1, 10)),
        *(last.struct.field(str(i)).alias(f"l{i}") for i in range(1, 8)),
    ).cast(
        {f"{kind}{i}": pl.Int32 for kind, numbers in (("f", range(1, 9)), ("l", range(1, 7))) for i in numbers},
        strict=False,
    )
    day, month = ("l1", "l2") if is_day_first else ("l2", "l1")
    hour = pl.coalesce("f6", "l4", pl.lit(0))
    half = pl.coalesce("f9", "l7").str.to_lowercase()
    is_of_twelve = hour.is_between(1, 12)
    hour = (
        pl.when(half.is_null())
        .then(hour)
        .when(is_of_twelve)
        .then(hour % 12 + pl.when(half == "pm").then(12).otherwise(0))
    )
    written = pl.format(
        "{}-{}-{} {}:{}:{}",
        pl.coalesce("f1", "l3"), pl.coalesce("f2", "f4", month), pl.coalesce("f3", "f5", day), hour,
        pl.coalesce("f7", "l5", pl.lit(0)), pl.coalesce("f8", "l6", pl.lit(0)),
    )  # fmt: skip
    read = written.str.to_datetime("%Y-%-m-%-d %-H:%-M:%-S", strict=False, time_unit="us")
    return parts.select(read.alias(text.name)).to_series()


def _plain(text: pl.Series) -> pl.Series:
    """Return times in digits of ASCII and without Korean words."""
    # Full-width digits, spaces that do not break, and Korean letters in parts.
    text = text.str.normalize("NFKC")
    for pattern, written in _KOREAN:
        text = text.str.replace(pattern, written)
    return text


def _is_day_first(text: pl.Series) -> bool:
    """Return the order of day and month in dates that end with the year, which one of the rows must show."""
    groups = pl.col("text").str.extract_groups(_YEAR_LAST)
    rows = text.to_frame("text").with_row_index("row", offset=1).filter(pl.col("text").str.contains(_YEAR_LAST))
    dated = rows.with_columns(groups.struct.field(str(i)).cast(pl.Int32).alias(f"l{i}") for i in (1, 2))
    day_first, month_first = dated.filter(pl.col("l1") > 12), dated.filter(pl.col("l2") > 12)
    if day_first.height and month_first.height:
        (row, written), (other, other_written) = (shown.row(0)[:2] for shown in (day_first, month_first))
        raise TimesError(
            f"row {row}: {text.name} {written!r} has the day first, but {other_written!r} in row {other} the month; "
            "write dates as YYYY-MM-DD"
        )
    if dated.height and not day_first.height and not month_first.height:
        row, written = dated.row(0)[:2]
        raise TimesError(
            f"row {row}: {text.name} {written!r} may be day and month or month and day, and the other rows do not show "
            "which; write dates as YYYY-MM-DD"
        )
    return bool(day_first.height)
