"""The dictionary of a release: comments, a readable page and ``datapackage.json`` of each audience."""

from collections.abc import Mapping
from typing import Any

from pipelines.schema.dictionary import Column, Table, load

_FRICTIONLESS = {
    "VARCHAR": "string",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "DOUBLE[]": "array",
    "DECIMAL(18,6)": "number",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "BLOB": "any",
}


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
    lines = [f"# {title}: tables for `{audience}`", ""]
    lines += [f"**{notice}**", ""] if notice else []
    lines += [
        "Instants (`_at`, `target_start`, `target_end`, `data_as_of`) are UTC; local dates end in `_date`.",
        "Geometry is WKB, EPSG:4326, longitude first.",
        "",
    ]
    for name, table in sorted(tables.items()):
        lines += section(name, table)
    return "\n".join(lines)


def section(name: str, table: Table, level: int = 2) -> list[str]:
    """The lines that describe one table: meaning, grain and columns under a heading of a level."""
    columns = load().columns
    grain = ", ".join(f"`{part}`" for part in table.grain)
    return [
        *(f"{'#' * level} {name}", "", table.meaning, "", f"One row per {grain}.", ""),
        *("| column | type | unit | meaning | values |", "|---|---|---|---|---|"),
        *(
            f"| `{name}` | {column.type} | {column.unit or ''} | {column.meaning} | {', '.join(column.values)} |"
            for name, column in ((name, columns[name]) for name in table.columns)
        ),
        "",
    ]


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
                            **({"constraints": {"enum": list(values)}} if (values := columns[column].values) else {}),
                        }
                        for column in table.columns
                    ],
                },
            }
            for name, table in sorted(tables.items())
        ],
    }


def _described(column: Column) -> str:
    return f"{column.meaning} Unit: {column.unit}." if column.unit else column.meaning
