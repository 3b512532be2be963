"""Compare the tables of a warehouse with the dictionary."""

from collections.abc import Mapping, Sequence
from typing import Final

import duckdb

from pipelines.schema.dictionary import Dictionary, DictionaryError, Table, load

INTERMEDIATE: Final = ("_rows", "_cleaned")
"""How tables of staging end that only the other staging files of their feed read."""


def check(con: duckdb.DuckDBPyConnection, *schemas: str) -> None:
    """Compare the tables of the given schemas with the dictionary.

    Raises:
        DictionaryError: a table or column is not listed, is missing, or has another type.
    """
    if differences := problems(con, *schemas):
        raise DictionaryError("\n".join(["sql/dictionary and the tables differ:", *differences]))


def problems(con: duckdb.DuckDBPyConnection, *schemas: str) -> list[str]:
    """How the tables of the given schemas differ from the dictionary: what is not listed, missing or of another type.

    ``raw`` is declared by the feeds; ``staging.<feed>`` is compared with the common record; what a feed's staging files
    read from each other (``<feed>_rows``, ``<feed>_cleaned``) is theirs. Our bookkeeping columns (``_…``) are left out.
    """
    dictionary = load()
    rows = con.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and not internal and column_name not like '\\_%' escape '\\' "
        "order by schema_name, table_name, column_index"
    ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for schema, table, column, dtype in rows:
        if schema in schemas and schema != "raw" and not (schema == "staging" and table.endswith(INTERMEDIATE)):
            tables.setdefault(f"{schema}.{table}", {})[column] = dtype
    return [problem for name, columns in tables.items() for problem in _differences(dictionary, name, columns)]


def _listed_as(dictionary: Dictionary, name: str) -> Table | None:
    schema, _, table = name.partition(".")
    if name not in dictionary.tables and schema == "staging":
        what = table.rpartition("_")[2]
        name = f"staging.{what}" if f"staging.{what}" in dictionary.tables else "staging.incidents"
    return dictionary.tables.get(name)


def _differences(dictionary: Dictionary, name: str, columns: Mapping[str, str]) -> list[str]:
    listed = _listed_as(dictionary, name)
    file = f"sql/dictionary/{name.partition('.')[0]}.yml"
    if listed is None:
        return [f"- {name} is not listed: add it to {file} with meaning, grain and columns {list(columns)}"]
    return [
        *_unlisted(dictionary, name, file, [column for column in columns if column not in listed.columns]),
        *(
            f"- {name} lacks the column {column!r}: compute it, or remove it from the table's `columns:` in {file}"
            for column in listed.columns
            if column not in columns and not column.startswith("_")
        ),
        *(
            f"- {name}.{column} is {columns[column]}, but the dictionary has {dictionary.columns[column].type}: cast it"
            for column in listed.columns
            if column in columns and columns[column] != dictionary.columns[column].type
        ),
    ]


def _unlisted(dictionary: Dictionary, name: str, file: str, extra: Sequence[str]) -> list[str]:
    return [
        f"- {name}.{column} is not listed: add {column!r} to the table's `columns:` in {file}"
        + ("" if column in dictionary.columns else " with type, unit and meaning")
        for column in extra
    ]
