"""Quality gates: a table whose suite fails is not published."""

import duckdb
import polars as pl

from pipelines.config import paths
from pipelines.quality import suites
from pipelines.quality.suites import QualityError
from pipelines.store import warehouse


def names() -> list[str]:
    """Return the gated tables: suites named ``schema.table``."""
    return sorted(path.stem for path in paths.EXPECTATIONS.glob("*.*.json"))


def check(con: duckdb.DuckDBPyConnection, *schemas: str) -> None:
    """Check every gated table of the schemas against its suite, and write the results to ``ops.gates``.

    Raises:
        QualityError: A quality gate failed; the previous release stays current.
    """
    for name in names():
        schema, _, table = name.partition(".")
        if schema in schemas and warehouse.exists(con, schema, table):
            columns = ", ".join(f'"{column}"' for column in suites.columns_of(name)) or "1 as one"
            results = checked(name, con.execute(f'select {columns} from {schema}."{table}"').pl())
            con.execute("delete from ops.gates where suite = ?", [name])
            con.register("_gate", results.with_columns(suite=pl.lit(name)).to_arrow())
            con.execute("insert into ops.gates by name select * from _gate")
            con.unregister("_gate")


def checked(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the results of a table's gate (columns of ``suites.Verdict.results``).

    Raises:
        QualityError: An expectation of severity critical failed; the previous release stays current.
    """
    results = suites.validate_table(name, frame)
    failed = results.filter(~pl.col("success"), pl.col("severity") == "critical")["reason"]
    if not failed.is_empty():
        raise QualityError(f"quality gate failed for {name}: {'; '.join(failed)}. The previous release stays current")
    return results.drop("success")
