"""What is wrong with series as people have them: text of many spellings in, counts by local time out.

A series with an error is left out and named; the others are forecast. A missing value is unknown, never zero.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from pipelines.forecast import written_times
from pipelines.forecast.demand import series_notes, versions
from pipelines.forecast.demand.series import STEP, Frequency, SeriesError
from pipelines.forecast.written_times import FIRST_YEAR, LAST_YEAR, TimesError

COLUMNS: Final = ("unique_id", "ds", "y")
OPTIONAL: Final = ("capacity", "known_at")
MISSING: Final = ("", "na", "n/a", "nan", "null", "none", "-", ".")
"""Text in place of a count, in lower case, that means that it is unknown."""
NAMELESS: Final = ("", "n/a", "nan", "null", "none")
"""The same in place of a series' name; NA may be one, such as that of Namibia."""
COARSE: Final[dict[Frequency, timedelta]] = {"h": timedelta(days=1), "D": timedelta(days=7)}
"""Time between most rows from which a series counts days, or weeks and months, and not its steps."""
LARGEST: Final = 1e8
"""The largest count whose weighted sums fit into the integers of ``models.hour_of_week``."""
_NUMBER: Final = r"^[+-]?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d+)?$"
_DECIMAL_COMMA: Final = r"^[+-]?(?:[\d.]*,(?:\d{1,2}|\d{4,})|0+,\d+|[\d.]+\.\d{3},\d+)$"
"""A number whose comma cannot separate thousands."""


@dataclass(frozen=True, slots=True)
class Checked:
    """``series``: ``unique_id, ds, y``, sorted; ``refused``: the series left out, with the reason; ``notes``: text.

    With a column ``known_at`` (local time) ``series`` has every version of a count.
    """

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
        series: ``unique_id, ds, y`` in any order and type, optionally ``capacity`` and ``known_at``; names of columns
            in upper or lower case. With ``known_at`` a step may have several versions, of which the newest counts.
        freq: ``h`` or ``D``.
        fill_zeros: Whether steps without a row, from a series' first to its last, are zeros; else they are unknown, and
            a series whose rows are mostly a day (``h``) or a week (``D``) apart is left out.

    Raises:
        SeriesError: A column is missing, the order of day and month is not clear, times have offsets, or no series can
            be used.
    """
    if freq not in STEP:
        raise SeriesError(f"the frequency is {freq!r}; give 'h' (hours) or 'D' (days)")
    rows = _typed(_named(series))
    refused = {} if fill_zeros else _coarse(rows, freq)
    refused |= _refused(rows, freq)
    left = rows.filter(~pl.col("unique_id").cast(pl.String).is_in(list(refused)))
    unknown = versions.newest(left).filter("is_unknown")
    known = left.filter(~pl.col("is_unknown")).join(unknown, on=versions.KEYS, how="anti")
    if known.is_empty():
        raise SeriesError(next(iter(refused.values()), "the series has no row with a count"))
    sorted_rows = known.select(*COLUMNS, *(name for name in OPTIONAL if name in known.columns)).sort("unique_id", "ds")
    notes = series_notes.notes(rows, versions.newest(sorted_rows), freq, fill_zeros)
    return Checked(_filled(sorted_rows, unknown, freq) if fill_zeros else sorted_rows, refused, notes)


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
    """Add times and numbers, null where they cannot be read, and the text of each column as ``<column>_text``.

    ``is_unknown``: there is no count.
    """
    optional = [name for name in OPTIONAL if name in rows.columns]
    text = [pl.col(name).cast(pl.String).str.strip_chars().alias(f"{name}_text") for name in ("ds", "y", *optional)]
    is_text = rows.schema["unique_id"] == pl.String
    unique_id = pl.col("unique_id").str.strip_chars() if is_text else pl.col("unique_id")
    written = rows.with_columns(unique_id, *text)
    is_unknown = is_missing("y_text")
    typed = written.with_columns(
        times(written, "ds"), y=pl.when(~is_unknown).then(number(pl.col("y"))), is_unknown=is_unknown
    )
    if "capacity" in optional:
        typed = typed.with_columns(number(pl.col("capacity")).alias("capacity"))
    return typed.with_columns(known_instants(written)) if "known_at" in optional else typed


def times(rows: pl.DataFrame, name: str) -> pl.Series:
    """Return a column as local times, null where it states none."""
    dtype = rows.schema[name]
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        raise SeriesError(f"{name} has a time zone; give local times without one")
    if dtype == pl.String:
        try:
            return written_times.instants(rows[f"{name}_text"].alias(name))
        except TimesError as error:
            raise SeriesError(str(error)) from None
    if dtype not in (pl.Date, pl.Datetime, pl.Null):
        raise SeriesError(f"{name} is {dtype}; give dates or times")
    return rows[name].cast(pl.Datetime("us"))


def known_instants(rows: pl.DataFrame) -> pl.Series:
    """Return when each row was known: a date alone means the end of the day."""
    stated = times(rows, "known_at")
    is_day = ~rows["known_at_text"].str.contains(":", literal=True)
    return rows.select(pl.when(is_day).then(stated.dt.offset_by("1d")).otherwise(stated).alias("known_at")).to_series()


def is_missing(text: str) -> pl.Expr:
    """Return whether a column of text states that a number is unknown."""
    return pl.col(text).is_null() | pl.col(text).str.to_lowercase().is_in(MISSING)


def number(values: pl.Expr) -> pl.Expr:
    """Return numbers, or those that text states, with or without separators of thousands."""
    text = values.cast(pl.String).str.strip_chars()
    infinite = text.str.to_lowercase().str.contains(r"^[+-]?inf(?:inity)?$")
    written = pl.when(text.str.contains(_NUMBER) | infinite).then(text.str.replace_all(",", ""))
    return written.cast(pl.Float64, strict=False)


def _refused(rows: pl.DataFrame, freq: Frequency) -> dict[str, str]:
    """Return the first error of every series that has one."""
    optional = [name for name in OPTIONAL if name in rows.columns]
    version = [*versions.KEYS, *(name for name in optional if name == "known_at")]
    faults = [
        (
            pl.col("unique_id").is_null() | pl.col("unique_id").cast(pl.String).str.to_lowercase().is_in(NAMELESS),
            pl.lit("unique_id is empty"),
        ),
        *faults_of_time("YYYY-MM-DD hh:00" if freq == "h" else "YYYY-MM-DD"),
        _fault_of_start(freq),
        *_faults_of_count(),
        (
            pl.struct(version).is_duplicated(),
            pl.format("ds '{}' occurs twice in the series; add up these rows, or remove one", "ds_text"),
        ),
        *(
            [
                decimal_comma("capacity"),
                (pl.col("capacity") < 0, pl.format("capacity {} is negative", "capacity_text")),
            ]
            if "capacity" in optional
            else []
        ),
        *(
            (
                pl.col(name).is_null() & ~is_missing(f"{name}_text"),
                pl.format(f"{name} '{{}}' is {what}", f"{name}_text"),
            )
            for name, what in (("capacity", "not a number"), ("known_at", "not a date or time"))
            if name in optional
        ),
    ]
    reason = pl.coalesce(pl.when(fault).then(text) for fault, text in faults)
    wrong = rows.with_columns(reason=reason).drop_nulls("reason").unique("unique_id", keep="first", maintain_order=True)
    return {
        str(name): f"series {name}, row {row}: {reason}"
        for name, row, reason in wrong.select(pl.col("unique_id").cast(pl.String), "row", "reason").iter_rows()
    }


def _coarse(rows: pl.DataFrame, freq: Frequency) -> dict[str, str]:
    """Return the series that count longer times than their step, with the reason."""
    steps = rows.drop_nulls("ds").unique(versions.KEYS).sort(versions.KEYS)
    apart = steps.group_by("unique_id", maintain_order=True).agg(pl.col("ds").diff().median().alias("apart"), pl.len())
    coarse = apart.filter(pl.col("len") > 2, pl.col("apart") >= COARSE[freq])
    unit, way = ("hour", "use --freq D for days, or give") if freq == "h" else ("day", "give")
    return {
        str(
            name
        ): f"series {name}: its rows are mostly {series_notes.length(length)} apart, so they do not count single "
        f"{unit}s (--freq {freq}); {way} a row for each {unit}, with an empty y where the count is unknown, or use "
        "--fill-zeros if it is zero where there is no row"
        for name, length in coarse.select(pl.col("unique_id").cast(pl.String), "apart").iter_rows()
    }


def faults_of_time(written: str) -> list[tuple[pl.Expr, pl.Expr]]:
    """Return what may be wrong with ``ds``, as a condition and its text; ``written``: how it should be."""
    return [
        (pl.col("ds_text").is_null() | (pl.col("ds_text") == ""), pl.lit("ds is empty")),
        (
            pl.col("ds").is_null() & pl.col("ds_text").str.contains(r"[T ]24:"),
            pl.format("ds '{}' is not a time: hours run from 00:00 to 23:00", "ds_text"),
        ),
        (pl.col("ds").is_null(), pl.format("ds '{}' is not a date or time; write " + written, "ds_text")),
        (
            ~pl.col("ds").dt.year().is_between(FIRST_YEAR, LAST_YEAR),
            pl.format("ds '{}' is outside {} to {}", "ds_text", pl.lit(FIRST_YEAR), pl.lit(LAST_YEAR)),
        ),
    ]


def _fault_of_start(freq: Frequency) -> tuple[pl.Expr, pl.Expr]:
    """Return the fault of a ``ds`` within a step."""
    step, start = (
        ("1h", "of an hour (--freq h); add up shorter steps")
        if freq == "h"
        else ("1d", "of a day (--freq D); for hours use --freq h, or add them up")
    )
    return pl.col("ds") != pl.col("ds").dt.truncate(step), pl.format("ds '{}' is not the start " + start, "ds_text")


def _faults_of_count() -> list[tuple[pl.Expr, pl.Expr]]:
    """Return what may be wrong with ``y``, as a condition and its text."""
    has_value = ~pl.col("is_unknown")
    return [
        decimal_comma("y"),
        (has_value & pl.col("y").is_null(), pl.format("y '{}' is not a number", "y_text")),
        (has_value & ~pl.col("y").is_finite(), pl.format("y '{}' is not a finite number", "y_text")),
        (has_value & (pl.col("y") < 0), pl.format("y {} is negative; the models are for counts", "y_text")),
        (pl.col("y") > LARGEST, pl.format("y {} is above 100,000,000; the models are for counts", "y_text")),
    ]


def decimal_comma(name: str) -> tuple[pl.Expr, pl.Expr]:
    """Return the fault of a column in which commas are decimal.

    A comma means the same in the whole column: where one row shows decimals, 1,250 is not a thousand.
    """
    text = pl.col(f"{name}_text")
    message = f"{name} '{{}}' has a comma, and commas in this column are decimal; write decimals with a point"
    return text.str.contains(",", literal=True) & text.str.contains(_DECIMAL_COMMA).any(), pl.format(message, text)


def _filled(known: pl.DataFrame, unknown: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return the series with zeros for the steps that have no row, from each one's first to its last.

    Steps with a row that states no count stay unknown.
    """
    every = "1h" if freq == "h" else "1d"
    grid = known.group_by("unique_id").agg(
        pl.datetime_range(pl.col("ds").min(), pl.col("ds").max(), every, time_unit="us").alias("ds")
    )
    steps = grid.explode("ds").join(unknown, on=versions.KEYS, how="anti")
    full = steps.join(known, on=versions.KEYS, how="left")
    return full.with_columns(pl.col("y").fill_null(0.0)).select(known.columns).sort("unique_id", "ds")
