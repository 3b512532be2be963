"""The working DuckDB file: connect, merge, run the SQL models, hash. The only module that opens DuckDB for writing.

The file is a cache: `bongsu rebuild` recreates it from landing and records. One process writes at a time.
"""

import graphlib
import hashlib
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
import polars as pl

from pipelines.config import paths
from pipelines.config.errors import BongsuError
from pipelines.config.settings import Settings
from pipelines.schema import dictionary
from pipelines.schema.dictionary import literal, quoted

SCHEMAS = ("ops", "raw", "reference", "staging", "core", "marts", "patterns", "forecast", "dispatch", "views")
STORAGE_VERSION = "v1.5.0"
_TABLE_NAME = re.compile(r"(?:from|join) (\w+\.\w+)")


class WarehouseError(BongsuError):
    """Report that the warehouse cannot be opened, or a model not built: what, where, and what to do next."""


@contextmanager
def connect(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for writing, with its schemas, in UTC, without network access.

    Raises:
        WarehouseError: Another process holds the file longer than ``BONGSU_LOCK_TIMEOUT_SECONDS``, it is damaged, or
            another version built it.
    """
    settings.work.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config=_config(settings)) as con:
        _attach(con, settings)
        con.execute("use warehouse")
        con.execute("set timezone = 'UTC'")
        _set_variables(con, settings)
        for schema in SCHEMAS:
            con.execute(f"create schema if not exists {schema}")
        _create_bookkeeping(con)
        yield con
        con.execute("checkpoint warehouse")
        con.execute("use memory")
        con.execute("detach warehouse")


def discard(settings: Settings) -> None:
    """Delete the file, damaged or not, unless another process writes it.

    Raises:
        WarehouseError: Another process holds the file.
    """
    if settings.warehouse.exists():
        try:
            with duckdb.connect() as con:
                _attach(con, settings)
        except WarehouseError as error:
            if "another process" in str(error):
                raise
    for name in (settings.warehouse.name, f"{settings.warehouse.name}.wal"):
        settings.warehouse.with_name(name).unlink(missing_ok=True)


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load a DuckDB extension by path from its installed wheel.

    It needs no network and writes nothing to a user's home.
    """
    package = find_spec(f"duckdb_extension_{name}")
    if package is None or not package.submodule_search_locations:
        raise WarehouseError(f"the package duckdb-extension-{name} is not installed: run `make setup`")
    path = Path(package.submodule_search_locations[0]) / f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"
    con.execute(f"load '{path}'")
    if name == "spatial":
        con.execute("set geometry_always_xy = true")


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Run a block as one transaction."""
    con.execute("begin")
    try:
        yield
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")


def write_frame(con: duckdb.DuckDBPyConnection, schema: str, table: str, frame: pl.DataFrame) -> None:
    """Replace a table by a frame."""
    con.register("_frame", frame.to_arrow())
    con.execute(f"create or replace table {schema}.{quoted(table)} as select * from _frame")
    con.unregister("_frame")


def tables(con: duckdb.DuckDBPyConnection, *schemas: str) -> list[tuple[str, str]]:
    """Return the tables of the given schemas, or of all, in order."""
    rows = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'warehouse' order by all"
    ).fetchall()
    return [(schema, table) for schema, table in rows if not schemas or schema in schemas]


def exists(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Return whether a table exists."""
    return (schema, table) in tables(con, schema)


def logical_hash(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> str:
    """Return the hash of a table's content, independent of row order, bookkeeping (``_`` columns) and the clock.

    It combines the row count and the 128-bit sum of ``hash(row)`` over the columns in dictionary order, with their
    names and types and the DuckDB version.
    """
    # Bound parameters would make DuckDB import pandas, which takes seconds in every light command.
    described = con.execute(f"describe {schema}.{quoted(table)}").fetchall()
    columns = sorted((name, dtype) for name, dtype, *_ in described if not name.startswith("_"))
    listed = ", ".join(quoted(name) for name, _ in columns)
    rows, total = con.execute(
        f"select count(*), coalesce(sum(hash({listed})::hugeint), 0)::varchar from {schema}.{quoted(table)}"
    ).fetchall()[0]
    return hashlib.sha256(orjson.dumps([duckdb.__version__, columns, rows, total])).hexdigest()


def hashes(con: duckdb.DuckDBPyConnection, *schemas: str) -> dict[str, str]:
    """Return ``schema.table`` → logical hash, for all tables except bookkeeping."""
    wanted = schemas or tuple(schema for schema in SCHEMAS if schema != "ops")
    return {f"{schema}.{table}": logical_hash(con, schema, table) for schema, table in tables(con, *wanted)}


def references(con: duckdb.DuckDBPyConnection, select: str) -> set[str]:
    """Return the ``schema.table`` names that one SELECT reads, also through macros, without running it.

    Raises:
        WarehouseError: The text is not exactly one SELECT that DuckDB can describe.
    """
    tree = _parsed(con, select)
    return set(_base_tables(tree)).union(*(_macro_tables(name) for name in _functions(tree)))


def run_models(con: duckdb.DuckDBPyConnection, schema: str, names: Sequence[str] | None = None) -> dict[str, set[str]]:
    """Build ``sql/<schema>/*.sql``, each one SELECT, as tables of that schema, in the order of their FROM clauses.

    ``names`` limits the files. Returns the tables that each table reads, the lineage.

    Raises:
        WarehouseError: A model is not one SELECT, the models form a cycle, or one cannot be built.
    """
    models = selects(schema)
    return run_selects(con, schema, {name: models[name] for name in models if names is None or name in names})


def selects(schema: str) -> dict[str, str]:
    """Return the text of every ``sql/<schema>/*.sql`` by its stem."""
    return {path.stem: path.read_text("utf-8") for path in sorted((paths.SQL / schema).glob("*.sql"))}


def run_selects(
    con: duckdb.DuckDBPyConnection, schema: str, chosen: Mapping[str, str], uncopied: Collection[str] = ()
) -> dict[str, set[str]]:
    """Build one table of a schema from each SELECT, as `run_models` does; of the ``uncopied`` a view."""
    edges: dict[str, set[str]] = {}
    _create_macros(con, chosen.values())
    for name, select in chosen.items():
        try:
            edges[f"{schema}.{name}"] = references(con, select)
        except WarehouseError as error:
            raise WarehouseError(f"sql/{schema}/{name}.sql: {error}") from error
    try:
        order = graphlib.TopologicalSorter(edges).static_order()
        for table in [table for table in order if table in edges]:
            name = table.partition(".")[2]
            _build(con, table, chosen[name], "view" if name in uncopied else "table")
    except graphlib.CycleError as error:
        raise WarehouseError(f"sql/{schema}: models form a cycle: {error.args[1]}") from error
    return edges


def _create_macros(con: duckdb.DuckDBPyConnection, selects: Iterable[str]) -> None:
    """Create the macros that SELECTs use; not before, since the tables that a macro reads must exist by then."""
    text = "\n".join(selects)
    for name, definition in _macros(paths.SQL / "macros").items():
        if f"{name}(" in text:
            con.execute(definition)


_IN_COUNTRY: Final = {
    "lon": "if(in_country(lon, lat), lon, null)",
    "lat": "if(in_country(lon, lat), lat, null)",
    "location_quality": "if(lon is null or lat is null or in_country(lon, lat), location_quality, 'outside')",
}
"""How the columns of a place are read from a feed's staging table."""


def union_staged(con: duckdb.DuckDBPyConnection, table: str, parts: Sequence[str], columns: Mapping[str, str]) -> None:
    """Create ``staging.<table>`` from the feeds' staging tables, by name, in the types of the common record.

    A point outside the country, such as a placeholder, counts as no place: its record counts in the district that it
    names.
    """
    is_placed = {"lon", "lat", "location_quality"} <= columns.keys()
    listed = ", ".join(
        f"({_IN_COUNTRY.get(name, quoted(name)) if is_placed else quoted(name)})::{dtype} as {quoted(name)}"
        for name, dtype in columns.items()
    )
    empty = ", ".join(f"null::{dtype} as {quoted(name)}" for name, dtype in columns.items())
    selects = [f"select {listed} from staging.{quoted(part)}" for part in parts] or [f"select {empty} where false"]
    _create_macros(con, selects)
    con.execute(f"create or replace table staging.{table} as {' union all by name '.join(selects)}")


def _build(con: duckdb.DuckDBPyConnection, table: str, select: str, kind: str) -> None:
    schema, _, name = table.partition(".")
    try:
        con.execute(f"create or replace {kind} {schema}.{quoted(name)} as {select}")
    except duckdb.Error as error:
        raise WarehouseError(f"sql/{schema}/{name}.sql cannot be built: {error}") from error


def _create_bookkeeping(con: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of schema ``ops`` that outlast a run, as the dictionary describes them.

    Raises:
        WarehouseError: They have other columns, because another version of the code made them.
    """
    tables = dictionary.load().tables
    listed = {name: tables[name].columns for name in tables if name.startswith("ops.") and tables[name].is_bookkeeping}
    for name in listed:
        columns = ", ".join(f"{quoted(column)} {dtype}" for column, dtype in dictionary.sql_types(name).items())
        con.execute(f"create table if not exists {name} ({columns})")
    present: dict[str, set[str]] = {}
    for name, column in con.execute(
        "select 'ops.' || table_name, column_name from duckdb_columns() "
        "where database_name = 'warehouse' and schema_name = 'ops'"
    ).fetchall():
        present.setdefault(name, set()).add(column)
    if other := sorted(name for name, columns in listed.items() if present[name] != set(columns)):
        raise WarehouseError(
            f"another version of Bongsu built this warehouse ({', '.join(other)} differ): run `bongsu rebuild`, which "
            "recreates it from landing and records"
        )


def _set_variables(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Set the variables that models may read: ``as_of``, ``as_of_date`` (local), ``time_zone``, ``history_days``."""
    profile = settings.profile
    con.execute("set variable as_of = ?::timestamptz", [settings.as_of])
    con.execute("set variable as_of_date = ?::date", [settings.as_of.astimezone(profile.zone).date()])
    con.execute("set variable time_zone = ?", [profile.time_zone])
    con.execute("set variable history_days = ?", [profile.demand.history_days])
    for side, degrees in zip(("west", "south", "east", "north"), profile.bounds, strict=True):
        con.execute(f"set variable {side} = ?", [degrees])


def _base_tables(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE" and node.get("schema_name"):
            yield f"{node['schema_name']}.{node['table_name']}"
        for child in node.values():
            yield from _base_tables(child)
    elif isinstance(node, list):
        for child in node:
            yield from _base_tables(child)


def _parsed(con: duckdb.DuckDBPyConnection, select: str) -> dict[str, Any]:
    tree: dict[str, Any] = orjson.loads(con.execute("select json_serialize_sql(?)", [select]).fetchall()[0][0])
    if tree.get("error") or len(tree["statements"]) != 1:
        raise WarehouseError(f"not exactly one SELECT: {tree.get('error_message', select[:80])}")
    return tree


def _functions(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("class") == "FUNCTION":
            yield node["function_name"]
        for child in node.values():
            yield from _functions(child)
    elif isinstance(node, list):
        for child in node:
            yield from _functions(child)


def _macro_tables(name: str) -> set[str]:
    """The tables that a macro of ``sql/macros`` reads; none for a function that is not one."""
    return set(_TABLE_NAME.findall(_macros(paths.SQL / "macros").get(name, "")))


@cache
def _macros(folder: Path) -> dict[str, str]:
    """The definitions in a folder by name."""
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.sql"))}


def _config(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": settings.environment.threads,
        "memory_limit": f"{int(settings.environment.memory_limit)}B",
        "temp_directory": str(settings.work / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
    }


def _attach(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    deadline = time.monotonic() + settings.environment.lock_timeout_seconds
    while True:
        try:
            con.execute(f"attach {literal(settings.warehouse)} as warehouse (storage_version '{STORAGE_VERSION}')")
            return
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise WarehouseError(
                    f"{settings.warehouse} cannot be opened ({error}); recreate it with `bongsu rebuild`"
                ) from error
            if time.monotonic() > deadline:
                raise WarehouseError(f"another process writes the warehouse; wait or stop it: {error}") from error
            time.sleep(0.2)
        except duckdb.Error as error:
            raise WarehouseError(
                f"{settings.warehouse} cannot be opened ({error}); recreate it with `bongsu rebuild`"
            ) from error
