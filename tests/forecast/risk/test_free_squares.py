"""Squares on a lattice: sums, spreading, and the choice of the best ones that do not overlap."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.risk.free_squares import PARTS, SIDE, Lattice, best
from pipelines.forecast.risk.history import Grid


def lattice(columns: int = 4, rows: int = 3) -> Lattice:
    row, column = np.divmod(np.arange(columns * rows), columns)
    grid = Grid(row, column, 250)
    return Lattice.of(grid, np.ones(grid.size * PARTS, bool))


def at(single: Lattice, row: int, column: int) -> int:
    return row * single.grid.shape[1] + column


def test_the_square_of_a_cell_has_the_sum_of_the_parts_of_that_cell() -> None:
    single = lattice()
    values = np.random.default_rng(1).integers(0, 9, single.grid.size).astype(float)
    of_cells = single.sums(values).ravel()[single.of_cells(np.arange(12))]
    assert of_cells.tolist() == values.reshape(-1, PARTS).sum(axis=1).tolist()


def test_a_square_may_begin_at_any_part_and_has_less_area_at_the_edge() -> None:
    single = lattice(2, 2)
    values = single.grid.row * 100.0 + single.grid.column
    raster = single.grid.raster(values)
    assert single.sums(values)[3, 4] == raster[3:8, 4:9].sum()
    assert single.area[3, 4] == PARTS and single.area[9, 9] == 1


def test_displaced_outcomes_lose_more_at_the_edge_of_a_square_than_in_its_middle() -> None:
    single = lattice()
    outcome = np.zeros(single.grid.size)
    outcome[PARTS * 5 + PARTS // 2] = 1
    exact, displaced = single.sums(outcome), single.sums(outcome, 1.0)
    row, column = divmod(int(single.of_cells(np.array([5]))[0]), single.grid.shape[1])
    assert exact[row, column] == exact[row + 2, column] == 1
    assert 0.9 < displaced[row, column] < 1 and displaced[row + 2, column] < 0.8


@given(st.lists(st.integers(0, 20), min_size=12, max_size=12), st.integers(0, 2**32))
def test_the_parts_of_a_cell_sum_to_what_it_expects(expected: list[int], seed: int) -> None:
    single = lattice()
    counted = np.random.default_rng(seed).poisson(0.1, single.grid.size)
    spread = single.spread(np.array(expected, float), counted.astype(float))
    assert spread.reshape(-1, PARTS).sum(axis=1) == pytest.approx(expected)
    assert (spread >= 0).all()


def test_a_cell_expects_most_where_its_incidents_were_and_evenly_without_any() -> None:
    single = lattice()
    counted = np.zeros(single.grid.size)
    counted[7] = 30
    spread = single.spread(np.ones(12), counted).reshape(-1, PARTS)
    assert spread[0].argmax() == 7 and spread[0, 7] > 5 / PARTS
    assert spread[-1].tolist() == pytest.approx([1 / PARTS] * PARTS)


@given(st.integers(0, 2**32), st.floats(20, 400))
def test_chosen_squares_do_not_overlap_and_fit_into_the_area(seed: int, most: float) -> None:
    single = lattice()
    values = np.random.default_rng(seed).poisson(0.3, single.grid.size)
    sums = single.sums(values)
    chosen = best(sums, single.area, most, (seed,))
    corners = np.array(np.divmod(chosen, single.grid.shape[1])).T.reshape(-1, 2)
    assert all(abs(first - second).max() >= SIDE for first, second in combinations(corners, 2))
    assert single.area.ravel()[chosen].sum() <= most
    falling = sums.ravel()[chosen]
    assert (np.diff(falling) <= 0).all() and (not chosen.size or falling[0] == sums.max())


def test_area_is_filled_although_squares_at_the_edge_have_little_of_it() -> None:
    """A boundary one part wide: no square has more than a fifth of its area inside."""
    row, column = np.divmod(np.arange(40), 40)
    single = Lattice.of(Grid(row, column, 250), np.zeros(40 * PARTS, bool))
    single.inside[single.grid.row == 0] = True
    chosen = best(single.sums(single.inside), single.area, 100, ("edge",))
    assert single.area.ravel()[chosen].sum() == 100 and chosen.size == 20


def test_the_first_of_equal_squares_is_drawn() -> None:
    single = lattice(20, 20)
    sums = np.ones(single.area.shape, np.float32)
    firsts = {int(best(sums, single.area, PARTS, (seed,))[0]) for seed in range(20)}
    assert len(firsts) == 20
    assert best(sums, single.area, PARTS, ("a",)).tolist() == best(sums, single.area, PARTS, ("a",)).tolist()
