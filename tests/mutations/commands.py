"""Mutated files through `bongsu predict`, a process each."""

import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from tests.mutations.breaking import BREAKING
from tests.mutations.keeping import KEEPING
from tests.mutations.outcomes import NAMED, REFUSED, REPORTED, SAME, TRACEBACK, VAGUE, Outcome, boundary
from tests.mutations.tables import Table

LEFT_OUT: Final = 3
"""Exit code where some series were left out."""


def outcomes(tables: Sequence[Table], count: int, seed: int, folder: Path) -> Iterator[Outcome]:
    """Mutate random samples and forecast a short horizon with each."""
    mutations = [*KEEPING.items(), *BREAKING.items()]
    for number in range(count):
        rng = random.Random(f"command/{seed}/{number}")
        name, change = rng.choice(mutations)
        table = rng.choice(tables).sample(rng)
        path = folder / "command.csv"
        path.write_bytes(change(table, rng))
        yield Outcome(table.name, f"command {name}", *_result(table, path, folder))


def _result(table: Table, path: Path, folder: Path) -> tuple[str, str]:
    arguments = _demand(table) if table.is_series else _risk(table, folder)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.cli.main",
            "predict",
            *arguments,
            "--input",
            path,
            "--out",
            folder / "out.parquet",
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    message = " ".join(done.stderr.split())
    if done.returncode not in (0, 1, LEFT_OUT) or "Traceback" in done.stderr:
        return TRACEBACK, f"exit code {done.returncode}: {message[-400:]}"
    if done.returncode == 0:
        return SAME, message
    if done.returncode == LEFT_OUT:
        return REPORTED, message
    return (REFUSED if NAMED.search(message) else VAGUE), message


def _demand(table: Table) -> list[str]:
    return ["demand", "--freq", table.freq, "--horizon", "3"]


def _risk(table: Table, folder: Path) -> list[str | Path]:
    place = table.header.index(table.time)
    start = date.fromisoformat(max(row[place] for row in table.rows)[:10]) + timedelta(days=1)
    sides = ["--cell", "2000", "--area-km2", "8", "--start", start.isoformat(), "--days", "7"]
    return ["risk", "--crs", table.crs, "--boundary", boundary(table, folder), *sides]
