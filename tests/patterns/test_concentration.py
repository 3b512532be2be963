"""Concentration against the published examples, arithmetic and pairwise differences."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.patterns import concentration

END = date(2026, 3, 3)
CELLS = pl.DataFrame({"cell_id": [f"c{i}" for i in range(10)], "cell_metres": 100})


def points(counts: dict[str, int], category: str = "theft", day: date = END - timedelta(days=1)) -> pl.DataFrame:
    cells = [cell for cell, count in counts.items() for _ in range(count)]
    at = [float(sum(map(ord, cell))) for cell in cells]
    frame = {"category": category, "cell_id": cells, "occurrence_date": day, "x_m": at, "y_m": at}
    return pl.DataFrame(
        frame, schema_overrides={"cell_id": pl.String, "occurrence_date": pl.Date, "x_m": pl.Float64, "y_m": pl.Float64}
    )


def counts(*values: int) -> np.ndarray:
    return np.array(values + (0,) * (10 - len(values)), dtype=np.int64)


def test_gini_coefficients_equal_the_examples_of_the_authors_package() -> None:
    """Bernasco and Steenbeek, R package lorenzgini, help of gini()."""
    assert concentration.gini(counts(10, 8, 2)) == pytest.approx(0.78)
    assert concentration.generalised_gini(counts(10, 8, 2)) == pytest.approx(0.78)
    assert concentration.gini(counts(5, 2, 1)) == pytest.approx(0.8)
    assert concentration.generalised_gini(counts(5, 2, 1)) == pytest.approx(0.75)
    assert concentration.gini(counts(10)) == pytest.approx(0.9)


def test_the_gini_is_half_the_mean_difference_over_the_mean() -> None:
    drawn = np.random.default_rng(5).negative_binomial(0.3, 0.2, 300)
    pairs = np.abs(drawn[:, None] - drawn[None, :]).mean()
    assert concentration.gini(drawn) == pytest.approx(pairs / (2 * drawn.mean()))


def test_crimes_that_share_no_place_are_not_concentrated() -> None:
    assert concentration.generalised_gini(counts(1, 1, 1)) == 0
    assert concentration.gini(counts(1, 1, 1)) == pytest.approx(0.7)


@pytest.mark.parametrize(("share", "places"), [(0.25, 1), (0.5, 1), (0.7, 2), (0.8, 2), (0.81, 3), (1.0, 4)])
def test_the_fewest_places_with_a_share_are_counted(share: float, places: int) -> None:
    assert concentration.share_of_places(counts(5, 3, 1, 1), share) == places / 10


def test_cells_count_all_and_corners_those_with_any_crime_of_any_year() -> None:
    old = points({"c1": 1, "c2": 1}, "burglary", END - timedelta(days=400))
    built = concentration.concentration(pl.concat([points({"c1": 6, "c3": 2, "z": 4}), old]), CELLS, 100, END)
    rows = {row["place_kind"]: row for row in built.to_dicts()}
    assert (rows["cell"]["places"], rows["cell"]["incidents"], rows["cell"]["places_50_share"]) == (10, 8, 0.1)
    assert (rows["corner"]["places"], rows["corner"]["incidents"], rows["corner"]["places_50_share"]) == (4, 12, 0.25)
    assert set(built["category"]) == {"theft"}


def test_the_curve_runs_from_nothing_to_all_crime_and_passes_each_place() -> None:
    curve = concentration.lorenz(points({"c1": 5, "c2": 3, "c3": 2}), CELLS, 100, END)
    cells = curve.filter(pl.col("place_kind") == "cell")
    result = dict(cells.select("share_of_crime", "share_of_places").iter_rows())
    assert len(result) == 101 and result[0.0] == 0 and result[1.0] == pytest.approx(0.3)
    assert (result[0.5], result[0.8], result[0.9]) == (pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.25))


def test_without_crime_there_is_no_row_but_every_column() -> None:
    none = points({})
    assert concentration.concentration(none, CELLS, 100, END).schema == pl.Schema(concentration.TYPES)
    assert concentration.lorenz(none, CELLS, 100, END).schema == pl.Schema(concentration.CURVE_TYPES)
