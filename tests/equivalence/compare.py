"""Compare the tables of two DuckDB files by key and column, through a list of renames."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict

TOLERANCE: Final = 1e-9
"""By how much floats may differ that Python computed, relative to the larger of both and to 1."""
DIGITS: Final = 9
EXACT: Final = frozenset({"raw", "reference", "staging", "core", "marts"})
"""Schemas whose tables SQL alone makes: their floats must be equal."""


class Renames(BaseModel):
    """Renamed tables and columns, and intended differences; see ``renames.yml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    tables: Mapping[str, str] = {}
    columns: Mapping[str, Mapping[str, str]] = {}
    recoded: Mapping[str, Mapping[str, str]] = {}
    dropped: Mapping[str, str] = {}
    added: Mapping[str, str] = {}
    values: Mapping[str, str] = {}
    rows: Mapping[str, str] = {}

    @staticmethod
    def read(path: Path) -> "Renames":
        """Read a file of renames."""
        return Renames.model_validate(yaml.safe_load(path.read_text("utf-8")))


@dataclass(frozen=True, slots=True)
class Pair:
    """A table of the old file and the one that corresponds to it, as SQL reads them."""

    name: str
    before: str
    after: str


def differences(
    before: Path, after: Path, renames: Renames, grains: Mapping[str, Sequence[str]], audience: str | None = None
) -> list[str]:
    """One line for each table or column that differs and is not listed in the renames; none where both are equal.

    Args:
        before: DuckDB file of the base commit.
        after: DuckDB file of the working tree.
        renames: Names that changed and differences that are meant.
        grains: Key columns of the old tables by ``schema.table``. Where what is left of them without intended
            differences is no longer a key, tables are compared as multisets of rows.
        audience: The audience whose released file this is, which takes the place of the schema in names.
    """
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        for alias, path in (("before", before), ("after", after)):
            con.execute(f"attach '{path}' as {alias} (read_only)")
        old, new = (_tables(con, alias, audience) for alias in ("before", "after"))
        wanted = {name: renames.tables.get(name, name) for name in old if name not in renames.dropped}
        lines = [f"{name}: missing; it should be called {wanted[name]}" for name in wanted if wanted[name] not in new]
        lines += [
            f"{name}: new and not listed" for name in new if name not in wanted.values() and name not in renames.added
        ]
        for name in sorted(name for name in wanted if wanted[name] in new):
            before_table, after_table = (
                _compared(table, name, renames)
                for table in (
                    _recoded(con, name, _quoted("before", old[name]), renames),
                    _quoted("after", new[wanted[name]]),
                )
            )
            pair = Pair(name, before_table, after_table)
            lines += _table_differences(con, pair, renames, grains.get(name, ()))
        return lines


def _tables(con: duckdb.DuckDBPyConnection, alias: str, audience: str | None) -> dict[str, tuple[str, str]]:
    """Schema and name of every table, and of every view of schema ``views``, by its name in the renames."""
    rows = con.execute(
        f"select schema_name, table_name from duckdb_tables() where database_name = '{alias}' union all "
        f"select schema_name, view_name from duckdb_views() where database_name = '{alias}' and schema_name = 'views' "
        "order by all"
    ).fetchall()
    return {f"{audience or schema}.{table}": (schema, table) for schema, table in rows}


def _table_differences(
    con: duckdb.DuckDBPyConnection, pair: Pair, renames: Renames, grain: Sequence[str]
) -> Iterator[str]:
    named = {
        column: new
        for pattern, names in renames.columns.items()
        if fnmatchcase(pair.name, pattern)
        for column, new in names.items()
    }
    before, after = (_columns(con, table) for table in (pair.before, pair.after))
    kept = [column for column in before if not _is_meant(f"{pair.name}.{column}", renames.dropped)]
    for column in kept:
        if named.get(column, column) not in after:
            yield f"{pair.name}.{column}: missing; it should be called {named.get(column, column)}"
    added = after.keys() - {named.get(column, column) for column in kept}
    yield from (
        f"{pair.name}.{column}: new and not listed"
        for column in added
        if not _is_meant(f"{pair.name}.{column}", renames.added)
    )
    shared = [
        column
        for column in kept
        if named.get(column, column) in after and not _is_meant(f"{pair.name}.{column}", renames.values)
    ]
    for column in shared:
        if before[column] != after[named.get(column, column)]:
            yield f"{pair.name}.{column}: {before[column]} became {after[named.get(column, column)]}"
    columns = {column: named.get(column, column) for column in shared}
    key = [column for column in grain if column in columns]
    if _is_key(con, pair.before, key) and _is_key(con, pair.after, [columns[column] for column in key]):
        yield from _by_key(con, pair, columns, before, key)
    elif columns:
        yield from _as_multisets(con, pair, columns, before)


def _recoded(con: duckdb.DuckDBPyConnection, name: str, table: str, renames: Renames) -> str:
    """The old table with the new names of values."""
    columns = _columns(con, table)
    replaced = [
        f"{_case(column, values)} as {_listed([column])}"
        for pattern, values in renames.recoded.items()
        for column in columns
        if fnmatchcase(f"{name}.{column}", pattern)
    ]
    return f"(select * replace ({', '.join(replaced)}) from {table})" if replaced else table


def _compared(table: str, name: str, renames: Renames) -> str:
    """The rows of a table without those whose values may differ."""
    conditions = [condition for pattern, condition in renames.rows.items() if fnmatchcase(name, pattern)]
    return f"(select * from {table} where not ({' or '.join(conditions)}))" if conditions else table


def _case(column: str, values: Mapping[str, str]) -> str:
    choices = " ".join(f"when '{old}' then '{new}'" for old, new in values.items())
    return f'case "{column}" {choices} else "{column}" end'


def _by_key(
    con: duckdb.DuckDBPyConnection,
    pair: Pair,
    columns: Mapping[str, str],
    types: Mapping[str, str],
    grain: Sequence[str],
) -> Iterator[str]:
    """Rows that only one side has, and per column how many rows differ."""
    is_exact = pair.name.partition(".")[0] in EXACT
    compared = [column for column in columns if column not in grain]
    is_different = [_differs(column, columns[column], types[column], is_exact) for column in compared]
    counts = ["_is_new is null", "_is_old is null", *(f"_is_old and _is_new and {test}" for test in is_different)]
    key = " and ".join(f'b."{column}" is not distinct from a."{columns[column]}"' for column in grain)
    result = con.execute(
        f"""
        select {", ".join(f"count(*) filter ({test})" for test in counts)}
        from (select *, true as _is_old from {pair.before}) as b
        full join (select *, true as _is_new from {pair.after}) as a on {key}
        """
    ).fetchall()[0]
    for label, rows in zip(("only before", "only after"), result[:2], strict=True):
        if rows:
            yield f"{pair.name}: {rows} rows {label}"
    for column, rows in zip(compared, result[2:], strict=True):
        if rows:
            yield f"{pair.name}.{column}: {rows} rows differ"


def _as_multisets(
    con: duckdb.DuckDBPyConnection, pair: Pair, columns: Mapping[str, str], types: Mapping[str, str]
) -> Iterator[str]:
    """How many rows only one side has, of the columns that both have; computed floats are rounded to the tolerance."""
    is_exact = pair.name.partition(".")[0] in EXACT
    rounded = {column for column in columns if types[column] == "DOUBLE" and not is_exact}

    def selected(table: str, names: Mapping[str, str]) -> str:
        listed = (f'round("{name}", {DIGITS})' if column in rounded else f'"{name}"' for column, name in names.items())
        return f"select {', '.join(listed)} from {table}"

    before, after = selected(pair.before, {column: column for column in columns}), selected(pair.after, columns)
    for label, side, other in (("only before", before, after), ("only after", after, before)):
        rows = con.execute(f"select count(*) from (({side}) except all ({other}))").fetchall()[0][0]
        if rows:
            yield f"{pair.name}: {rows} rows {label}"


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _differs(old: str, new: str, dtype: str, is_exact: bool) -> str:
    b, a = f'b."{old}"', f'a."{new}"'
    if dtype != "DOUBLE" or is_exact:
        return f"{b} is distinct from {a}"
    close = f"isfinite({b}) and isfinite({a}) and abs({b} - {a}) <= {TOLERANCE} * greatest(abs({b}), abs({a}), 1)"
    return f"({b} is distinct from {a} and not coalesce({close}, false))"


def _is_key(con: duckdb.DuckDBPyConnection, table: str, key: Sequence[str]) -> bool:
    query = f"select 1 from {table} group by {_listed(key)} having count(*) > 1 limit 1"
    return bool(key) and not con.execute(query).fetchall()


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Columns and types, without our bookkeeping."""
    described: list[tuple[Any, ...]] = con.execute(f"describe {table}").fetchall()
    return {name: dtype for name, dtype, *_ in described if not name.startswith("_")}


def _is_meant(column: str, patterns: Mapping[str, str]) -> bool:
    return any(fnmatchcase(column, pattern) for pattern in patterns)


def _quoted(alias: str, table: tuple[str, str]) -> str:
    return f'{alias}."{table[0]}"."{table[1]}"'
