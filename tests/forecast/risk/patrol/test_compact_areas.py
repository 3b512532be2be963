"""Compact areas: small enough to walk, within one station area, the best ones first."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.risk.history import Floats, Grid
from pipelines.forecast.risk.patrol import compact_areas

SIDE = 12
WEST, EAST = np.flatnonzero(np.arange(SIDE**2) % SIDE < 6), np.flatnonzero(np.arange(SIDE**2) % SIDE >= 6)


def grid() -> Grid:
    y, x = np.divmod(np.arange(SIDE**2), SIDE)
    return Grid.of(x * 100, y * 100, 100)


def expected(**risks: float) -> Floats:
    """A tenth of an incident everywhere but in the named cells, such as c017."""
    values = np.full(SIDE**2, 0.1)
    for name, value in risks.items():
        values[int(name[1:])] = value
    return values


def listed(values: Floats, most: int = 3, side: int = 3, least: float = 2) -> list[tuple[str, list[int]]]:
    stations = {"east": EAST, "west": WEST}
    areas = compact_areas.listed(grid(), stations, values, side, least, most, "day")
    return [(area.station, sorted(area.cells.tolist())) for area in areas]


def test_adjoining_cells_of_high_risk_are_one_area_and_distant_ones_are_two() -> None:
    areas = listed(expected(c013=5, c014=5, c026=5, c124=4))
    assert areas == [("west", [13, 14, 26]), ("west", [124])]


def test_an_area_ends_at_the_border_of_its_station_area() -> None:
    assert listed(expected(c017=5, c018=4)) == [("east", [18]), ("west", [17])]


def test_a_long_street_becomes_several_areas_that_can_be_walked() -> None:
    street = listed(expected(c000=5, c012=5, c024=5, c036=4, c048=4, c060=4))
    assert street == [("west", [0, 12, 24]), ("west", [36, 48, 60])]


def test_areas_are_ranked_by_what_is_expected_in_them() -> None:
    areas = compact_areas.listed(grid(), {"west": WEST}, expected(c000=3, c003=9, c132=5), 2, 2, 3, "day")
    assert [(area.rank, area.cells.tolist()) for area in areas] == [(1, [3]), (2, [132]), (3, [0])]


def test_a_station_area_without_a_place_above_its_average_has_no_list() -> None:
    assert listed(np.ones(SIDE**2)) == []
    assert listed(np.zeros(SIDE**2)) == []


def test_equal_places_are_selected_by_lot_and_not_by_their_order() -> None:
    values = np.zeros(SIDE**2)
    values[WEST[::7]] = 1.0
    first = {
        compact_areas.listed(grid(), {"west": WEST}, values, 1, 2, 1, shift)[0].cells.tolist()[0]
        for shift in ("day", "night", "late", "early", "sixth", "seventh")
    }
    assert len(first) > 1


@given(st.lists(st.floats(0, 9), min_size=SIDE**2, max_size=SIDE**2), st.integers(1, 5), st.integers(1, 5))
def test_every_list_is_disjoint_within_its_square_and_no_longer_than_planned(
    values: list[float], side: int, most: int
) -> None:
    areas = compact_areas.listed(grid(), {"east": EAST, "west": WEST}, np.array(values), side, 2, most, "day")
    cells = [cell for area in areas for cell in area.cells.tolist()]
    assert len(cells) == len(set(cells))
    for area in areas:
        assert np.isin(area.cells, EAST if area.station == "east" else WEST).all()
        assert np.ptp(grid().row[area.cells]) < side and np.ptp(grid().column[area.cells]) < side
        assert 1 <= area.rank <= most


def test_stops_count_groups_of_cells_and_the_squares_that_a_large_group_needs() -> None:
    assert compact_areas.stops(grid(), np.array([], np.int64), 3) == 0
    assert compact_areas.stops(grid(), np.array([0, 1, 13]), 3) == 1
    assert compact_areas.stops(grid(), np.array([0, 3, 143]), 3) == 3
    assert compact_areas.stops(grid(), np.arange(7), 3) == 3


def test_a_round_goes_to_the_nearest_place_not_yet_visited_and_back() -> None:
    assert compact_areas.round_way(np.array([0.0]), np.array([0.0])) == 0
    assert compact_areas.round_way(np.array([0.0, 3.0, 3.0]), np.array([0.0, 4.0, 0.0])) == pytest.approx(3 + 4 + 5)


def test_a_square_smaller_than_a_cell_holds_that_cell() -> None:
    assert [compact_areas.width(metres, grid()) for metres in (50, 100, 250, 500)] == [1, 1, 2, 5]


def test_cells_without_a_station_area_are_in_none() -> None:
    cells = compact_areas.of_stations(pl.Series(["b", None, "a", "b"]))
    assert {station: part.tolist() for station, part in cells.items()} == {"a": [2], "b": [0, 3]}


@pytest.mark.parametrize("value", [1e-300, 1e300])
def test_extreme_expectations_are_listed_like_any_other(value: float) -> None:
    values = np.zeros(SIDE**2)
    values[[0, 5]] = value, 1.0
    assert len(listed(values, least=0)) >= 1
