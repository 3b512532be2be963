"""Quality gates: a table whose suite fails is held back, with all that was made from it; the rest is published."""

from typing import Final

import duckdb
import polars as pl

from pipelines.config import paths
from pipelines.quality import suites
from pipelines.quality.suites import QualityError
from pipelines.store import warehouse

WHOLE: Final = "core"
"""Schema of tables from which everything is made: without one there is nothing to publish."""


def names() -> list[str]:
    """Return the gated tables: suites named ``schema.table``."""
    return sorted(path.stem for path in paths.EXPECTATIONS.glob("*.*.json"))


def check(con: duckdb.DuckDBPyConnection, *schemas: str) -> None:
    """Check every gated table of the schemas against its suite, and write the results to ``ops.gates``.

    A table that fails is emptied, so that nothing is computed from it, and listed with the reason in ``ops.held_back``.

    Raises:
        QualityError: The gate of a table failed from which everything is made; the previous release stays current.
    """
    for name in names():
        schema, _, table = name.partition(".")
        if schema in schemas and warehouse.exists(con, schema, table):
            columns = ", ".join(f'"{column}"' for column in suites.columns_of(name)) or "1 as one"
            results = suites.validate_table(name, con.execute(f'select {columns} from {schema}."{table}"').pl())
            con.execute("delete from ops.gates where suite = ?", [name])
            con.register("_gate", results.drop("success").with_columns(suite=pl.lit(name)).to_arrow())
            con.execute("insert into ops.gates by name select * from _gate")
            con.unregister("_gate")
            _hold_back(con, name, failure(results))


def failure(results: pl.DataFrame) -> str | None:
    """Return why a table fails its gate, by the results of `suites.validate_table`; None if it passes."""
    failed = results.filter(~pl.col("success"), pl.col("severity") == "critical")["reason"]
    return None if failed.is_empty() else "; ".join(failed)


def held_back(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the tables whose gate failed, with the reason."""
    return dict(con.execute("select held_table, reason from ops.held_back order by all").fetchall())


def _hold_back(con: duckdb.DuckDBPyConnection, name: str, reason: str | None) -> None:
    schema, _, table = name.partition(".")
    if reason and schema == WHOLE:
        raise QualityError(f"quality gate failed for {name}: {reason}. The previous release stays current")
    con.execute("delete from ops.held_back where held_table = ?", [name])
    if reason:
        con.execute("insert into ops.held_back (held_table, reason) values (?, ?)", [name, reason])
        con.execute(f'delete from {schema}."{table}"')
