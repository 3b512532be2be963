"""The dictionary: what every table and column is, loaded from ``sql/dictionary/<schema>.yml``.

It is the one source of frame schemas, pass-through views, lineage of what Python writes, comments, the readable
dictionary and ``datapackage.json``, and the allow-list of releases: what it does not list cannot be published. A column
is defined where it first appears and means the same wherever it is listed again.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.config import paths
from pipelines.config.errors import BongsuError

FOLDER: Final = paths.SQL / "dictionary"
SCHEMAS: Final = (
    "reference",
    "staging",
    "core",
    "marts",
    "patterns",
    "forecast",
    "dispatch",
    "ops",
    "release",
    "views",
)
"""Schemas in the order in which columns are defined."""
ALL_COLUMNS_OF: Final = "*"
"""In place of a column: all columns of the table named as its definition."""

POLARS: Final[Mapping[str, pl.DataType | type[pl.DataType]]] = {
    "VARCHAR": pl.String,
    "INTEGER": pl.Int32,
    "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64,
    "DOUBLE[]": pl.List(pl.Float64),
    "VARCHAR[]": pl.List(pl.String),
    "DECIMAL(18,6)": pl.Decimal(18, 6),
    "BOOLEAN": pl.Boolean,
    "DATE": pl.Date,
    "TIMESTAMP WITH TIME ZONE": pl.Datetime("us", "UTC"),
    "BLOB": pl.Binary,
}
"""Types of columns, and what they are in a frame."""


class DictionaryError(BongsuError):
    """A table or column is not listed as it is: which, and what to add where."""


class Column(BaseModel):
    """One column, the same wherever it appears.

    ``values`` lists what it may contain, ``since`` is the version that introduced it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    meaning: str
    unit: str | None = None
    values: tuple[str, ...] = ()
    example: str | None = None
    since: str | None = None


class Table(BaseModel):
    """One table: meaning, grain, columns in order; of a view also who gets which rows, and not which columns.

    ``inputs`` are what Python makes it from; the inputs of SQL are read from the SQL. ``copies`` is the table of which
    a view has all columns. ``formerly`` is the table's name in the previous version and ``renamed`` that of columns, by
    today's name: releases show both for one version more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: str
    grain: tuple[str, ...]
    columns: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    copies: str | None = None
    audiences: Mapping[str, str | None] = {}
    hidden: Mapping[str, tuple[str, ...]] = {}
    is_bookkeeping: bool = False
    formerly: str | None = None
    renamed: Mapping[str, str] = {}

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


def frame_schema(table: str) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Columns and types of the frame that fills a table, by its ``schema.table``."""
    return {name: POLARS[dtype] for name, dtype in sql_types(table).items()}


def sql_types(table: str) -> dict[str, str]:
    """Columns and SQL types of a table, by its ``schema.table``."""
    dictionary = load()
    return {name: dictionary.columns[name].type for name in dictionary.tables[table].columns}


def empty(table: str) -> pl.DataFrame:
    """A frame without rows that fits a table."""
    return pl.DataFrame(schema=frame_schema(table))


def pass_through_views() -> dict[str, str]:
    """The SELECT of every view that shows a table as it is, by name; all others have a file in ``sql/views``."""
    tables = load().tables
    return {
        name.removeprefix("views."): f"select {', '.join(map(quoted, table.columns))} from {table.copies}"
        for name, table in tables.items()
        if table.copies is not None and table.columns == tables[table.copies].columns
    }


@cache
def load(folder: Path = FOLDER) -> Dictionary:
    """Read and check the dictionary.

    Raises:
        DictionaryError: a column is not defined, or defined twice; a table outside ``views`` has an audience.
    """
    columns: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for schema, name, table in _entries(folder):
        where = f"{folder / schema}.yml: {name}"
        listed: dict[str, Any] = {}
        for column, definition in (table.get("columns") or {}).items():
            if column == ALL_COLUMNS_OF:
                if definition not in tables:
                    raise DictionaryError(f"{where} shows all columns of {definition}, which no table before it is")
                table["copies"] = definition
                listed |= dict.fromkeys(tables[definition]["columns"])
                continue
            listed[column] = None
            if definition is None:
                continue
            if column in columns:
                raise DictionaryError(f"{where} defines {column!r} again: leave it empty, or give it another name")
            columns[column] = definition
        if unknown := [column for column in (*listed, *table.get("grain", ())) if column not in columns]:
            raise DictionaryError(f"{where} lists {unknown}; define them there: type, unit, meaning")
        tables[f"{schema}.{name}"] = {**table, "columns": tuple(listed)}
    try:
        dictionary = Dictionary.model_validate({"columns": columns, "tables": tables})
    except ValidationError as error:
        raise DictionaryError(f"{folder}: {error}") from error
    for name, checked in dictionary.tables.items():
        _check_audiences(folder, name, checked)
    return dictionary


def quoted(name: str) -> str:
    """A name of a table or column as SQL reads it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A text as SQL reads it, whatever is in it."""
    return "'" + str(value).replace("'", "''") + "'"


def _entries(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Schema, name and entry of every table, in the order of definition."""
    for schema in SCHEMAS:
        path = folder / f"{schema}.yml"
        if path.is_file():
            try:
                content = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
            except yaml.YAMLError as error:
                raise DictionaryError(f"{path}: {error}") from error
            yield from ((schema, name, table) for name, table in content.items())


def _check_audiences(folder: Path, name: str, table: Table) -> None:
    if table.audiences and not name.startswith("views."):
        raise DictionaryError(f"{folder}: {name} has audiences, but only schema views is published")
    if unknown := table.renamed.keys() - set(table.columns):
        raise DictionaryError(f"{folder}: {name} renames {sorted(unknown)}, which are not its columns")
    for audience, hidden in table.hidden.items():
        if wrong := [column for column in hidden if column not in table.columns or column in table.grain]:
            raise DictionaryError(f"{folder}: {name} hides {wrong} from {audience}: not its columns, or in its grain")
        if audience not in table.audiences:
            raise DictionaryError(f"{folder}: {name} hides columns from {audience}, which does not get the table")
