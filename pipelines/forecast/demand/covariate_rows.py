"""Rows of covariates as people have them: text of many spellings in, numbers by local time out (`models.covariates`).

Any error is refused, because a covariate that is wrong in one row would be used wrongly by every model and series.
"""

from typing import Final

import polars as pl

from pipelines.forecast.demand.series import SeriesError
from pipelines.forecast.demand.series_checks import faults_of_time, is_missing, known_instants, number, times

OPTIONAL: Final[tuple[str, ...]] = ("unique_id", "known_at")
PREFIX: Final = "covariate "
"""Begins the names of covariates among other columns."""


def read(rows: pl.DataFrame) -> pl.DataFrame:
    """Return covariates as ``models.covariates`` describes them; their names begin with ``PREFIX``.

    Args:
        rows: ``ds``, one column of numbers or more, optionally ``unique_id`` and ``known_at``, in any order and type;
            an empty number is unknown. Times are starts of hours or days.

    Raises:
        SeriesError: A column is missing or is the count itself, or a row cannot be used; the message names it.
    """
    named = rows.rename({name: name.strip().lower() for name in rows.columns})
    optional = [name for name in OPTIONAL if name in named.columns]
    names = [name for name in named.columns if name not in ("ds", *OPTIONAL)]
    _check_columns(named, names)
    text = [pl.col(name).cast(pl.String).str.strip_chars().alias(f"{name}_text") for name in named.columns]
    flags = pl.col(pl.Boolean).cast(pl.Int8)
    written = named.with_columns(flags).with_columns(text).with_row_index("row", offset=1)
    numbers = [pl.when(~is_missing(f"{name}_text")).then(number(pl.col(name))).alias(name) for name in names]
    try:
        typed = written.with_columns(times(written, "ds"), *numbers)
        if "known_at" in optional:
            typed = typed.with_columns(known_instants(written))
    except SeriesError as error:
        raise SeriesError(f"covariates, {error}") from None
    if "unique_id" in optional:
        typed = typed.with_columns(unique_id="unique_id_text")
    _check_rows(typed, names, optional)
    return typed.select(*optional, "ds", *(pl.col(name).alias(f"{PREFIX}{name}") for name in names))


def _check_columns(named: pl.DataFrame, names: list[str]) -> None:
    if "ds" not in named.columns:
        raise SeriesError(
            f"the covariates lack ds; give the columns ds and numbers (found: {', '.join(named.columns)})"
        )
    if "y" in names:
        raise SeriesError("the covariates have a column y, which is the count itself; leave it out")
    if "" in names:
        raise SeriesError("a column of the covariates has no name; name it, or leave it out if it numbers the rows")
    if not names:
        raise SeriesError("the covariates have only times; add a column of numbers for each covariate")
    if named.is_empty():
        raise SeriesError("the covariates have no rows")


def _check_rows(typed: pl.DataFrame, names: list[str], optional: list[str]) -> None:
    """Report the first row that cannot be used."""
    keys = [*optional, "ds"]
    of_series = pl.format(" of series {}", "unique_id") if "unique_id" in optional else pl.lit("")
    faults = [
        *faults_of_time("YYYY-MM-DD hh:00"),
        (pl.col("ds") != pl.col("ds").dt.truncate("1h"), pl.format("ds '{}' is not the start of an hour", "ds_text")),
        *(
            (
                pl.col(name).is_null() | (pl.col(f"{name}_text") == ""),
                pl.format(
                    f"{name} '{{}}' is empty or unreadable; give every row one", pl.col(f"{name}_text").fill_null("")
                ),
            )
            for name in optional
        ),
        *(fault for name in names for fault in _faults_of_number(name)),
        (pl.struct(keys).is_duplicated(), pl.format("ds '{}'{} occurs twice; remove one row", "ds_text", of_series)),
    ]
    reason = pl.coalesce(pl.when(fault).then(text) for fault, text in faults)
    wrong = typed.select("row", reason=reason).drop_nulls("reason")
    if wrong.height:
        row, text = wrong.row(0)
        raise SeriesError(f"covariates, row {row}: {text}")


def _faults_of_number(name: str) -> list[tuple[pl.Expr, pl.Expr]]:
    """Return what may be wrong with a number, as a condition and its text."""
    text = pl.col(f"{name}_text")
    return [
        (
            text.str.contains(",", literal=True),
            pl.format(f"{name} '{{}}' has a comma; write decimals with a point", text),
        ),
        (
            pl.col(name).is_null() & ~is_missing(f"{name}_text"),
            pl.format(f"{name} '{{}}' is not a number; write 1 and 0 for yes and no, and leave out text", text),
        ),
        (~pl.col(name).is_finite(), pl.format(f"{name} '{{}}' is not a finite number", text)),
    ]
