"""Read the current release: one audience's file, read-only, without access to files and network."""

from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from pipelines.config.errors import BongsuError
from pipelines.config.settings import Settings
from pipelines.release import integrity

READS: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
"""Statements that change nothing; SHOW, DESCRIBE and SUMMARIZE are SELECTs to DuckDB."""


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
                raise ReaderError(f'give one statement that reads, such as "from feed_status", instead of {kinds}')
            return con.execute(statements[0]).pl()
        except duckdb.Error as error:
            tables = con.execute("select table_name from duckdb_tables() order by 1").fetchall()
            what = " ".join(str(error).partition("LINE ")[0].split())
            raise ReaderError(f"{what}; tables for {audience}: {', '.join(name for (name,) in tables)}") from error
        except pl.exceptions.ComputeError as error:
            raise ReaderError(f"a column has a type that cannot be exported ({error}); cast it to varchar") from error
