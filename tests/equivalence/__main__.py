"""Build the same landing with the base commit and with the working tree, and compare every table: `make equivalence`.

    python -m tests.equivalence [small|seoul|toronto] [--base COMMIT] [--keep DIR]

The base commit is a worktree of this repository; `renames.yml` names it by its subject. It fetches once. Each side then
loads that landing and runs two days: the second scores the forecasts of the first. `small` is a city of five districts
and takes minutes, `seoul` and `toronto` are the profiles. Exit code 1 if a difference is not listed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import yaml

from tests import replay
from tests.equivalence.compare import Renames, differences
from tests.places import small_city

ROOT: Final = Path(__file__).parents[2]
STEPS: Final = ("load", "build", "score", "patterns", "forecast", "dispatch", "publish")
MIDNIGHT: Final = datetime(2026, 3, 2, tzinfo=timezone(timedelta(hours=9)))
LAST: Final[Mapping[str, date | datetime]] = {"small": MIDNIGHT, "seoul": MIDNIGHT, "toronto": date(2020, 12, 1)}
"""The ``as_of`` of the second day. Simulated records begin so many days before: at the run time the first hour and the
first day would be partly unknown, which the base commit did not know, and which moves every forecast a little.
"""


def main() -> None:
    """Build both sides and print what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("place", nargs="?", choices=tuple(LAST), default="small")
    parser.add_argument("--base", help="another base commit than that of renames.yml")
    parser.add_argument("--keep", type=Path, help="keep both homes in this folder")
    options = parser.parse_args()
    renames = Renames.read(Path(__file__).with_name("renames.yml"))
    with tempfile.TemporaryDirectory() as scratch, worktree(options.base or commit(renames.base)) as base:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        homes = built(base, options.place, folder)
        lines = list(compared(base, *homes, renames))
    print("\n".join(lines) or f"{options.place}: every table is equal")
    sys.exit(bool(lines))


def commit(subject: str) -> str:
    """The newest commit with a subject."""
    log = subprocess.run(
        ["git", "log", "--format=%H %s"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    matches = [line.partition(" ")[0] for line in log if line.partition(" ")[2] == subject]
    if not matches:
        sys.exit(f"no commit has the subject {subject!r}: fetch the whole history, or give --base")
    return matches[0]


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A worktree of a commit, removed at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "base"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, revision], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def built(base: Path, place: str, folder: Path) -> tuple[Path, Path]:
    """The homes of both sides, from one landing that the base commit fetched."""
    # Profiles of the base commit have the old names of keys, which both sides read.
    shipped = next(base.rglob("korea.toml")).parent
    profile = str(small_city(folder, shipped)) if place == "small" else {"seoul": "korea"}.get(place, place)
    before, after = folder / "before", folder / "after"
    with addresses(place) as environment:
        bongsu(base, before, "fetch", LAST[place], environment, ("--profile", profile))
    shutil.copytree(before, after, symlinks=True)
    for tree, home in ((base, before), (ROOT, after)):
        for day in (LAST[place] - timedelta(days=1), LAST[place]):
            for step in STEPS:
                bongsu(tree, home, step, day)
    return before, after


@contextmanager
def addresses(place: str) -> Iterator[Mapping[str, str]]:
    """Environment variables that point feeds to the shared files; simulated agencies need none."""
    if place != "toronto":
        yield {}
        return
    with replay.serve() as url:
        yield replay.urls(url)


def bongsu(
    tree: Path,
    home: Path,
    step: str,
    as_of: date,
    environment: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
) -> None:
    """Run one command of a tree's own code on a home."""
    print(f"{home.name}: {step} {as_of}", file=sys.stderr, flush=True)
    module = "pipelines.cli.main" if (tree / "pipelines" / "cli").is_dir() else "pipelines.cli"
    command = [sys.executable, "-c", f"from {module} import main; main()", step]
    subprocess.run(
        [*command, "--home", str(home), "--as-of", as_of.isoformat(), *more],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)} | dict(environment or {}),
        check=True,
    )


def compared(base: Path, before: Path, after: Path, renames: Renames) -> Iterator[str]:
    """Every difference between two homes: of the warehouses, and of each audience's released file."""
    tables = yaml.safe_load((base / "sql" / "dictionary.yml").read_text("utf-8"))["tables"]
    grains = {name: table["grain"] for name, table in tables.items()}
    warehouse = Path("work") / "warehouse.duckdb"
    yield from differences(before / warehouse, after / warehouse, renames, grains)
    released = Path("published") / "current" / "audiences"
    for folder in sorted((before / released).iterdir()):
        file = f"{folder.name}.duckdb"
        own_grains = {f"{folder.name}.{name.removeprefix('views.')}": grain for name, grain in grains.items()}
        if not (after / released / folder.name / file).is_file():
            yield f"{folder.name}: this audience has no file"
        else:
            yield from differences(
                folder / file, after / released / folder.name / file, renames, own_grains, folder.name
            )


if __name__ == "__main__":
    main()
