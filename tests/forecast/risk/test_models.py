"""Models of risk: totals kept, the past only, neighbours, and ties."""

import numpy as np
import pytest

from pipelines.forecast.risk import models, selection
from pipelines.forecast.risk.models import Events, Grid


def grid(n: int = 5) -> Grid:
    y, x = np.divmod(np.arange(n * n), n)
    return Grid.of(x * 100, y * 100, 100)


def events(*rows: tuple[int, int, int], first_day: int = 0) -> Events:
    cell, day, incidents = (np.array(column) for column in zip(*rows, strict=True))
    return Events(cell, day, incidents.astype(float), first_day)


def test_counts_are_incidents_a_day_over_the_last_year() -> None:
    past = events((0, 100, 5), (3, 500, 73), (3, 730, 9), first_day=0)
    expected = models.counts(past, grid(), 730)
    assert expected[3] == pytest.approx(73 / 365)
    assert expected.sum() == pytest.approx(73 / 365)


def test_counts_of_a_short_history_divide_by_the_days_there_were() -> None:
    assert models.counts(events((0, 0, 5)), grid(), 10)[0] == pytest.approx(0.5)


def test_decayed_counts_keep_the_total_of_a_steady_stream() -> None:
    stream = events(*((12, day, 2) for day in range(400)))
    assert models.decayed_counts(stream, grid(), 400).sum() == pytest.approx(2)


def test_neighbours_get_a_little_and_the_cell_keeps_most() -> None:
    expected = models.decayed_counts(events(*((12, day, 1) for day in range(100))), grid(), 100)
    assert expected[12] == pytest.approx(0.8)
    assert expected[11] == pytest.approx(0.2 / 8)
    assert expected[0] == 0


def test_a_newer_incident_weighs_more() -> None:
    expected = models.decayed_counts(events((0, 10, 1), (24, 1_400, 1)), grid(), 1_500)
    assert expected[24] > 3 * expected[0] > 0


@pytest.mark.parametrize("model", models.MODELS.values())
def test_nothing_from_the_origin_on_changes_a_prediction(model: models.Model) -> None:
    past = ((1, 3, 2), (7, 8, 1))
    assert (model(events(*past), grid(), 10) == model(events(*past, (5, 10, 99), (6, 30, 9)), grid(), 10)).all()


def test_ranks_are_of_expectation_and_ties_fall_by_the_seed_alone() -> None:
    expected = np.array([0.0, 3.0, 0.0, 1.0, 0.0])
    ranked = selection.ranks(expected, "burglary", "2026-01-01")
    assert ranked[1] == 1 and ranked[3] == 2 and sorted(ranked) == [1, 2, 3, 4, 5]
    assert (ranked == selection.ranks(expected, "burglary", "2026-01-01")).all()
    many = [tuple(selection.ranks(expected, "burglary", day)[[0, 2, 4]]) for day in range(30)]
    assert len(set(many)) > 3


def test_selected_cells_never_exceed_the_area() -> None:
    assert selection.cells_within(1.0, 100 * 100) == 100
    assert selection.cells_within(0.999, 100 * 100) == 99
    assert selection.cells_within(0.6475, 76.2**2) == 111
