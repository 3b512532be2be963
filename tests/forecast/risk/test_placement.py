"""Squares placed freely or on the grid: which is the default, what is issued, and what is scored."""

from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import polars as pl
import pytest
import shapely

from pipelines.forecast.risk import own_grid, own_points
from pipelines.forecast.risk.own_points import PointsError, Task
from tests.forecast.risk.test_own_points import START, boundary

CORNER = (631_000.0, 4_831_000.0)
"""A crossing of the grid's lines, around which four cells share what happens."""


def around_a_corner(days: int, spread: float = 50.0) -> pl.DataFrame:
    """Three incidents a day within a spread of the corner, and one anywhere."""
    rng = np.random.default_rng(1)
    near = rng.random(4 * days) < 0.75
    x, y = (
        middle + np.where(near, rng.uniform(-spread, spread, near.size), rng.uniform(-990, 990, near.size))
        for middle in CORNER
    )
    return pl.DataFrame({"occ_date": [START - timedelta(days=1 + i // 4) for i in range(near.size)], "x": x, "y": y})


def task(tmp_path: Path, placement: str | None = None, area_km2: float = 0.07) -> Task:
    return Task("EPSG:26917", boundary(tmp_path), 250, area_km2, placement)


def test_a_busy_place_that_the_lines_of_the_grid_divide_is_in_one_free_square(tmp_path: Path) -> None:
    points = around_a_corner(60)
    free, grid = (own_points.predict_points(points, task(tmp_path, at), START, 7).frame for at in ("free", "grid"))
    assert free.columns == grid.columns
    assert free["expected"].sum() > 2 * grid.filter("is_selected")["expected"].sum()
    square = shapely.from_wkb(free["geometry"].item())
    assert square.covers(shapely.box(*(axis - 50 for axis in CORNER), *(axis + 50 for axis in CORNER)))
    west, south, *_ = square.bounds
    assert free["cell_id"].item() == f"250m@N{south:.0f}E{west:.0f}"
    assert free["ranking_method"].item() == "count; under a year of history; squares placed freely"


def test_free_squares_do_not_overlap_and_fill_the_area_inside_the_boundary(tmp_path: Path) -> None:
    wanted = task(tmp_path, "free", 1.1)
    issued = own_points.predict_points(around_a_corner(60), wanted, START, 7).frame
    squares = gpd.GeoSeries.from_wkb(issued["geometry"].to_numpy(), crs="EPSG:26917")
    outline = gpd.read_file(wanted.boundary).to_crs("EPSG:26917").union_all()
    inside = squares.intersection(outline).area.sum() / 1e6
    assert 1.1 - 0.0625 <= inside <= 1.1
    assert squares.union_all().intersection(outline).area / 1e6 == pytest.approx(inside)
    assert issued["is_selected"].all() and issued["rank"].to_list() == list(range(1, len(squares) + 1))
    assert issued["expected"].is_sorted(descending=True)


def test_squares_are_placed_freely_where_that_had_more_hits_in_earlier_months(tmp_path: Path) -> None:
    notes: list[str] = []
    issued = own_points.predict_points(around_a_corner(240), task(tmp_path), START, 7, note=notes.append).frame
    assert issued["cell_id"].str.contains("@").all()
    (note,) = [text for text in notes if "placed freely" in text]
    assert "earlier months free ones had +" in note and "outcomes displaced by 60 m" in note


def test_squares_stay_on_the_grid_without_six_earlier_months(tmp_path: Path) -> None:
    issued = own_points.predict_points(around_a_corner(120), task(tmp_path), START, 7).frame
    assert issued.height > issued["is_selected"].sum() == 1


def test_squares_stay_on_the_grid_before_any_month(tmp_path: Path) -> None:
    notes: list[str] = []
    issued = own_points.predict_points(around_a_corner(40), task(tmp_path), START, 7, note=notes.append).frame
    assert issued.height > issued["is_selected"].sum() == 1 and not any("placed" in text for text in notes)


def test_squares_stay_on_the_grid_where_its_cells_fit_the_busy_places(tmp_path: Path) -> None:
    middle = around_a_corner(240).with_columns(pl.col("x", "y") + 125)
    notes: list[str] = []
    issued = own_points.predict_points(middle, task(tmp_path), START, 7, note=notes.append).frame
    assert issued.height > issued["is_selected"].sum() == 1
    assert any("placed on the grid: in " in text for text in notes)


@pytest.mark.parametrize("placement", ["free", None])
def test_a_backtest_scores_the_squares_that_predict_issues(tmp_path: Path, placement: str | None) -> None:
    points, wanted = around_a_corner(300), task(tmp_path, placement, 0.2)
    result = own_points.backtest_points(points, wanted, START - timedelta(days=30), 28, 5, 30)
    windows = result.windows.filter(model="stack")
    for row in windows.iter_rows(named=True):
        start: date = row["origin_date"]
        issued = own_points.predict_points(points, wanted, start, 28).frame.filter("is_selected")
        assert issued["cell_id"].str.contains("@").all() == (row["placement"] == "free")
        squares = shapely.union_all(shapely.from_wkb(issued["geometry"].to_numpy()))

        def hits(first: date, squares: shapely.Geometry = squares) -> int:
            of_window = points.filter(pl.col("occ_date").is_between(first, first + timedelta(days=28), closed="left"))
            return int(shapely.intersects_xy(squares, *of_window.select("x", "y").to_numpy().T).sum())

        assert row["hits"] == hits(start)
        if row["placement"] == "free":
            assert row["prior_hits"] == hits(start - timedelta(days=28)) and 0 < row["hit_cells"] <= row["cells"]
    assert set(windows["placement"]) == ({"free"} if placement else {"free", "grid"})
    assert set(result.windows.filter(pl.col("model") != "stack")["placement"]) == {"grid"}


def test_free_placement_on_too_many_cells_is_refused_or_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_grid, "MOST_PARTS", 1_000)
    with pytest.raises(PointsError, match="needs too much memory on so many cells: use --cell 396 or more"):
        own_points.predict_points(around_a_corner(60), task(tmp_path, "free"), START, 7)
    notes: list[str] = []
    assert own_grid.place(around_a_corner(60), task(tmp_path), notes.append).lattice is None
    assert "squares are on the grid: with --cell 396 or more, free placement would be tried too" in notes
