"""Travel as people have it: matrices with and without names, and pairs."""

import math

import numpy as np
import polars as pl
import pytest

from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.travel import Travel, of_cells, of_pairs


def cells(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.split()]


def check(travel: Travel, *zones: str) -> None:
    """From the first zone to the second are 7 minutes, back 9."""
    assert travel.zones == zones
    assert travel.minutes.tolist() == [[0, 7], [9, 0]]


@pytest.mark.parametrize(
    "text", ["zone,a,b a,0,7 b,9,0", ",a,b a,0,7 b,9,0", "a,b 0,7 9,0", "a,0,7 b,9,0", "zone,a,b b,9,0 a,0,7"]
)
def test_zones_are_named_in_the_first_row_the_first_column_or_both(text: str) -> None:
    check(of_cells(cells(text), "t.csv"), "a", "b")


def test_without_names_zones_are_numbered() -> None:
    check(of_cells(cells("0,7 9,0"), "t.csv"), "1", "2")
    check(of_cells(cells("0,7 9,0"), "t.csv", first=0), "0", "1")
    symmetric = of_cells(cells("0,7,3 7,0,5 3,5,0"), "t.csv")
    assert symmetric.zones == ("1", "2", "3"), "its first row and column are alike, but no names"


def test_numbers_as_names_are_names() -> None:
    check(of_cells(cells("code,1391,1393 1391,0,7 1393,9,0"), "t.csv"), "1391", "1393")
    check(of_cells(cells(",1,2 1,0,7 2,9,0"), "t.csv"), "1", "2")


def test_an_empty_cell_states_that_there_is_no_way() -> None:
    assert of_cells(cells("a,b 0, na,0"), "t.csv").minutes.tolist() == [[0, math.inf], [math.inf, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zone,a,b a,0,x b,9,0", "t.csv, row 2: 'x' minutes from zone a to b are not a number of 0 or more"),
        ("zone,a,b a,0,7 b,-9,0", "t.csv, row 3: '-9' minutes from zone b to a"),
        ("0,7 inf,0", "t.csv, row 2: 'inf' minutes from zone 2 to 1"),
        ("zone,a,b a,0,7 c,9,0", "t.csv: zone b has a column but no row"),
        ("zone,a,a a,0,7 b,9,0", "t.csv: zone a names two columns"),
        ("zone,a, a,0,7 b,9,0", "t.csv: column 2 of the matrix has no zone"),
        ("a,b,c 0,7,1", "has 2 rows and 3 columns, names included; or give the columns from, to and minutes"),
    ],
)
def test_a_matrix_that_cannot_be_used_is_refused_with_its_row(text: str, message: str) -> None:
    with pytest.raises(PlanError) as error:
        of_cells(cells(text), "t.csv")
    assert message in str(error.value)


def pairs(*rows: tuple[object, object, object]) -> Travel:
    return of_pairs(pl.DataFrame(rows, ["from", "to", "minutes"], orient="row", strict=False), "t.csv")


def test_a_pair_without_a_row_has_no_way() -> None:
    travel = pairs(("a", "b", "7"), ("c", "a", "1.5"))
    assert travel.zones == ("a", "c", "b")
    assert travel.minutes[0].tolist() == [math.inf, math.inf, 7]
    assert travel.minutes[1, 0] == 1.5 and np.isinf(travel.minutes).sum() == 7


def test_zones_that_a_program_wrote_as_decimals_are_the_same() -> None:
    assert pairs((3811.0, 3812.0, 4.0)).zones == ("3811", "3812")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "b", "-1"), "row 2: minutes -1 is negative; give 0 or more"),
        (("a", "b", "x"), "row 2: minutes 'x' is not a number"),
        (("a", "b", "1,5"), "row 2: minutes '1,5' has a comma; write decimals with a point"),
        (("a", "b", ""), "row 2: minutes is empty"),
        (("", "b", "1"), "row 2: from is empty; name the zone"),
        (("a", "c", "8"), "row 1: the pair a to c occurs twice"),
    ],
)
def test_a_pair_that_cannot_be_used_is_refused_with_its_row(row: tuple[str, str, str], message: str) -> None:
    with pytest.raises(PlanError) as error:
        pairs(("a", "c", "3"), row)
    assert f"t.csv, {message}" in str(error.value)


def test_columns_that_are_missing_are_named() -> None:
    with pytest.raises(
        PlanError, match=r"t\.csv lacks minutes; give the columns from, to, minutes \(of these it has: from, to\)"
    ):
        of_pairs(pl.DataFrame({"from": ["a"], "to": ["b"]}), "t.csv")
