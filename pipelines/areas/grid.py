"""Square grid cells in a metric CRS: their codes, corners and parents, one at a time and in bulk. No dependencies.

Two styles of code name a cell by its lower-left corner:

* ``korea`` – the national grid of Korea in EPSG:5179 (국가지점번호, Road Name Address Act). Two letters name
  a 100 km square, easting first, counted 가, 나, 다 … from easting 700,000 m and northing 1,300,000 m; then
    the easting digits inside the square, then the northing digits: two and two for 1 km (``다사5347``), three
    and three for 100 m (``다사531472``), four and four for 10 m.
* ``inspire`` – the European style (INSPIRE D2.8.I.2): side, then northing and easting of the corner, each
  divided by the largest power of ten that divides the side. A side of 250 m drops one zero, so
  ``250mN483100E63025`` begins at northing 4,831,000 m and easting 630,250 m; a side of 1 km drops three:
  ``1kmN4831E630``.

Digits of a finer Korean code are *not* its parent's digits with more appended (northing digits follow easting digits),
so a parent is computed from the corner, never from a prefix.

A cell includes its lower and left edge but not its upper and right one. Coordinates are floored to whole metres before
dividing, so that a double just below an edge is not rounded across it by the division.
"""

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from pipelines.config.errors import BongsuError

Style = Literal["korea", "inspire"]

LETTERS: Final = "가나다라마바사아자차카타파하"
"""The 100 km squares of the Korean grid, in order, for easting and northing alike."""

_KOREA_EAST: Final = 700_000
_KOREA_NORTH: Final = 1_300_000
_SQUARE: Final = 100_000
_KOREA_DIGITS: Final = {100_000: 0, 10_000: 1, 1_000: 2, 100: 3, 10: 4, 1: 5}

_KOREA_CODE = re.compile(rf"([{LETTERS}])([{LETTERS}])((?:\d\d){{0,5}})")
_INSPIRE_CODE = re.compile(r"([1-9]\d*)(k?m)N(-?\d+)E(-?\d+)")


class GridError(BongsuError, ValueError):
    """Report a cell side that a style cannot name, a side that does not nest, or an invalid cell code."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A square: its side and lower-left corner, in metres of the grid's CRS."""

    style: Style
    cell_metres: int
    x_m: int
    y_m: int

    @property
    def code(self) -> str:
        """Return the cell's code."""
        code = cell_code(self.style, self.cell_metres, self.x_m, self.y_m)
        if code is None:
            raise GridError(f"the corner ({self.x_m}, {self.y_m}) is outside the {self.style} grid")
        return code

    def contains(self, x: float, y: float) -> bool:
        """Return whether the cell contains a point.

        The lower and left edges belong to the cell, the upper and right ones do not.
        """
        return self.x_m <= x < self.x_m + self.cell_metres and self.y_m <= y < self.y_m + self.cell_metres

    def parent(self, metres: int) -> "Cell":
        """Return the coarser cell that contains this one."""
        _check_nests(self.cell_metres, metres)
        _check_side(self.style, metres)
        return Cell(self.style, metres, self.x_m // metres * metres, self.y_m // metres * metres)


def cell_code(style: Style, metres: int, x: float, y: float) -> str | None:
    """Return the code of the cell that contains a point.

    None outside the grid or for a coordinate that is not finite.
    """
    _check_side(style, metres)
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    column, row = math.floor(x) // metres, math.floor(y) // metres
    if style == "inspire":
        unit = metres // _divisor(metres)
        return f"{_side(metres)}N{row * unit}E{column * unit}"
    digits = _KOREA_DIGITS[metres]
    per_square = _SQUARE // metres
    east, column = divmod(column - _KOREA_EAST // metres, per_square)
    north, row = divmod(row - _KOREA_NORTH // metres, per_square)
    if not (0 <= east < len(LETTERS) and 0 <= north < len(LETTERS)):
        return None
    return LETTERS[east] + LETTERS[north] + (f"{column:0{digits}d}{row:0{digits}d}" if digits else "")


def parse(code: str) -> Cell:
    """Read a cell code of either style.

    Raises:
        GridError: The text is not a cell code, or names a corner that is not on its own grid.
    """
    if match := _KOREA_CODE.fullmatch(code):
        digits = len(match[3]) // 2
        metres = _SQUARE // 10**digits
        column, row = (int(match[3][:digits]), int(match[3][digits:])) if digits else (0, 0)
        return Cell(
            "korea",
            metres,
            _KOREA_EAST + LETTERS.index(match[1]) * _SQUARE + column * metres,
            _KOREA_NORTH + LETTERS.index(match[2]) * _SQUARE + row * metres,
        )
    if match := _INSPIRE_CODE.fullmatch(code):
        metres = int(match[1]) * (1_000 if match[2] == "km" else 1)
        cell = Cell("inspire", metres, int(match[4]) * _divisor(metres), int(match[3]) * _divisor(metres))
        # One code per cell: '1000m…' for '1km…', leading zeros and corners off the grid are rejected.
        if cell_code("inspire", metres, cell.x_m, cell.y_m) == code:
            return cell
    raise GridError(
        f"{code!r} is not a cell code; valid codes look like 다사5347 (korea) or 250mN483100E63025 (inspire)"
    )


def parent_code(code: str, metres: int) -> str:
    """Return the code of the coarser cell of ``metres`` that contains the cell ``code``."""
    return parse(code).parent(metres).code


def cell_expr(style: Style, metres: int, x: pl.Expr, y: pl.Expr) -> pl.Expr:
    """Return a Polars expression for the code of the cell of (x, y) in metres; null outside the grid."""
    _check_side(style, metres)
    usable = x.is_finite() & y.is_finite()
    column = _floor_expr(x, usable, metres)
    row = _floor_expr(y, usable, metres)
    if style == "inspire":
        unit = metres // _divisor(metres)
        return pl.format(f"{_side(metres)}N{{}}E{{}}", row * unit, column * unit)
    digits = _KOREA_DIGITS[metres]
    per_square = _SQUARE // metres
    column = column - _KOREA_EAST // metres
    row = row - _KOREA_NORTH // metres
    squares = len(LETTERS) * per_square
    inside = column.is_between(0, squares, closed="left") & row.is_between(0, squares, closed="left")
    letters = pl.lit(LETTERS)
    parts = [letters.str.slice(column // per_square, 1), letters.str.slice(row // per_square, 1)]
    if digits:
        parts += [(part % per_square).cast(pl.String).str.zfill(digits) for part in (column, row)]
    return pl.when(inside).then(pl.concat_str(parts))


def cell_sql(style: Style, metres: int, x: str, y: str) -> str:
    """Return a DuckDB expression for the code of the cell of (x, y), given as SQL expressions in metres.

    The result is null outside the grid, without a point, and for a coordinate that is not finite.
    """
    _check_side(style, metres)
    column, row = f"floor(floor({x}) / {metres})", f"floor(floor({y}) / {metres})"
    finite = f"isfinite({x}) and isfinite({y})"
    if style == "inspire":
        unit = metres // _divisor(metres)
        return (
            f"case when {finite} then '{_side(metres)}N' || ({row} * {unit})::bigint"
            f" || 'E' || ({column} * {unit})::bigint end"
        )
    digits = _KOREA_DIGITS[metres]
    per_square = _SQUARE // metres
    column = f"({column}::bigint - {_KOREA_EAST // metres})"
    row = f"({row}::bigint - {_KOREA_NORTH // metres})"
    last = len(LETTERS) * per_square - 1
    code = " || ".join(
        [f"'{LETTERS}'[{part} // {per_square} + 1]" for part in (column, row)]
        # lpad would truncate a longer number; these have at most `digits` characters.
        + [f"lpad(({part} % {per_square})::varchar, {digits}, '0')" for part in (column, row) if digits]
    )
    inside = f"{column} between 0 and {last} and {row} between 0 and {last}"
    return f"case when {finite} then case when {inside} then {code} end end"


def corner_expr(style: Style, metres: int, code: pl.Expr) -> pl.Expr:
    """Return a Polars expression for the corners (struct of ``x_m`` and ``y_m``) of cells of one style and side."""
    _check_side(style, metres)
    if style == "inspire":
        numbers = code.str.extract_groups(rf"^{_side(metres)}N(-?\d+)E(-?\d+)$")
        north, east = (numbers.struct.field(str(i)).cast(pl.Int64) * _divisor(metres) for i in (1, 2))
        return pl.struct(x_m=east, y_m=north)
    digits = _KOREA_DIGITS[metres]
    squares = {letter: index * _SQUARE for index, letter in enumerate(LETTERS)}
    offsets = [
        code.str.slice(place, 1).replace_strict(squares, default=None, return_dtype=pl.Int64) for place in (0, 1)
    ]
    inside = [
        code.str.slice(2 + place * digits, digits).cast(pl.Int64, strict=False) * metres if digits else pl.lit(0)
        for place in (0, 1)
    ]
    return pl.struct(x_m=_KOREA_EAST + offsets[0] + inside[0], y_m=_KOREA_NORTH + offsets[1] + inside[1])


def parent_expr(style: Style, metres: int, parent_metres: int, code: pl.Expr) -> pl.Expr:
    """Return a Polars expression for the codes of the coarser cells that contain the cells ``code``."""
    _check_nests(metres, parent_metres)
    corner = corner_expr(style, metres, code)
    x, y = (corner.struct.field(name).cast(pl.Float64) for name in ("x_m", "y_m"))
    return cell_expr(style, parent_metres, x, y)


def _floor_expr(value: pl.Expr, usable: pl.Expr, metres: int) -> pl.Expr:
    return pl.when(usable).then(value).cast(pl.Float64).floor().cast(pl.Int64) // metres


def _check_side(style: Style, metres: int) -> None:
    if style == "korea" and metres not in _KOREA_DIGITS:
        sides = ", ".join(str(side) for side in sorted(_KOREA_DIGITS))
        raise GridError(f"the Korean grid has cells of {sides} m, not {metres} m")
    if metres <= 0:
        raise GridError(f"a cell's side must be a positive number of metres, not {metres}")


def _check_nests(metres: int, parent_metres: int) -> None:
    if parent_metres % metres:
        raise GridError(f"cells of {metres} m do not fit into cells of {parent_metres} m; choose a multiple")


def _divisor(metres: int) -> int:
    """Return the largest power of ten that divides a side."""
    divisor = 1
    while metres % (divisor * 10) == 0:
        divisor *= 10
    return divisor


def _side(metres: int) -> str:
    return f"{metres // 1_000}km" if metres % 1_000 == 0 else f"{metres}m"
