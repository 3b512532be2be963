"""Scores of street segments: of the list that is issued and plain counts, and nothing from later points."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.forecast.risk.own_streets import predict_streets
from pipelines.forecast.risk.point_columns import PointsError
from pipelines.forecast.risk.street_scores import StreetScores, backtest_streets
from pipelines.steps import own_data
from tests.forecast.risk.test_own_points import START
from tests.forecast.risk.test_own_streets import X, Y, incidents, task

STEADY = ((X + 150, Y), (X - 250, Y + 8))
"""A point a day in each of two segments of 100 m."""


def scored(tmp_path: Path, points: pl.DataFrame, km: float = 0.2, origins: int = 2) -> StreetScores:
    return backtest_streets(points, task(tmp_path, km=km), START - timedelta(days=7), 7, origins, 14)


def test_the_hits_of_every_list_are_counted_at_the_same_length(tmp_path: Path) -> None:
    windows, scores = scored(tmp_path, incidents(*STEADY, repeats=60))
    assert sorted(windows["model"].unique()) == ["count", "count_per_km", "listed"]
    assert windows["length_share"].to_list() == pytest.approx([0.125] * 6), "0.2 of 1.6 km"
    assert windows.select("incidents", "hits", "most_hits").unique().rows() == [(14.0, 14.0, 14.0)]
    assert scores["pai"].to_list() == pytest.approx([8.0] * 3) and scores["gain"].to_list() == [0.0] * 3
    assert windows["origin_date"].unique().sort().to_list() == [START - timedelta(days=days) for days in (21, 7)]


def test_an_incident_at_a_junction_is_a_hit_in_parts(tmp_path: Path) -> None:
    windows, _ = scored(tmp_path, incidents((X, Y), repeats=60))
    assert windows.select("incidents", "hits").unique().rows() == [(7.0, 3.5)], "two of the four streets are selected"


def test_the_scored_list_is_the_one_that_is_issued(tmp_path: Path) -> None:
    """Segments east of the junction are busy at first, later those west of it: only the second window knows."""
    early = incidents((X + 250, Y), (X + 350, Y), repeats=30).with_columns(pl.col("occ_date") - timedelta(days=40))
    points = pl.concat([early, incidents((X - 50, Y), (X - 150, Y), repeats=30)])
    windows, _ = scored(tmp_path, points, km=0.2)
    for origin, hits in windows.filter(model="listed").select("origin_date", "hits").iter_rows():
        issued = predict_streets(points, task(tmp_path, km=0.2), origin, 7).frame.filter("is_selected")
        ids = {f"street@N{Y:.2f}E{x:.2f}" for x in (X - 50, X - 150)}
        assert hits == 7 * len(ids & set(issued["cell_id"]))


def test_equal_counts_are_ordered_by_what_is_around_them(tmp_path: Path) -> None:
    busy = incidents((X + 150, Y), repeats=40)
    lone = incidents((X + 250, Y), (X, Y - 350), repeats=1)
    risk = predict_streets(pl.concat([busy, lone]), task(tmp_path), START, 7).frame
    assert risk["cell_id"][:3].to_list() == [
        f"street@N{y:.2f}E{x:.2f}" for x, y in ((X + 150, Y), (X + 250, Y), (X, Y - 350))
    ]


def test_windows_without_points_before_them_are_noted_and_points_that_end_early_refused(tmp_path: Path) -> None:
    notes: list[str] = []
    points, wanted = incidents(*STEADY, repeats=30), task(tmp_path)
    backtest_streets(points, wanted, START - timedelta(days=7), 7, 4, 14, note=notes.append)
    assert "2 of 4 windows have no known points before them, or an outage, and no score" in notes
    with pytest.raises(PointsError, match=r"the points end on .*, within the last window"):
        backtest_streets(points, wanted, START, 7, 1, 14)
    with pytest.raises(PointsError, match="no window has a score"):
        backtest_streets(points, wanted, START - timedelta(days=60), 7, 1, 14)


def test_windows_and_scores_are_written(tmp_path: Path) -> None:
    incidents(*STEADY, repeats=60).write_csv(tmp_path / "points.csv")
    source, folder = own_data.Source(tmp_path / "points.csv"), tmp_path / "scores"
    scores = own_data.backtest_risk(source, task(tmp_path), START - timedelta(days=7), 7, 2, 14, folder)
    assert pl.read_parquet(folder / "scores.parquet").equals(scores)
    assert {path.name for path in folder.iterdir()} == {"scores.parquet", "windows.parquet"}
