"""What is wrong with series as people have them: text of many spellings in, counts by local time out.

A series with an error is left out and named; the others are forecast. A missing value is unknown, never zero.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.forecast.demand.series import STEP, Frequency, SeriesError

COLUMNS: Final = ("unique_id", "ds", "y")
OPTIONAL: Final = ("capacity",)
MISSING: Final = ("", "na", "n/a", "nan", "null", "none", "-", ".")
"""Text in place of a count, in lower case, that means that it is unknown."""
_NUMBER: Final = r"^[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d+)?$"
_TIME: Final = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?$"
_YEAR_FIRST: Final = r"^(\d{4})(?:[-/.](\d{1,2})[-/.](\d{1,2})|(\d{2})(\d{2}))" + _TIME
_YEAR_LAST: Final = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _TIME
_OFFSET: Final = r"\d(?:Z|[+-]\d{2}:?\d{2})$"
FIRST_YEAR, LAST_YEAR = 1900, 2100
LATE: Final = timedelta(days=28)
"""By how much a series may end before the newest one without a note."""
SPARSE: Final = 0.2
"""Share of the steps that may be missing without a note, in a series without any zero."""


@dataclass(frozen=True, slots=True)
class Checked:
    """``series``: ``unique_id, ds, y``, sorted; ``refused``: the series left out, with the reason; ``notes``: text."""

    series: pl.DataFrame
    refused: dict[str, str]
    notes: tuple[str, ...]


def check(series: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return ``unique_id, ds, y`` sorted and typed, or report the first series that cannot be used.

    Raises:
        SeriesError: A column is missing, or a series cannot be used as given.
    """
    checked = usable(series, freq)
    if checked.refused:
        raise SeriesError(next(iter(checked.refused.values())))
    return checked.series


def usable(series: pl.DataFrame, freq: Frequency, fill_zeros: bool = False) -> Checked:
    """Return the series that can be used, and what is wrong with the others.

    Args:
        series: ``unique_id, ds, y`` in any order and type; names of columns in upper or lower case.
        freq: ``h`` or ``D``.
        fill_zeros: Whether steps without a row, from a series' first to its last, are zeros; else they are unknown.

    Raises:
        SeriesError: A column is missing, the order of day and month is not clear, times have offsets, or no series can
            be used.
    """
    if freq not in STEP:
        raise SeriesError(f"the frequency is {freq!r}; give 'h' (hours) or 'D' (days)")
    rows = _typed(_named(series))
    refused = _refused(rows, freq)
    known = rows.filter(pl.col("y").is_not_null(), ~pl.col("unique_id").cast(pl.String).is_in(list(refused)))
    if known.is_empty():
        raise SeriesError(next(iter(refused.values()), "the series has no row with a count"))
    sorted_rows = known.drop("row", "ds_text", "y_text", "is_unknown").sort("unique_id", "ds")
    notes = _notes(rows, sorted_rows, freq, fill_zeros)
    return Checked(_filled(sorted_rows, freq) if fill_zeros else sorted_rows, refused, notes)


def _named(series: pl.DataFrame) -> pl.DataFrame:
    lower = {name.strip().lower(): name for name in series.columns}
    if missing := [name for name in COLUMNS if name not in lower]:
        raise SeriesError(
            f"the series lacks {', '.join(missing)}; give the columns unique_id, ds and y (found: {', '.join(lower)})"
        )
    if series.is_empty():
        raise SeriesError("the series has no rows")
    kept = [*COLUMNS, *(name for name in OPTIONAL if name in lower)]
    return series.select(pl.col(lower[name]).alias(name) for name in kept).with_row_index("row", offset=1)


def _typed(rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``ds`` and ``y`` as times and numbers, null where they cannot be read, and their text as ``ds_text, y_text``.

    ``is_unknown``: there is no count.
    """
    id_type, ds_type = rows.schema["unique_id"], rows.schema["ds"]
    if isinstance(ds_type, pl.Datetime) and ds_type.time_zone is not None:
        raise SeriesError("ds has a time zone; give local times without one")
    if not (ds_type.is_temporal() or ds_type == pl.String):
        raise SeriesError(f"ds is {ds_type}; give dates or times")
    text = {name: pl.col(name).cast(pl.String).str.strip_chars() for name in ("ds", "y")}
    unique_id = pl.col("unique_id").str.strip_chars() if id_type == pl.String else pl.col("unique_id")
    rows = rows.with_columns(unique_id, ds_text=text["ds"], y_text=text["y"])
    ds = _instants(rows) if ds_type == pl.String else rows["ds"].cast(pl.Datetime("us"), strict=False)
    is_unknown = pl.col("y_text").is_null() | pl.col("y_text").str.to_lowercase().is_in(MISSING)
    others = [_number(pl.col(name)).alias(name) for name in OPTIONAL if name in rows.columns]
    return rows.with_columns(
        ds=ds, y=pl.when(~is_unknown).then(_number(pl.col("y"))), is_unknown=is_unknown
    ).with_columns(others)


def _number(values: pl.Expr) -> pl.Expr:
    """Return numbers, or those that text states, with or without separators of thousands."""
    text = values.cast(pl.String).str.strip_chars()
    infinite = text.str.to_lowercase().str.contains(r"^[+-]?inf(?:inity)?$")
    written = pl.when(text.str.contains(_NUMBER) | infinite).then(text.str.replace_all(",", ""))
    return written.cast(pl.Float64, strict=False)


def _instants(rows: pl.DataFrame) -> pl.Series:
    """Return the times that text states, null where it states none.

    Raises:
        SeriesError: Times have offsets, or 03/04/2023 may be the 3rd of April or the 4th of March.
    """
    text = pl.col("ds_text")
    if (offset := rows.filter(text.str.contains(_OFFSET) & text.str.contains(":"))).height:
        row = offset.row(0, named=True)
        raise SeriesError(f"row {row['row']}: ds {row['ds_text']!r} has an offset; give local times without one")
    first, last = text.str.extract_groups(_YEAR_FIRST), text.str.extract_groups(_YEAR_LAST)
    parts = rows.select(
        *(first.struct.field(str(i)).alias(f"f{i}") for i in range(1, 10)),
        *(last.struct.field(str(i)).alias(f"l{i}") for i in range(1, 8)),
    ).cast({f"{kind}{i}": pl.Int32 for kind, numbers in (("f", range(1, 9)), ("l", range(1, 7))) for i in numbers})
    day, month = ("l1", "l2") if _is_day_first(parts, rows) else ("l2", "l1")
    hour = pl.coalesce("f6", "l4", pl.lit(0))
    half = pl.coalesce("f9", "l7").str.to_lowercase()
    hour = pl.when(half == "pm").then(hour % 12 + 12).when(half == "am").then(hour % 12).otherwise(hour)
    written = pl.format(
        "{}-{}-{} {}:{}:{}",
        pl.coalesce("f1", "l3"), pl.coalesce("f2", "f4", month), pl.coalesce("f3", "f5", day), hour,
        pl.coalesce("f7", "l5", pl.lit(0)), pl.coalesce("f8", "l6", pl.lit(0)),
    )  # fmt: skip
    return parts.select(written.str.to_datetime("%Y-%-m-%-d %-H:%-M:%-S", strict=False, time_unit="us")).to_series()


def _is_day_first(parts: pl.DataFrame, rows: pl.DataFrame) -> bool:
    """Return the order of day and month in dates that end with the year, which one of the rows must show."""
    dated = parts.drop_nulls("l3")
    is_day_first, is_month_first = (dated["l1"] > 12).any(), (dated["l2"] > 12).any()
    if dated.height and is_day_first == is_month_first:
        text = rows.filter(parts["l3"].is_not_null())["ds_text"][0]
        raise SeriesError(
            f"ds {text!r} may be day and month or month and day, and the other rows "
            + ("show both orders" if is_day_first else "do not show which")
            + "; write dates as YYYY-MM-DD"
        )
    return bool(is_day_first)


def _refused(rows: pl.DataFrame, freq: Frequency) -> dict[str, str]:
    """Return the first error of every series that has one."""
    step = "1h" if freq == "h" else "1d"
    start = "of an hour (--freq h)" if freq == "h" else "of a day (--freq D); for hours use --freq h, or add them up"
    has_value = ~pl.col("is_unknown")
    faults = [
        (pl.col("unique_id").is_null() | (pl.col("unique_id").cast(pl.String) == ""), pl.lit("unique_id is empty")),
        (pl.col("ds_text").is_null() | (pl.col("ds_text") == ""), pl.lit("ds is empty")),
        (
            pl.col("ds").is_null() & pl.col("ds_text").str.contains(r"[T ]24:"),
            pl.format("ds '{}' is not a time: hours run from 00:00 to 23:00", "ds_text"),
        ),
        (pl.col("ds").is_null(), pl.format("ds '{}' is not a date or time", "ds_text")),
        (
            ~pl.col("ds").dt.year().is_between(FIRST_YEAR, LAST_YEAR),
            pl.format("ds '{}' is outside {} to {}", "ds_text", pl.lit(FIRST_YEAR), pl.lit(LAST_YEAR)),
        ),
        (pl.col("ds") != pl.col("ds").dt.truncate(step), pl.format("ds '{}' is not the start " + start, "ds_text")),
        (has_value & pl.col("y").is_null(), pl.format("y '{}' is not a number", "y_text")),
        (has_value & ~pl.col("y").is_finite(), pl.format("y '{}' is not a finite number", "y_text")),
        (has_value & (pl.col("y") < 0), pl.format("y {} is negative; the models are for counts", "y_text")),
        (
            pl.struct("unique_id", "ds").is_duplicated(),
            pl.format("ds '{}' occurs twice in the series; add up its rows first", "ds_text"),
        ),
    ]
    reason = pl.coalesce(pl.when(fault).then(text) for fault, text in faults)
    wrong = rows.with_columns(reason=reason).drop_nulls("reason").unique("unique_id", keep="first", maintain_order=True)
    return {
        str(name): f"series {name}, row {row}: {reason}"
        for name, row, reason in wrong.select("unique_id", "row", "reason").iter_rows()
    }


def _notes(rows: pl.DataFrame, known: pl.DataFrame, freq: Frequency, fill_zeros: bool) -> tuple[str, ...]:
    """Return what might mislead: empty values, gaps in lists without zeros, steps of another length, old series."""
    unit = "hours" if freq == "h" else "days"
    spans = known.group_by("unique_id", maintain_order=True).agg(
        first=pl.col("ds").min(),
        last=pl.col("ds").max(),
        rows=pl.len(),
        has_zero=(pl.col("y") == 0).any(),
        apart=pl.col("ds").diff().median(),
        has_fractions=(pl.col("y") != pl.col("y").round()).any(),
    )
    steps = ((pl.col("last") - pl.col("first")) / STEP[freq] + 1).cast(pl.Int64)
    spans = spans.with_columns(steps=steps).with_columns(missing=pl.col("steps") - pl.col("rows"))
    newest: datetime = spans["last"].max()  # type: ignore[assignment]
    empty = rows.filter("is_unknown")
    coarse = spans.filter(pl.col("apart") > STEP[freq], pl.col("rows") > 2)
    sparse = spans.filter(pl.col("missing") > SPARSE * pl.col("steps"), ~pl.col("has_zero"), ~pl.lit(fill_zeros))
    old = spans.filter(pl.col("last") < newest - LATE)
    fractions = spans.filter("has_fractions")
    texts = []
    if empty.height:
        texts.append(f"{empty.height} values of y are empty (first in row {empty['row'][0]}): they count as unknown")
    if coarse.height:
        apart = coarse["apart"][0]
        texts.append(f"{_series(coarse)}: rows are mostly {apart} apart; check that --freq {freq} is meant")
    if sparse.height:
        row = sparse.row(0, named=True)
        texts.append(
            f"{_series(sparse)}: {row['missing']} of {row['steps']} {unit} have no row and none is zero, so they count "
            "as unknown; if they were zero, use --fill-zeros"
        )
    if old.height:
        ends = f"{old['last'][0]:%Y-%m-%d}"
        texts.append(f"{_series(old)}: ends on {ends}, long before the newest series ({newest:%Y-%m-%d})")
    if fractions.height:
        texts.append(
            f"{_series(fractions)}: y has fractions; the models are for counts, and quantiles are whole numbers"
        )
    return tuple(texts)


def _series(spans: pl.DataFrame) -> str:
    more = f" and {spans.height - 1} more" if spans.height > 1 else ""
    return f"series {spans['unique_id'][0]}{more}"


def _filled(known: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return the series with zeros for the steps that have no row, from each one's first to its last."""
    every = "1h" if freq == "h" else "1d"
    grid = known.group_by("unique_id").agg(
        pl.datetime_range(pl.col("ds").min(), pl.col("ds").max(), every, time_unit="us").alias("ds")
    )
    full = grid.explode("ds").join(known, on=["unique_id", "ds"], how="left")
    return full.with_columns(pl.col("y").fill_null(0.0)).select(known.columns).sort("unique_id", "ds")
