"""The dictionary: every column and table once, from ``sql/dictionary.yml``.

It is the allow-list of the build: what it does not list cannot be published. Comments in the released files, the
readable dictionary and ``datapackage.json`` all come from here.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.config import paths
from pipelines.config.errors import BongsuError

PATH = paths.SQL / "dictionary.yml"

_FRICTIONLESS = {
    "VARCHAR": "string",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "DECIMAL(18,6)": "number",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "BLOB": "any",
}


class DictionaryError(BongsuError):
    """A table or column is not listed as it is: which, and what to add where."""


class Column(BaseModel):
    """One column, the same wherever it appears."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    meaning: str
    unit: str | None = None


class Table(BaseModel):
    """One table: meaning, grain, columns in order and, for a view, who gets which of its rows and not which columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: str
    grain: tuple[str, ...]
    columns: tuple[str, ...]
    audiences: Mapping[str, str | None] = {}
    hidden: Mapping[str, tuple[str, ...]] = {}
    is_bookkeeping: bool = False

    def shown_to(self, audience: str) -> "Table":
        """The table with the columns that an audience gets."""
        hidden = self.hidden.get(audience, ())
        return self.model_copy(update={"columns": tuple(name for name in self.columns if name not in hidden)})


class Dictionary(BaseModel):
    """Columns by name, tables by ``schema.table``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Mapping[str, Column]
    tables: Mapping[str, Table]

    def published(self, audience: str) -> dict[str, Table]:
        """The tables that an audience gets, by their name in the release (without the schema)."""
        return {
            name.removeprefix("views."): table.shown_to(audience)
            for name, table in self.tables.items()
            if audience in table.audiences
        }


@cache
def load(path: Path = PATH) -> Dictionary:
    """Read and check the dictionary.

    Raises:
        DictionaryError: it names a column that it does not define, or a table outside ``views`` has an audience.
    """
    try:
        dictionary = Dictionary.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise DictionaryError(f"{path}: {error}") from error
    for name, table in dictionary.tables.items():
        unknown = [column for column in (*table.columns, *table.grain) if column not in dictionary.columns]
        if unknown:
            raise DictionaryError(f"{path}: {name} lists {unknown}; define them once under `columns:`")
        if table.audiences and not name.startswith("views."):
            raise DictionaryError(f"{path}: {name} has audiences, but only schema views is published")
        for audience, hidden in table.hidden.items():
            if wrong := [column for column in hidden if column not in table.columns or column in table.grain]:
                raise DictionaryError(
                    f"{path}: {name} hides {wrong} from {audience}; these are no columns, or its grain"
                )
            if audience not in table.audiences:
                raise DictionaryError(f"{path}: {name} hides columns from {audience}, which does not get the table")
    return dictionary


def problems(con: duckdb.DuckDBPyConnection, *schemas: str) -> list[str]:
    """How the tables of the given schemas differ from the dictionary: what is not listed, missing or of another type.

    ``raw`` is the sources' own and declared by the feeds; ``staging.<feed>`` is held against the common record.
    Our bookkeeping columns (``_…``) are left out.
    """
    dictionary = load()
    rows = con.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and not internal and column_name not like '\\_%' escape '\\' "
        "order by schema_name, table_name, column_index"
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for schema, table, column, dtype in rows:
        if schema in schemas and schema != "raw":
            found.setdefault(f"{schema}.{table}", {})[column] = dtype
    return [problem for name, columns in found.items() for problem in _differences(dictionary, name, columns)]


def check(con: duckdb.DuckDBPyConnection, *schemas: str) -> None:
    """Hold the tables of the given schemas against the dictionary.

    Raises:
        DictionaryError: a table or column is not listed, is missing, or has another type.
    """
    if found := problems(con, *schemas):
        raise DictionaryError("\n".join([f"{PATH.name} and the tables differ:", *found]))


def comments(table: Table, notice: str) -> tuple[str, dict[str, str]]:
    """The comment of a table and of each of its columns; the notice, if any, leads the table's."""
    columns = load().columns
    lead = f"{notice}. " if notice else ""
    grain = ", ".join(table.grain)
    return (
        f"{lead}{table.meaning} One row per {grain}.",
        {name: _described(columns[name]) for name in table.columns},
    )


def markdown(audience: str, tables: Mapping[str, Table], title: str, notice: str) -> str:
    """The readable dictionary of one audience."""
    columns = load().columns
    lines = [f"# {title}: tables for `{audience}`", ""]
    lines += [f"**{notice}**", ""] if notice else []
    lines += [
        "Instants (`_at`, `target_start`, `target_end`, `data_as_of`) are UTC; local dates end in `_date`.",
        "Geometry is WKB, EPSG:4326, longitude first.",
        "",
    ]
    for name, table in sorted(tables.items()):
        lines += [
            f"## {name}",
            "",
            table.meaning,
            "",
            f"One row per {', '.join(f'`{part}`' for part in table.grain)}.",
            "",
        ]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{column}` | {columns[column].type} | {columns[column].unit or ''} | {columns[column].meaning} |"
            for column in table.columns
        ]
        lines.append("")
    return "\n".join(lines)


def datapackage(audience: str, tables: Mapping[str, Table], release: Mapping[str, str]) -> dict[str, Any]:
    """The Frictionless description of one audience's Parquet files."""
    columns = load().columns
    return {
        "name": f"bongsu-{release['profile']}-{audience}",
        "title": f"{release['title']}: {audience}",
        "description": " ".join(part for part in (release["notice"], release["attribution"]) if part),
        "version": release["release_id"],
        "resources": [
            {
                "name": name,
                "path": f"parquet/{name}.parquet",
                "format": "parquet",
                "description": comments(table, release["notice"])[0],
                "schema": {
                    "primaryKey": list(table.grain),
                    "fields": [
                        {
                            "name": column,
                            "type": _FRICTIONLESS[columns[column].type],
                            "description": columns[column].meaning,
                            **({"unit": unit} if (unit := columns[column].unit) else {}),
                        }
                        for column in table.columns
                    ],
                },
            }
            for name, table in sorted(tables.items())
        ],
    }


def quoted(name: str) -> str:
    """A name of a table or column as SQL reads it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _described(column: Column) -> str:
    return f"{column.meaning} Unit: {column.unit}." if column.unit else column.meaning


def _listed_as(dictionary: Dictionary, name: str) -> Table | None:
    schema, _, table = name.partition(".")
    if name not in dictionary.tables and schema == "staging":
        what = table.rpartition("_")[2]
        name = f"staging.{what}" if f"staging.{what}" in dictionary.tables else "staging.incidents"
    return dictionary.tables.get(name)


def _differences(dictionary: Dictionary, name: str, columns: Mapping[str, str]) -> list[str]:
    listed = _listed_as(dictionary, name)
    if listed is None:
        return [f"- {name} is not listed: add it under `tables:` with meaning, grain and columns {list(columns)}"]
    return [
        *_unlisted(dictionary, name, [column for column in columns if column not in listed.columns]),
        *(
            f"- {name} lacks the column {column!r}: make it, or take it from the table's `columns:`"
            for column in listed.columns
            if column not in columns
        ),
        *(
            f"- {name}.{column} is {columns[column]}, but the dictionary says "
            f"{dictionary.columns[column].type}: cast it"
            for column in listed.columns
            if column in columns and columns[column] != dictionary.columns[column].type
        ),
    ]


def _unlisted(dictionary: Dictionary, name: str, extra: Sequence[str]) -> list[str]:
    return [
        f"- {name}.{column} is not listed: add {column!r} to the table's `columns:`"
        + ("" if column in dictionary.columns else " and define it (type, unit, meaning) under the file's `columns:`")
        for column in extra
    ]
