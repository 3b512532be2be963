"""What the readers of `predict` and `backtest` make of a file: same totals, rows reported, a refusal, or a fault."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import shapely

from pipelines.config.errors import BongsuError
from pipelines.forecast.demand import series_checks
from pipelines.forecast.risk import own_grid, point_columns
from pipelines.steps import own_files
from tests.mutations.breaking import BREAKING
from tests.mutations.keeping import KEEPING, unchanged
from tests.mutations.tables import Table

SAME, REPORTED, REFUSED, VAGUE, SILENT, TRACEBACK = "same", "reported", "refused", "vague", "silent", "traceback"
FAULTS: Final = (VAGUE, SILENT, TRACEBACK)
NAMED: Final = re.compile(r"row \d+|column|series|header|line \d+|lack|is empty|no rows?|points|ds ")
"""A refusal names where to look."""
_OUTSIDE: Final = re.compile(r"^(\d+) of \d+ points are outside")
_EMPTY: Final = re.compile(r"^rows with an empty y: (\d+)|is more than (1)000 times any other")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutated table."""

    table: str
    mutation: str
    result: str
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows as the models get them, and how many a message reports as left out, by name."""

    rows: Counter[Any]
    reported: int
    refused: frozenset[str]


def outcomes(tables: Sequence[Table], count: int, seed: int, folder: Path) -> Iterator[Outcome]:
    """Mutate random samples of the tables and read them; every mutation is used equally often."""
    boundaries = {table.name: boundary(table, folder) for table in tables if not table.is_series}
    mutations = {**KEEPING, **BREAKING}
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        name = list(mutations)[number % len(mutations)]
        table = rng.choice(tables).sample(rng)
        path = folder / rng.choice(("table.csv", "table.csv", "TABLE.CSV", "table.txt"))
        path.write_bytes(unchanged(table, rng))
        right = read(table, path, boundaries)
        path.write_bytes(mutations[name](table, rng))
        yield Outcome(table.name, name, *judged(table, path, boundaries, right))


def judged(table: Table, path: Path, boundaries: Mapping[str, Path], right: Reading) -> tuple[str, str]:
    """The result of reading a file, compared with the right reading of its table, and the message."""
    try:
        reading = read(table, path, boundaries)
    except BongsuError as error:
        return (REFUSED if NAMED.search(str(error)) else VAGUE), str(error)
    except Exception as error:
        return TRACEBACK, repr(error)
    before, after = _nameless(right.rows), _nameless(reading.rows)
    changed = max((before - after).total(), (after - before).total())
    if not changed:
        return SAME, ""
    lost = sum(number for (name, *_), number in right.rows.items() if str(name) in reading.refused)
    reported = reading.reported + lost + len(reading.refused)
    if changed <= reported - right.reported:
        return REPORTED, f"{changed} changed, {reported} reported"
    return SILENT, f"{changed} rows changed, {reported} reported"


def _nameless(rows: Counter[Any]) -> Counter[Any]:
    """Rows without the name of their series or category: a slip there makes another name, which no reader can see."""
    nameless: Counter[Any] = Counter()
    for (_, *values), number in rows.items():
        nameless[tuple(values)] += number
    return nameless


def read(table: Table, path: Path, boundaries: Mapping[str, Path]) -> Reading:
    """Read a file as `predict` and `backtest` do."""
    return _series(table, path) if table.is_series else _points(table, path, boundaries[table.name])


def _series(table: Table, path: Path) -> Reading:
    wanted = (*series_checks.COLUMNS, *series_checks.OPTIONAL)
    checked = series_checks.usable(own_files.read(path, wanted), table.freq)  # type: ignore[arg-type]
    rows = Counter(checked.series.select("unique_id", "ds", "y").iter_rows())
    return Reading(rows, _reported(_EMPTY, checked.notes), frozenset(checked.refused))


def _points(table: Table, path: Path, outline: Path) -> Reading:
    notes: list[str] = []
    task = own_grid.Task(table.crs, outline, 2000, 4)
    placed = own_grid.place(own_files.read(path, point_columns.COLUMNS), task, notes.append)
    rows = Counter(
        (category, int(cell), int(day))
        for category, events in placed.history.events.items()
        for cell, day in zip(events.cell, events.day, strict=True)
    )
    return Reading(rows, _reported(_OUTSIDE, notes), frozenset())


def _reported(pattern: re.Pattern[str], notes: Sequence[str]) -> int:
    return sum(int(match[match.lastindex or 1]) for note in notes if (match := pattern.search(note)))


def boundary(table: Table, folder: Path) -> Path:
    """A file with the box around a table's points."""
    path = folder / f"{table.name}.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.box(*table.bounds)], crs=table.crs).to_file(path)
    return path
