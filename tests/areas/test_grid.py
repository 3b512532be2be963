"""Grid codes: those of Polars and DuckDB are those computed one at a time, from the rules of each style."""

import math

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.areas import grid

KOREA = st.tuples(st.just("korea"), st.sampled_from([10, 100, 1_000, 10_000, 100_000]))
INSPIRE = st.tuples(st.just("inspire"), st.sampled_from([25, 100, 150, 250, 400, 500, 1_000, 2_500, 100_000]))
EAST = st.floats(700_000, 2_099_999.999)
NORTH = st.floats(1_300_000, 2_699_999.999)


def cell_code(style: grid.Style, metres: int, x: float, y: float) -> str | None:
    """The code of the cell that contains a point; None outside the grid, or if a coordinate is not finite."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    east, north = (math.floor(value) // metres * metres for value in (x, y))
    if style == "inspire":
        zeros = 10 ** (len(str(metres)) - len(str(metres).rstrip("0")))
        side = f"{metres // 1_000}km" if metres % 1_000 == 0 else f"{metres}m"
        return f"{side}N{north // zeros}E{east // zeros}"
    if not (700_000 <= east < 2_100_000 and 1_300_000 <= north < 2_700_000):
        return None
    digits = 6 - len(str(metres))
    (column, right), (row, up) = divmod(east - 700_000, 100_000), divmod(north - 1_300_000, 100_000)
    return grid.LETTERS[column] + grid.LETTERS[row] + f"{right:05d}"[:digits] + f"{up:05d}"[:digits]


def polars_code(style: grid.Style, metres: int, x: float, y: float) -> str | None:
    frame = pl.DataFrame({"x": [x], "y": [y]}, schema={"x": pl.Float64, "y": pl.Float64})
    return frame.select(grid.cell_expr(style, metres, pl.col("x"), pl.col("y"))).item()


@given(st.sampled_from([10, 100, 250]), st.integers(-40_000, 40_000), st.integers(0, 40_000))
def test_a_point_just_below_an_edge_stays_below_it(metres: int, column: int, row: int) -> None:
    x, y = math.nextafter(column * metres, -math.inf), float(row * metres)
    assert polars_code("inspire", metres, x, y) == polars_code("inspire", metres, (column - 0.5) * metres, y)


@pytest.mark.parametrize(
    ("metres", "code"), [(1_000, "다사5347"), (100, "다사531472"), (10, "다사53124723"), (100_000, "다사")]
)
def test_korean_codes_are_those_of_the_national_grid(metres: int, code: str) -> None:
    assert polars_code("korea", metres, 953_120.5, 1_947_230.0) == code


@pytest.mark.parametrize(
    ("metres", "code"),
    [
        (250, "250mN483100E63025"),
        (1_000, "1kmN4831E630"),
        (100, "100mN48311E6303"),
        (25, "25mN4831125E630325"),
    ],
)
def test_inspire_codes_drop_the_zeros_of_the_side(metres: int, code: str) -> None:
    assert polars_code("inspire", metres, 630_349.9, 4_831_149.9) == code


def test_a_point_outside_the_korean_grid_has_no_code() -> None:
    assert polars_code("korea", 100, 699_999.9, 1_400_000) is None


@pytest.mark.parametrize(("style", "metres", "message"), [("korea", 250, "not 250 m"), ("inspire", 0, "positive")])
def test_a_side_that_a_style_cannot_name_is_rejected(style: grid.Style, metres: int, message: str) -> None:
    with pytest.raises(grid.GridError, match=message):
        polars_code(style, metres, 953_000, 1_947_000)


@settings(deadline=None, max_examples=40)
@given(KOREA | INSPIRE, st.lists(st.tuples(EAST, NORTH), min_size=1, max_size=20))
def test_polars_and_single_codes_agree(side: tuple[grid.Style, int], points: list[tuple[float, float]]) -> None:
    style, metres = side
    frame = pl.DataFrame(points, schema={"x": pl.Float64, "y": pl.Float64}, orient="row")
    codes = frame.select(grid.cell_expr(style, metres, pl.col("x"), pl.col("y")).alias("code"))["code"]
    assert codes.to_list() == [cell_code(style, metres, x, y) for x, y in points]


@pytest.mark.parametrize(("style", "metres"), [("korea", 100), ("korea", 1_000), ("inspire", 250), ("inspire", 1_000)])
def test_duckdb_and_single_codes_agree_also_where_there_is_no_code(style: grid.Style, metres: int) -> None:
    points = [
        (953_120.5, 1_947_230.0),
        (math.nextafter(953_000.0, 0), 1_947_000.0),
        (699_999.9, 1_400_000.0),
        (2_100_000.0, 1_400_000.0),
        (-12.5, 1_400_000.0),
        (math.inf, 1_400_000.0),
        (math.nan, 0.0),
    ]
    con = duckdb.connect()
    con.execute("create table points (n integer, x double, y double)")
    con.executemany("insert into points values (?, ?, ?)", [(n, x, y) for n, (x, y) in enumerate(points)])
    con.execute("insert into points values (99, null, 1.0)")
    rows = con.execute(f"select {grid.cell_sql(style, metres, 'x', 'y')} from points order by n").fetchall()
    frame = con.execute("select x, y from points order by n").pl()
    in_polars = frame.select(grid.cell_expr(style, metres, pl.col("x"), pl.col("y")).alias("c"))["c"].to_list()
    assert [code for (code,) in rows] == in_polars == [*(cell_code(style, metres, x, y) for x, y in points), None]
