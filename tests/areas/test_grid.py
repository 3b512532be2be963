"""Grid codes: a point's cell contains it, codes parse, parents are computed, and all three forms agree."""

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


@given(KOREA | INSPIRE, EAST, NORTH)
def test_a_points_cell_contains_it_and_its_code_reads_back(side: tuple[grid.Style, int], x: float, y: float) -> None:
    style, metres = side
    code = grid.cell_code(style, metres, x, y)
    assert code is not None
    cell = grid.parse(code)
    assert (cell.style, cell.cell_metres) == side
    assert cell.contains(x, y)
    assert cell.code == code


@given(st.sampled_from([10, 100, 250]), st.integers(-40_000, 40_000), st.integers(0, 40_000))
def test_a_point_just_below_an_edge_stays_below_it(metres: int, column: int, row: int) -> None:
    x, y = math.nextafter(column * metres, -math.inf), float(row * metres)
    cell = grid.parse(grid.cell_code("inspire", metres, x, y) or "")
    assert cell.contains(x, y)


@given(st.sampled_from([(10, 100), (100, 1_000), (10, 1_000), (1_000, 100_000)]), EAST, NORTH)
def test_the_parent_is_the_coarser_cell_of_the_same_point(sides: tuple[int, int], x: float, y: float) -> None:
    fine, coarse = (grid.cell_code("korea", metres, x, y) for metres in sides)
    assert fine is not None
    assert grid.parent_code(fine, sides[1]) == coarse


@pytest.mark.parametrize(
    ("metres", "code"), [(1_000, "다사5347"), (100, "다사531472"), (10, "다사53124723"), (100_000, "다사")]
)
def test_korean_codes_are_those_of_the_national_grid(metres: int, code: str) -> None:
    assert grid.cell_code("korea", metres, 953_120.5, 1_947_230.0) == code


def test_a_finer_korean_code_does_not_extend_its_parents() -> None:
    assert grid.parent_code("다사531472", 1_000) == "다사5347"
    assert not "다사531472".startswith("다사5347")


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
    assert grid.cell_code("inspire", metres, 630_349.9, 4_831_149.9) == code


@pytest.mark.parametrize(
    "code", ["", "다사", "다사5", "다사53A7", "250mN1E1", "1000mN4831000E630000", "250mN0483100E63025"]
)
def test_an_invalid_code_is_rejected_with_an_example(code: str) -> None:
    if code == "다사":  # two letters alone are the 100 km square
        assert grid.parse(code).cell_metres == 100_000
        return
    with pytest.raises(grid.GridError, match="is not a cell code; valid codes"):
        grid.parse(code)


def test_a_corner_outside_the_korean_grid_has_no_code() -> None:
    assert grid.cell_code("korea", 100, 699_999.9, 1_400_000) is None
    with pytest.raises(grid.GridError, match="outside the korea grid"):
        _ = grid.Cell("korea", 100, 600_000, 1_400_000).code
    with pytest.raises(grid.GridError, match="positive"):
        grid.cell_code("inspire", 0, 1.0, 1.0)


def test_sides_that_a_style_cannot_name_or_that_do_not_nest_are_rejected() -> None:
    with pytest.raises(grid.GridError, match="not 250 m"):
        grid.cell_code("korea", 250, 953_000, 1_947_000)
    with pytest.raises(grid.GridError, match="do not fit"):
        grid.parent_code("250mN483100E63025", 400)


@settings(deadline=None, max_examples=40)
@given(KOREA | INSPIRE, st.lists(st.tuples(EAST, NORTH), min_size=1, max_size=20))
def test_polars_and_single_codes_agree(side: tuple[grid.Style, int], points: list[tuple[float, float]]) -> None:
    style, metres = side
    frame = pl.DataFrame(points, schema={"x": pl.Float64, "y": pl.Float64}, orient="row")
    coarse = 100_000 if style == "korea" else metres * 4
    code = pl.col("code")
    codes = frame.select(grid.cell_expr(style, metres, pl.col("x"), pl.col("y")).alias("code"))
    cells = [grid.parse(code) for code in codes["code"]]
    assert codes["code"].to_list() == [grid.cell_code(style, metres, x, y) for x, y in points]
    corners = codes.select(grid.corner_expr(style, metres, code).alias("corner")).unnest("corner")
    assert corners.rows() == [(cell.x_m, cell.y_m) for cell in cells]
    parents = codes.select(grid.parent_expr(style, metres, coarse, code).alias("parent"))["parent"]
    assert parents.to_list() == [cell.parent(coarse).code for cell in cells]


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
    assert [code for (code,) in rows] == in_polars == [*(grid.cell_code(style, metres, x, y) for x, y in points), None]
