"""Rows of planning files as people have them: zones as text, numbers checked, and the first wrong row named."""

from collections.abc import Collection, Iterable
from typing import Final

import polars as pl

from pipelines.dispatch.posts import PlanError
from pipelines.forecast.demand.series_checks import is_missing, number

Faults = list[tuple[pl.Expr, pl.Expr]]
"""What may be wrong with a row: a condition, and the text for the user."""
_WHOLE: Final = r"^([+-]?\d+)\.0*$"


def typed(
    rows: pl.DataFrame,
    name: str,
    texts: Collection[str] = (),
    numbers: Collection[str] = (),
    optional: Collection[str] = (),
) -> pl.DataFrame:
    """Return the columns named, with ``row`` (from 1): zones as text, numbers as such, ``<number>_text`` as written.

    A zone that a program wrote as a decimal, such as 3811.0, is 3811. A number that cannot be read is null. Columns of
    ``optional`` that are missing are null.

    Args:
        rows: Of any types; names of columns in lower case.
        name: Of the file, for messages.
        texts: Columns of names, such as zones.
        numbers: Columns of numbers.
        optional: Those of both that may be missing.

    Raises:
        PlanError: A column is missing, or there are no rows.
    """
    wanted = [*texts, *numbers]
    if missing := [column for column in wanted if column not in rows.columns and column not in optional]:
        raise PlanError(
            f"{name} lacks {', '.join(missing)}; give the columns {', '.join(c for c in wanted if c not in optional)} "
            f"(of these it has: {', '.join(column for column in wanted if column in rows.columns) or 'none'})"
        )
    if rows.is_empty():
        raise PlanError(f"{name} has no rows")
    absent = [pl.lit(None, pl.String).alias(column) for column in wanted if column not in rows.columns]
    flags = pl.col(pl.Boolean).cast(pl.Int8)
    text = rows.with_columns(flags).with_columns(absent).select(pl.col(wanted).cast(pl.String).str.strip_chars())
    read = [pl.when(~is_missing(f"{column}_text")).then(number(pl.col(f"{column}_text"))) for column in numbers]
    return (
        text.rename({column: f"{column}_text" for column in numbers})
        .with_columns(pl.col(column).str.replace(_WHOLE, "${1}") for column in texts)
        .with_columns(expression.alias(column) for expression, column in zip(read, numbers, strict=True))
        .with_row_index("row", offset=1)
    )


def faults_of_zone(column: str, known: Collection[str] | None = None, file: str = "--travel") -> Faults:
    """Return what may be wrong with a zone: it is empty, or none of the known ones of another file."""
    faults = [(pl.col(column).is_null() | (pl.col(column) == ""), pl.lit(f"{column} is empty; name the zone"))]
    if known is not None:
        text = pl.format(f"zone {{}} is not in {file}; add it there, or correct its name", column)
        faults.append((~pl.col(column).is_in(list(known)), text))
    return faults


def faults_of_number(column: str, is_required: bool = False, is_whole: bool = False) -> Faults:
    """Return what may be wrong with a number of 0 or more."""
    text, value = pl.col(f"{column}_text"), pl.col(column)
    comma = f"{column} '{{}}' has a comma; write decimals with a point, and thousands without a separator"
    faults = [
        (text.str.contains(",", literal=True).fill_null(False), pl.format(comma, text)),
        (value.is_null() & ~is_missing(f"{column}_text"), pl.format(f"{column} '{{}}' is not a number", text)),
        (~value.is_finite().fill_null(True), pl.format(f"{column} '{{}}' is not a finite number", text)),
        ((value < 0).fill_null(False), pl.format(f"{column} {{}} is negative; give 0 or more", text)),
    ]
    if is_required:
        faults.append((value.is_null(), pl.lit(f"{column} is empty; give a number of 0 or more")))
    if is_whole:
        faults.append(((value != value.floor()).fill_null(False), pl.format(f"{column} {{}} is not whole", text)))
    return faults


def check_rows(rows: pl.DataFrame, faults: Iterable[tuple[pl.Expr, pl.Expr]], name: str) -> None:
    """Report the first row with a fault.

    Raises:
        PlanError: A row has one; the message names file and row.
    """
    reason = pl.coalesce(pl.when(fault).then(text) for fault, text in faults)
    wrong = rows.select("row", reason=reason).drop_nulls("reason")
    if wrong.height:
        row, text = wrong.row(0)
        raise PlanError(f"{name}, row {row}: {text}")
