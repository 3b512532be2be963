"""Read the current release: one audience's file, read-only, without access to files and network."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import polars.selectors as cs
from duckdb.sqltypes import DuckDBPyType

from pipelines.config.errors import BongsuError
from pipelines.config.settings import Settings
from pipelines.release import integrity

READS: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
"""Statements that change nothing; SHOW, DESCRIBE and SUMMARIZE are SELECTs to DuckDB."""
NOT_EXPORTED: Final = ("interval", "union", "uhugeint", "bit", "time with time zone")
"""Types that Polars does not have: it would stop, or change their values without a word."""
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
"""Dates that other programs know; DuckDB's are infinite or of earlier and later years too."""


class ReaderError(BongsuError):
    """Report that there is nothing to read, or not for this audience: what to do next."""


def database(settings: Settings, audience: str) -> Path:
    """Return the DuckDB file of an audience in the current release.

    Raises:
        ReaderError: Nothing is published yet, there is no such audience, or its file is damaged.
    """
    # The link is resolved once, so that a switch in between cannot mix two releases.
    release = settings.current.resolve()
    name = f"audiences/{audience}/{audience}.duckdb"
    if problems := integrity.missing(settings) or integrity.problems(release, (name,)):
        raise ReaderError(problems[0])
    if not (release / name).is_file():
        known = ", ".join(sorted(child.name for child in (release / "audiences").iterdir()))
        raise ReaderError(f"there is no audience {audience!r}; this release has {known}")
    return release / name


def query(settings: Settings, sql: str, audience: str = "public") -> pl.DataFrame:
    """Run one statement that reads on the current release of an audience.

    Raises:
        ReaderError: There is nothing to read, or the statement is not one that reads, or cannot be run; the message
            lists the tables.
    """
    path = database(settings, audience)
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
        try:
            statements = con.extract_statements(sql)
            if len(statements) != 1 or statements[0].type not in READS:
                kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
                # A PIVOT without its values is several statements, none of which has a text of its own.
                is_pivot = len(statements) > 1 and not any(statement.query for statement in statements)
                raise ReaderError(
                    "PIVOT needs its values, as in: pivot t on month in (1, 2) using sum(calls)"
                    if is_pivot
                    else f'give one statement that reads, such as "from feed_status", instead of {kinds}'
                )
            con.execute(statements[0])
            _check_types({name: dtype for name, dtype, *_ in con.description or ()})
            return _check_dates(con.pl())
        except duckdb.Error as error:
            tables = con.execute("select table_name from duckdb_tables() order by 1").fetchall()
            what = " ".join(str(error).partition("LINE ")[0].split())
            raise ReaderError(f"{what}; tables for {audience}: {', '.join(name for (name,) in tables)}") from error
        except pl.exceptions.ComputeError as error:
            raise ReaderError(f"a column has a type that cannot be exported ({error}); cast it to varchar") from error


def _check_types(types: Mapping[str, DuckDBPyType]) -> None:
    """Refuse the first column whose values cannot be exported as they are."""
    for name, dtype in types.items():
        if not _is_exported(dtype):
            raise ReaderError(f"column {name} has a type that cannot be exported ({dtype}); cast it to varchar")


def _is_exported(dtype: DuckDBPyType) -> bool:
    parts = dtype.children if dtype.id in ("list", "array", "struct", "map") else ()
    return dtype.id not in NOT_EXPORTED and all(
        _is_exported(part) for _, part in parts if isinstance(part, DuckDBPyType)
    )


def _check_dates(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame, or refuse the first column with a date that other programs do not know."""
    # Nanoseconds reach only from 1677 to 2262.
    for values in frame.select(cs.date() | cs.datetime(("ms", "us"))):
        first, last = pl.Series([FIRST, LAST]).cast(values.dtype).to_physical()
        if not values.to_physical().is_between(first, last).all():
            raise ReaderError(f"column {values.name} has a date outside the years 1 to 9999; cast it to varchar")
    return frame
