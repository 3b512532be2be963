"""The manifest: the content of a release, so that anyone can check that it is complete and unchanged.

Per table row count and logical hash (independent of row order and of the clock), per file SHA-256 and size, ``as_of``,
code version, the state of every feed, and the manifest's own SHA-256. It contains no data, so it is stored outside the
folders of the audiences.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import orjson

from pipelines.config import paths
from pipelines.config.errors import BongsuError
from pipelines.schema.dictionary import quoted
from pipelines.store import warehouse

FILE = "manifest.json"
OWN = "sha256"


class ManifestError(BongsuError):
    """Report that a release differs from its manifest, or has none: what, and what to do."""


@cache
def code_version() -> str:
    """Return Bongsu's version and a hash of its code, SQL and rules: other code may give other results."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for root, pattern in ((package, "**/*"), (paths.SQL, "**/*"), (paths.EXPECTATIONS, "**/*.json")):
        for path in sorted(root.glob(pattern)):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{version('bongsu')}+{digest.hexdigest()[:12]}"


def tables_of(path: Path) -> dict[str, dict[str, Any]]:
    """Return row count and logical hash of every table of a released DuckDB file, reading every value."""
    with duckdb.connect(path, read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        names = [name for (name,) in con.execute("select table_name from duckdb_tables() order by all").fetchall()]
        return {name: _measured(con, name) for name in names}


def tables_of_parquet(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the same for a folder of Parquet files."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        paths = sorted(folder.glob("*.parquet"))
        for path in paths:
            con.read_parquet(str(path)).create_view(path.stem)
        return {path.stem: _measured(con, path.stem) for path in paths}


def files_of(root: Path) -> dict[str, dict[str, Any]]:
    """Return SHA-256 and size of every file below a release, except its manifest."""
    return {name: _described(root / name) for name in names(root)}


def damages(root: Path, only: Iterable[str] = ()) -> list[str]:
    """Return how the files of a release, or some of them, differ from its manifest: one line each, none if intact."""
    try:
        written = read(root)["files"]
    except ManifestError as error:
        return [str(error)]
    checked = only or {*written, *names(root)}
    return [line for name in sorted(checked) if (line := _damage(root, name, written.get(name)))]


def names(root: Path) -> list[str]:
    """Return the names below a release of all its files except the manifest, in order."""
    return [str(path.relative_to(root)) for path in files(root) if path != root / FILE]


def files(root: Path) -> Iterator[Path]:
    """Yield every file below a folder, in order."""
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(root: Path, content: dict[str, Any]) -> None:
    """Write the manifest of a release, with its own SHA-256."""
    (root / FILE).write_bytes(_dumped({**content, OWN: _own_hash(content)}))


def read(root: Path) -> dict[str, Any]:
    """Read the manifest of a release.

    Raises:
        ManifestError: It is missing, or was altered.
    """
    try:
        content = orjson.loads((root / FILE).read_bytes())
    except FileNotFoundError as error:
        raise ManifestError(f"{FILE} is missing") from error
    except OSError as error:
        raise ManifestError(f"{FILE} cannot be read ({error.strerror})") from error
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict) or not _is_own(content):
        raise ManifestError(f"{FILE} is not what was written")
    return content


def feed_states(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return how fresh each feed is, for the manifest."""
    frame = con.execute(
        "select feed, agency, newest_known_at::varchar as data_as_of, is_stale, stale_reason from views.feed_status "
        "order by feed"
    ).pl()
    states: list[dict[str, Any]] = frame.to_dicts()
    return states


def content_hash(parts: Sequence[object]) -> str:
    """Return one hash of everything from which a release is built."""
    return hashlib.sha256(orjson.dumps(list(parts), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _damage(root: Path, name: str, written: dict[str, Any] | None) -> str | None:
    path = root / name
    if written is None:
        return f"{name} is not in the manifest" if path.exists() else None
    if not path.is_file():
        return f"{name} is missing"
    try:
        return None if _described(path) == written else f"{name} is not what was written"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"


def _described(path: Path) -> dict[str, Any]:
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def _is_own(content: dict[str, Any]) -> bool:
    """Return whether a manifest has its own hash; those of earlier versions have none."""
    return content.get(OWN) in (None, _own_hash(content))


def _own_hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(_dumped({name: value for name, value in content.items() if name != OWN})).hexdigest()


def _dumped(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def _measured(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    rows = con.execute(f"select count(*) from main.{quoted(name)}").fetchall()[0][0]
    return {"rows": rows, "logical_hash": warehouse.logical_hash(con, "main", name)}
