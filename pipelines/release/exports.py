"""The files of one audience: a DuckDB file, Parquet per table, GeoParquet and GeoJSON where there is geometry.

All are made from the selections of ``audiences``; the DuckDB file first, everything else from that file, so nothing
can reach an audience that is not in its own tables. Files are checkpointed and leave no WAL: DuckDB silently replays
a stale one in older formats.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from pipelines.release import dictionary, formats
from pipelines.release.audiences import Published
from pipelines.schema.dictionary import Table, literal, load, quoted
from pipelines.store import warehouse

CREW_LISTS = ("patrol_areas",)
"""Tables that are handed to crews: also as CSV and GeoPackage."""
GEOJSON_MAX_ROWS = 10_000
"""GeoJSON is text and slow to open; larger layers come as GeoParquet only."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a release says of itself, in every file."""

    release_id: str
    profile: str
    title: str
    as_of: datetime
    time_zone: str
    notice: str
    attribution: str
    code_version: str


def write_database(
    con: duckdb.DuckDBPyConnection, path: Path, published: Sequence[Published], release: Release
) -> None:
    """Write one audience's DuckDB file, with a comment on every table and column.

    Schema ``previous`` shows what was renamed since the previous version under its old name, so that queries of
    readers go on for one version.
    """
    tables = {entry.name: entry.table for entry in published}
    con.execute(f"attach {literal(path)} as released (storage_version {literal(warehouse.STORAGE_VERSION)})")
    try:
        with warehouse.transaction(con):
            for entry in published:
                con.execute(f"create table released.main.{quoted(entry.name)} as {entry.select}")
            for name, frame in _described(tables, release).items():
                con.register("_frame", frame.to_arrow())
                con.execute(f"create table released.main.{name} as select * from _frame")
                con.unregister("_frame")
            for name, table in {**tables, **_own_tables()}.items():
                _comment(con, "table", f"main.{quoted(name)}", *dictionary.comments(table, release.notice))
            for name, table in tables.items():
                if table.renamed or table.formerly:
                    _show_as_before(con, name, table, release.notice)
        con.execute("checkpoint released")
    finally:
        con.execute("detach released")


def _show_as_before(con: duckdb.DuckDBPyConnection, name: str, table: Table, notice: str) -> None:
    """Create the view of a released table under the names of the previous version."""
    old_names = {column: table.renamed.get(column, column) for column in table.columns}
    columns = ", ".join(f"{quoted(column)} as {quoted(old)}" for column, old in old_names.items())
    view = f"previous.{quoted(table.formerly or name)}"
    con.execute("create schema if not exists released.previous")
    con.execute(f"create view released.{view} as select {columns} from main.{quoted(name)}")
    meaning, meanings = dictionary.comments(table, notice)
    _comment(con, "view", view, meaning, {old_names[column]: text for column, text in meanings.items()})


def write_parquet(path: Path, folder: Path, release: Release) -> None:
    """Write every table of a released DuckDB file as ``<folder>/<table>.parquet``."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = f"{{notice: {literal(release.notice)}, release_id: {literal(release.release_id)}}}"
    with duckdb.connect(path, read_only=True) as con:
        for (name,) in con.execute("select table_name from duckdb_tables() order by all").fetchall():
            target = literal(folder / f"{name}.parquet")
            con.execute(
                f"copy (from main.{quoted(name)}) to {target} (format parquet, compression zstd, kv_metadata {notes})"
            )


def write_geo(path: Path, folder: Path, published: Sequence[Published], release: Release) -> None:
    """Write the tables with geometry as GeoParquet, smaller ones as GeoJSON too, in EPSG:4326.

    A simulated layer says so in its file's name, which is what a GIS shows as the name of the layer.
    """
    spatial = [entry.name for entry in published if "geometry" in entry.table.columns]
    if not spatial:
        return
    import geopandas
    import shapely

    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(path, read_only=True) as con:
        for name in spatial:
            rows = con.execute(f"from main.{quoted(name)}").pl()
            outlines = shapely.from_wkb(rows["geometry"].to_list())
            layer = geopandas.GeoDataFrame(rows.drop("geometry").to_pandas(), geometry=outlines, crs="EPSG:4326")
            stem = f"{name}_SIMULATED" if release.notice else name
            layer.to_parquet(folder / f"{stem}.parquet", index=False, compression="zstd")
            if len(layer) <= GEOJSON_MAX_ROWS:
                title = f"{name} {release.notice}".strip()
                with warnings.catch_warnings():
                    # GDAL remarks that GeoJSON has no time zones of its own; instants are written as UTC.
                    warnings.simplefilter("ignore", UserWarning)
                    layer.to_file(folder / f"{stem}.geojson", driver="GeoJSON", layer=title, COORDINATE_PRECISION="6")


def write_crew_lists(path: Path, folder: Path, published: Sequence[Published], release: Release) -> None:
    """Write the lists for crews as CSV that Excel reads, and as GeoPackage for a GIS or a telephone, in EPSG:4326.

    Simulated lists say so in the file's name and in every row, because rows are copied and passed on.
    """
    names = [entry.name for entry in published if entry.name in CREW_LISTS]
    if not names:
        return
    import geopandas
    import pyogrio
    import shapely

    folder.mkdir(parents=True, exist_ok=True)
    # GDAL writes the time of writing into the file, so that two releases of one content would differ.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{release.as_of:%Y-%m-%dT%H:%M:%S.000Z}"})
    with duckdb.connect(path, read_only=True) as con:
        for name in names:
            rows = con.execute(f"from main.{quoted(name)}").pl()
            table = rows.drop("geometry").with_columns(pl.lit(release.notice).alias("notice"))
            layer = geopandas.GeoDataFrame(
                table.to_pandas(), geometry=shapely.from_wkb(rows["geometry"].to_list()), crs="EPSG:4326"
            )
            stem = f"{name}_SIMULATED" if release.notice else name
            (folder / f"{stem}.csv").write_bytes(formats.csv_for_excel(table))
            layer.to_file(folder / f"{stem}.gpkg", driver="GPKG", layer=stem, promote_to_multi=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _described(tables: Mapping[str, Table], release: Release) -> dict[str, pl.DataFrame]:
    columns = load().columns
    listed = [
        (
            name,
            column,
            columns[column].type,
            columns[column].unit,
            ", ".join(columns[column].values) or None,
            columns[column].meaning,
        )
        for name, table in sorted({**tables, **_own_tables()}.items())
        for column in table.columns
    ]
    schema = dict.fromkeys(_own_tables()["dictionary"].columns, pl.String)
    described = pl.DataFrame([asdict(release)], schema_overrides={"as_of": pl.Datetime("us", "UTC")})
    return {
        "release": described.select(_own_tables()["release"].columns),
        "dictionary": pl.DataFrame(listed, schema=schema, orient="row"),
    }


def _own_tables() -> dict[str, Table]:
    tables = load().tables
    return {name: tables[f"release.{name}"] for name in ("release", "dictionary")}


def _comment(con: duckdb.DuckDBPyConnection, shape: str, name: str, meaning: str, columns: Mapping[str, str]) -> None:
    """Comment a table or view, named as SQL reads it, and its columns."""
    con.execute(f"comment on {shape} released.{name} is {literal(meaning)}")
    for column, text in columns.items():
        con.execute(f"comment on column released.{name}.{quoted(column)} is {literal(text)}")
