"""Travel between zones in minutes, as users have it: a square matrix, or one row per pair.

Straight-line distance is never put in its place: a pair without minutes cannot be travelled.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.dispatch.planning_rows import check_rows, faults_of_number, faults_of_zone, typed
from pipelines.dispatch.posts import PlanError
from pipelines.forecast.demand.series_checks import MISSING

PAIRS: Final = ("from", "to", "minutes")


@dataclass(frozen=True, slots=True)
class Travel:
    """``minutes``: from the zone of the row to that of the column, infinite where there is no way.

    ``is_matrix``: it was read from a matrix, which has all zones, and whose rows and columns a user may have swapped.
    """

    zones: tuple[str, ...]
    minutes: NDArray[np.float64]
    is_matrix: bool = True

    def index(self) -> dict[str, int]:
        """Return the position of every zone."""
        return {zone: place for place, zone in enumerate(self.zones)}

    def with_zones(self, more: Collection[str]) -> "Travel":
        """Return travel with more zones, to and from which there is no way."""
        grown = np.pad(self.minutes, (0, len(more)), constant_values=math.inf)
        return replace(self, zones=(*self.zones, *more), minutes=grown)


def of_pairs(rows: pl.DataFrame, name: str) -> Travel:
    """Return travel from rows of pairs.

    Args:
        rows: ``from, to, minutes``.
        name: Of the file, for messages.

    Raises:
        PlanError: A column is missing, or a row cannot be used; the message names it.
    """
    pairs = typed(rows, name, texts=("from", "to"), numbers=("minutes",))
    faults = [
        *faults_of_zone("from"),
        *faults_of_zone("to"),
        *faults_of_number("minutes", is_required=True),
        (pl.struct("from", "to").is_duplicated(), pl.format("the pair {} to {} occurs twice", "from", "to")),
    ]
    check_rows(pairs, faults, name)
    zones = pl.concat([pairs["from"].alias("zone"), pairs["to"].alias("zone")]).unique(maintain_order=True)
    places = pl.DataFrame({"zone": zones, "place": np.arange(len(zones))})
    minutes = np.full((len(zones), len(zones)), math.inf)
    start = pairs.join(places, left_on="from", right_on="zone", maintain_order="left")["place"].to_numpy()
    end = pairs.join(places, left_on="to", right_on="zone", maintain_order="left")["place"].to_numpy()
    minutes[start, end] = pairs["minutes"].to_numpy()
    return Travel(tuple(zones.to_list()), minutes, is_matrix=False)


def of_cells(cells: Sequence[Sequence[str]], name: str, first: int = 1) -> Travel:
    """Return travel from the cells of a square matrix.

    Zones are named in the first row, in the first column, or in both, which then may be in different orders. Without
    names the zone of row and column ``i`` is its number. An empty cell is a pair without a way.

    Args:
        cells: Text, all rows of one length.
        name: Of the file, for messages.
        first: Number of the first zone of a matrix without names.

    Raises:
        PlanError: It is not square, names do not agree, or a cell is not a time.
    """
    rows = [[cell.strip() for cell in row] for row in cells]
    height, width = len(rows), len(rows[0])
    side = [row[0] for row in rows]
    top = rows[0]
    # The corner of a matrix without names is a time, usually 0; that of one with names is text or empty.
    if height == width and not (top[0] and all(map(_is_time, top))):
        return _named(top[1:], side[1:], [row[1:] for row in rows[1:]], name)
    if height == width + 1:
        return _named(top, top, rows[1:], name)
    if width == height + 1 and all(map(_is_time, top[1:])):
        return _named(side, side, [row[1:] for row in rows], name, header=0)
    if height != width:
        raise PlanError(
            f"{name}: a matrix of minutes has a row and a column for every zone, but this has {height} rows and "
            f"{width} columns, names included; or give the columns from, to and minutes"
        )
    numbers = [str(number) for number in range(first, first + height)]
    return _named(numbers, numbers, rows, name, header=0)


def _named(top: list[str], side: list[str], rows: list[list[str]], name: str, header: int = 1) -> Travel:
    """Return the travel of cells whose columns and rows have names; ``header``: lines before the first row."""
    for names, what in ((top, "column"), (side, "row")):
        for place, zone in enumerate(names):
            if not zone:
                raise PlanError(f"{name}: {what} {place + 1} of the matrix has no zone; name it")
            if zone in names[:place]:
                raise PlanError(f"{name}: zone {zone} names two {what}s of the matrix; remove one of them")
    if extra := sorted(set(top) ^ set(side)):
        where = "column but no row" if extra[0] in top else "row but no column"
        raise PlanError(f"{name}: zone {extra[0]} has a {where}; a matrix has both for every zone")
    frame = pl.DataFrame(rows, [f"c{place}" for place in range(len(top))], orient="row")
    is_empty = pl.all().str.to_lowercase().is_in(MISSING)
    values = frame.select(pl.all().cast(pl.Float64, strict=False)).to_numpy()
    no_way = frame.select(is_empty).to_numpy()
    wrong = np.argwhere(~no_way & ~(np.isfinite(values) & (values >= 0)))
    if wrong.size:
        row, column = (int(number) for number in wrong[0])
        raise PlanError(
            f"{name}, row {row + 1 + header}: {rows[row][column]!r} minutes from zone {side[row]} to {top[column]} are "
            "not a number of 0 or more; correct it, or leave it empty where there is no way"
        )
    ordered = np.where(no_way, math.inf, values)[[side.index(zone) for zone in top]]
    return Travel(tuple(top), ordered)


def _is_time(cell: str) -> bool:
    try:
        return float(cell) >= 0
    except ValueError:
        return cell.lower() in MISSING
