"""Read a finished release back, in a separate process: ``python -m pipelines.release.readback DIR``.

Every file is compared with its SHA-256, every table of every DuckDB and Parquet file is read completely and compared
with its row count and logical hash, and files missing from the manifest are reported. A new process sees what a reader
will see, not what the writer still has in memory.
"""

import sys
from pathlib import Path

from pipelines.release import manifest


def problems(root: Path) -> list[str]:
    """Return what is wrong with a release; empty if it is intact."""
    names = manifest.names(root)
    result = [
        *manifest.damages(root),
        *(f"{name} is outside the audiences' folders" for name in names if not name.startswith("audiences/")),
        *(f"{name}: the file was not checkpointed" for name in names if name.endswith(".wal")),
    ]
    if result:
        return result
    for audience, described in manifest.read(root)["audiences"].items():
        folder = root / "audiences" / audience
        read = {
            f"{audience}.duckdb": manifest.tables_of(folder / f"{audience}.duckdb"),
            "parquet": manifest.tables_of_parquet(folder / "parquet"),
        }
        result += [
            f"audiences/{audience}/{where}: table {name} reads back as {tables.get(name)}, written was {table}"
            for where, tables in read.items()
            for name, table in described["tables"].items()
            if tables.get(name) != table
        ]
    return result


def main() -> int:
    """Print what is wrong; exit with 1 if anything is."""
    result = problems(Path(sys.argv[1]))
    print("\n".join(result), file=sys.stderr)
    return 1 if result else 0


if __name__ == "__main__":
    raise SystemExit(main())
