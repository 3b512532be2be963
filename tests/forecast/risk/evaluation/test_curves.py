"""The curve of a list of cells: by hand, between chance and the best list, and never falling."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.risk.evaluation import curves


def result(orders: dict[str, list[int]], *outcomes: list[float], size: int = 400) -> pl.DataFrame:
    """Steps of windows a month apart; the lists continue with the cells that they do not name."""
    whole = {
        name: np.array([*first, *(cell for cell in range(size) if cell not in first)]) for name, first in orders.items()
    }
    return pl.concat(
        curves.steps(28 * n, "theft", whole, np.array(outcome + [0.0] * (size - len(outcome))))
        for n, outcome in enumerate(outcomes)
    )


def test_hits_are_those_of_the_first_cells_of_the_list() -> None:
    steps = result({"stack": [2, 0], "best_count": [1]}, [5.0, 1.0, 3.0])
    # A quarter of a percent of 400 cells is one cell, half a percent two.
    assert steps.filter(model="stack")["cells"].to_list() == [1, 2, 4, 8, 12, 20, 40, 80, 200]
    assert steps.filter(model="stack")["hits"].to_list()[:3] == [3, 8, 9]
    assert steps.filter(model="best_count")["hits"].to_list()[:3] == [1, 6, 9]


def test_windows_are_pooled_by_their_sums() -> None:
    steps = result({"stack": [0]}, [3.0, 1.0], [1.0, 5.0])
    first = curves.pooled(steps, 1 / 400).row(0, named=True)
    assert (first["origins"], first["incidents"], first["hits"], first["hit_rate"]) == (2, 10, 4, 0.4)
    assert first["area_share"] == 0.0025 and first["pai"] == pytest.approx(160)
    assert first["pai_low"] is None, "two windows tell no interval"


def test_the_interval_holds_the_pooled_value_and_no_area_is_more_than_all_of_it() -> None:
    rng = np.random.default_rng(2)
    steps = result({"stack": [0, 1]}, *([float(n) for n in rng.poisson(5, 6)] for _ in range(12)))
    pooled = curves.pooled(steps, 1 / 180)  # the cells reach over the border
    assert (pooled["pai_low"] <= pooled["pai"] + 1e-9).all() and (pooled["pai"] <= pooled["pai_high"] + 1e-9).all()
    assert pooled["area_share"].max() == 1.0


def test_without_an_incident_there_is_no_rate() -> None:
    row = curves.pooled(result({"stack": [0]}, [0.0]), 1 / 400).row(0, named=True)
    assert row["hit_rate"] is None and row["pai"] is None and row["incidents"] == 0
    assert curves.pooled(pl.DataFrame(schema=curves.STEPS), 1 / 400).is_empty()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_a_curve_never_falls_and_is_below_the_best_list(outcome: list[int], random: object) -> None:
    fell = np.array(outcome, float)
    any_order = np.arange(fell.size)
    random.shuffle(any_order)  # type: ignore[attr-defined]
    steps = curves.steps(0, "theft", {"any": any_order, "best": np.argsort(-fell)}, fell)
    hits = {name: steps.filter(model=name)["hits"].to_numpy() for name in ("any", "best")}
    assert (np.diff(hits["any"]) >= 0).all() and (hits["any"] <= hits["best"]).all()
    assert hits["best"].max() <= fell.sum()
