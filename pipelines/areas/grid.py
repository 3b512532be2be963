"""Square grid cells in a metric CRS: the code of the cell of a point, in Polars and in SQL.

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
so a parent's code is never a prefix.

A cell includes its lower and left edge but not its upper and right one. Coordinates are floored to whole metres before
dividing, so that a double just below an edge is not rounded across it by the division.
"""

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


class GridError(BongsuError, ValueError):
    """Report a side of a cell that the naming style has no code for."""


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


def _floor_expr(value: pl.Expr, usable: pl.Expr, metres: int) -> pl.Expr:
    return pl.when(usable).then(value).cast(pl.Float64).floor().cast(pl.Int64) // metres


def _check_side(style: Style, metres: int) -> None:
    if style == "korea" and metres not in _KOREA_DIGITS:
        sides = ", ".join(str(side) for side in sorted(_KOREA_DIGITS))
        raise GridError(f"the Korean grid has cells of {sides} m, not {metres} m")
    if metres <= 0:
        raise GridError(f"a cell's side must be a positive number of metres, not {metres}")


def _divisor(metres: int) -> int:
    """Return the largest power of ten that divides a side."""
    divisor = 1
    while metres % (divisor * 10) == 0:
        divisor *= 10
    return divisor


def _side(metres: int) -> str:
    return f"{metres // 1_000}km" if metres % 1_000 == 0 else f"{metres}m"
