"""Reads a finished release back, in a process of its own: ``python -m pipelines.release.readback DIR``.

Every file is held against its SHA-256, every table of every DuckDB and Parquet file is read whole and held against
rows and logical hash, and nothing may lie there that the manifest does not name. A new process sees what a reader will
see, not what the writer still has in memory.
"""

import sys
from pathlib import Path

from pipelines.release import manifest


def problems(root: Path) -> list[str]:
    """What is wrong with a release: nothing, when it is whole."""
    names = manifest.names(root)
    found = [
        *manifest.damages(root),
        *(f"{name} lies outside the audiences' folders" for name in names if not name.startswith("audiences/")),
        *(f"{name}: the file was not checkpointed" for name in names if name.endswith(".wal")),
    ]
    if found:
        return found
    for audience, described in manifest.read(root)["audiences"].items():
        folder = root / "audiences" / audience
        read = {
            f"{audience}.duckdb": manifest.tables_of(folder / f"{audience}.duckdb"),
            "parquet": manifest.tables_of_parquet(folder / "parquet"),
        }
        found += [
            f"audiences/{audience}/{where}: table {name} reads back as {tables.get(name)}, written was {table}"
            for where, tables in read.items()
            for name, table in described["tables"].items()
            if tables.get(name) != table
        ]
    return found


def main() -> int:
    """Print what is wrong; exit 1 if anything is."""
    found = problems(Path(sys.argv[1]))
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
