"""Risk of street segments: where lines are cut, which segment a point is in, and what is expected and selected."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import polars as pl
import pytest
import shapely

from pipelines.forecast.risk import own_points
from pipelines.forecast.risk.own_streets import StreetTask, predict_streets
from pipelines.forecast.risk.point_columns import PointsError
from pipelines.steps import own_data
from pipelines.steps.own_files import OwnDataError
from tests.forecast.risk.test_own_points import START, boundary

X, Y = 631_000.0, 4_831_000.0
"""The crossing of two streets of 800 m."""
CROSS = [[(X - 400, Y), (X + 400, Y)], [(X, Y - 400), (X, Y + 400)]]


def task(
    tmp_path: Path, lines: list[list[tuple[float, float]]] = CROSS, longest: float = 100, km: float = 0.2
) -> StreetTask:
    path = tmp_path / "streets.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.LineString(line) for line in lines], crs="EPSG:26917").to_file(path)
    return StreetTask("EPSG:26917", boundary(tmp_path), path, longest, km)


def incidents(*places: tuple[float, float], repeats: int = 20, **columns: object) -> pl.DataFrame:
    days = [START - timedelta(days=1 + day) for day in range(repeats) for _ in places]
    east, north = zip(*places * repeats, strict=True)
    return pl.DataFrame({"occ_date": days, "x": east, "y": north}).with_columns(**columns)  # type: ignore[arg-type]


def streets_of(risk: own_points.Risk) -> np.ndarray:
    return shapely.from_wkb(risk.frame["geometry"].to_numpy())


def test_lines_are_cut_where_they_cross_and_to_the_longest_length(tmp_path: Path) -> None:
    segments = streets_of(predict_streets(incidents((X + 50, Y)), task(tmp_path, longest=150), START, 7))
    assert shapely.length(segments).tolist() == pytest.approx([400 / 3] * 12)
    assert shapely.line_merge(shapely.union_all(segments)).length == pytest.approx(1600)


def test_streets_end_at_the_boundary(tmp_path: Path) -> None:
    outside = [[(X - 2_000, Y), (X + 2_000, Y)]]
    segments = streets_of(predict_streets(incidents((X, Y)), task(tmp_path, outside, 4_000), START, 7))
    assert shapely.length(segments).tolist() == pytest.approx([2_000], rel=1e-3)


def test_the_segment_with_the_incidents_is_first_and_those_next_to_it_follow(tmp_path: Path) -> None:
    risk = predict_streets(incidents((X + 150, Y + 8)), task(tmp_path), START, 7)
    middles = shapely.get_coordinates(shapely.centroid(streets_of(risk)))
    assert middles[0].tolist() == pytest.approx([X + 150, Y])
    assert sorted(middles[1:3, 0].tolist()) == pytest.approx([X + 50, X + 250])
    assert risk.frame["cell_id"][0] == f"street@N{Y:.2f}E{X + 150:.2f}"
    assert risk.frame["expected"][0] > 5 * risk.frame["expected"][1] > 0


def test_an_incident_at_a_junction_counts_in_equal_parts_in_the_streets_that_meet_there(tmp_path: Path) -> None:
    risk = predict_streets(incidents((X, Y)), task(tmp_path), START, 7).frame
    assert risk["expected"][:4].to_list() == pytest.approx([risk["expected"][0]] * 4)
    assert risk["expected"][3] > 2 * risk["expected"][4]


def test_the_selected_length_is_at_most_the_wanted_one_and_expectations_sum_to_the_level(tmp_path: Path) -> None:
    category = pl.when(pl.col("x") > X).then(pl.lit("east")).otherwise(pl.lit("west"))
    points = incidents((X + 150, Y), (X - 350, Y), repeats=200, category=category)
    risk = predict_streets(points, task(tmp_path, km=0.35), START, 7)
    assert risk.frame.columns == [
        "cell_id", "category", "expected", "rank", "is_selected", "ranking_method", "gain", "gain_low", "gain_high",
        "geometry",
    ]  # fmt: skip
    by_category = risk.frame.group_by("category").agg(pl.col("expected").sum(), pl.col("is_selected").sum(), pl.len())
    assert by_category.select(pl.exclude("expected")).sort("category").rows() == [("east", 3, 16), ("west", 3, 16)]
    assert by_category["expected"].to_list() == pytest.approx([7, 7], rel=0.1)


def test_the_order_of_the_points_changes_nothing(tmp_path: Path) -> None:
    points, wanted = incidents((X + 150, Y), (X, Y), (X - 20, Y + 5)), task(tmp_path)
    frames = [
        predict_streets(rows, wanted, START, 7).frame for rows in (points, points.sample(60, shuffle=True, seed=1))
    ]
    assert frames[0].drop("expected").equals(frames[1].drop("expected"))
    assert frames[0]["expected"].to_list() == pytest.approx(frames[1]["expected"].to_list())


def test_points_without_a_street_are_counted_and_left_out(tmp_path: Path) -> None:
    notes: list[str] = []
    points = incidents((X + 150, Y), (X + 150, Y + 51), (X + 150, Y - 49))
    predict_streets(points, task(tmp_path), START, 7, note=notes.append)
    assert "20 of 60 points are over 50 m from every street and are left out" in notes


def test_points_from_the_start_on_are_ignored(tmp_path: Path) -> None:
    points, wanted = incidents((X + 150, Y)), task(tmp_path)
    later = incidents((X - 150, Y)).with_columns(pl.col("occ_date") + timedelta(days=60))
    frames = [predict_streets(rows, wanted, START, 7).frame for rows in (points, pl.concat([points, later]))]
    assert frames[0].equals(frames[1])


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        ((X + 200, Y + 300), {}, r"no point is within 50 m of a street: check .*streets.gpkg and --crs"),
        ((X, Y), {"lines": [[(X, Y + 5_000), (X, Y + 6_000)]]}, r"no line of .*streets.gpkg is inside the boundary"),
        ((X, Y), {"longest": 0}, "--cell must be 0.001 to 100000 metres, --length-km above 0"),
        ((X, Y), {"km": 0}, "--length-km above 0"),
        ((X, Y), {"longest": 0.001}, "1,600,000 segments of --cell, and memory is planned for 500,000: use a larger"),
    ],
)
def test_unusable_streets_report_what_to_change(
    tmp_path: Path, place: tuple[float, float], change: dict[str, object], message: str
) -> None:
    with pytest.raises(PointsError, match=message):
        predict_streets(incidents(place), task(tmp_path, **change), START, 7)  # type: ignore[arg-type]


def test_a_layer_of_anything_but_lines_is_refused(tmp_path: Path) -> None:
    wanted = StreetTask("EPSG:26917", boundary(tmp_path), boundary(tmp_path), 100, 1)
    with pytest.raises(PointsError, match="feature 1 is a Polygon, not a line: give streets as lines"):
        predict_streets(incidents((X, Y)), wanted, START, 7)


def test_lines_without_a_geometry_are_noted_and_so_is_a_length_that_selects_all(tmp_path: Path) -> None:
    notes, wanted = list[str](), task(tmp_path, km=2)
    lines = [shapely.LineString(line) for line in CROSS]
    gpd.GeoDataFrame(geometry=[None, *lines, shapely.LineString()], crs="EPSG:26917").to_file(wanted.streets)
    assert predict_streets(incidents((X + 150, Y)), wanted, START, 7, note=notes.append).frame["is_selected"].all()
    assert f"2 of 4 features of the streets {wanted.streets} have no geometry and are left out" in notes
    assert "--length-km 2 is enough for all 1.6 km: every segment is selected" in notes


@pytest.mark.parametrize("name", ["streets.gpkg", "streets.parquet", "streets.geojson"])
def test_streets_of_any_line_file_are_ranked_and_written(tmp_path: Path, name: str) -> None:
    wanted = task(tmp_path)
    layer = gpd.read_file(wanted.streets)
    path = tmp_path / name
    if name.endswith(".parquet"):
        layer.to_parquet(path)
    elif name.endswith(".geojson"):
        layer.to_crs(4326).to_file(path)
    incidents((X + 150, Y)).write_csv(tmp_path / "points.csv")
    at, target = replace(wanted, streets=path), tmp_path / "risk.geojson"
    own_data.predict_risk(own_data.Source(tmp_path / "points.csv"), at, START, 7, target)
    written = gpd.read_file(target)
    assert len(written) == 16 and set(written.geom_type) == {"LineString"} and written["is_selected"].sum() == 2
    with pytest.raises(OwnDataError, match="is a file that is read"):
        own_data.predict_risk(own_data.Source(tmp_path / "points.csv"), replace(at, streets=target), START, 7, target)
