"""The manifest: what a release holds, so that anybody can check that it is whole and the same.

Per table rows and logical hash (independent of row order and of the clock), per file SHA-256 and size, ``as_of``, code
version and the state of every feed. It holds no data, so it lies beside the audiences' folders.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import orjson

from pipelines import warehouse
from pipelines.quality import EXPECTATIONS
from pipelines.release.dictionary import quoted

FILE = "manifest.json"


@cache
def code_version() -> str:
    """Bongsu's version and a hash of its code, SQL and rules: other code may say other things of the same data."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for root, pattern in ((package, "**/*"), (warehouse.SQL, "**/*"), (EXPECTATIONS, "**/*.json")):
        for path in sorted(root.glob(pattern)):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{version('bongsu')}+{digest.hexdigest()[:12]}"


def tables_of(path: Path) -> dict[str, dict[str, Any]]:
    """Rows and logical hash of every table of a released DuckDB file: reads every value of it."""
    with duckdb.connect(path, read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        names = [name for (name,) in con.execute("select table_name from duckdb_tables() order by all").fetchall()]
        return {name: _measured(con, name) for name in names}


def tables_of_parquet(folder: Path) -> dict[str, dict[str, Any]]:
    """The same of a folder of Parquet files."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        paths = sorted(folder.glob("*.parquet"))
        for path in paths:
            con.read_parquet(str(path)).create_view(path.stem)
        return {path.stem: _measured(con, path.stem) for path in paths}


def files_of(root: Path) -> dict[str, dict[str, Any]]:
    """SHA-256 and size of every file below a release, but its manifest."""
    return {
        str(path.relative_to(root)): {"sha256": sha256(path), "bytes": path.stat().st_size}
        for path in files(root)
        if path != root / FILE
    }


def files(root: Path) -> Iterator[Path]:
    """Every file below a folder, in order."""
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def sha256(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(root: Path, content: dict[str, Any]) -> None:
    """Write the manifest of a release."""
    (root / FILE).write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def read(root: Path) -> dict[str, Any]:
    """Read the manifest of a release."""
    content: dict[str, Any] = orjson.loads((root / FILE).read_bytes())
    return content


def feed_states(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """How fresh each feed is, for the manifest."""
    frame = con.execute(
        "select feed, agency, data_as_of::varchar as data_as_of, is_stale, stale_reason from views.feed_status "
        "order by feed"
    ).pl()
    states: list[dict[str, Any]] = frame.to_dicts()
    return states


def content_hash(parts: Sequence[object]) -> str:
    """One hash of everything that a release is made from."""
    return hashlib.sha256(orjson.dumps(list(parts), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _measured(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    rows = con.execute(f"select count(*) from main.{quoted(name)}").fetchall()[0][0]
    return {"rows": rows, "logical_hash": warehouse.logical_hash(con, "main", name)}
