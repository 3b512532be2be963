"""Risk on your own points: units, boundaries, formats, and rejected input."""

import os
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import polars as pl
import pytest
import shapely
from pyproj import Transformer

from pipelines.forecast.risk import own_grid, own_points
from pipelines.forecast.risk.evaluation.rolling import CategoryLists, Listed
from pipelines.forecast.risk.history import day_number
from pipelines.forecast.risk.models.stack import Choice
from pipelines.forecast.risk.own_points import PointsError, Task
from pipelines.steps import own_data, own_files

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
START = date(2026, 1, 1)


def boundary(tmp_path: Path, crs: str = "EPSG:26917") -> Path:
    box = gpd.GeoDataFrame(geometry=[shapely.box(630_000, 4_830_000, 632_000, 4_832_000)], crs="EPSG:26917")
    path = tmp_path / "boundary.geojson"
    box.to_crs(4326).to_file(path, driver="GeoJSON")
    return path


def some(**overrides: object) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    n = 400
    frame = pl.DataFrame(
        {
            "occurred_at": [datetime(2025, 12, 31) - timedelta(days=int(d)) for d in rng.integers(0, 200, n)],
            "x": np.where(rng.random(n) < 0.5, 631_125.0, rng.uniform(630_010, 631_990, n)),
            "y": np.where(rng.random(n) < 0.5, 4_831_125.0, rng.uniform(4_830_010, 4_831_990, n)),
        }
    )
    return frame.with_columns(**overrides)  # type: ignore[arg-type]


def test_one_row_per_cell_and_the_selection_within_the_area(tmp_path: Path) -> None:
    risk = own_points.predict_points(some(), Task("EPSG:26917", boundary(tmp_path), 250, 0.3), START, 7)
    assert risk.frame.columns == [
        "cell_id", "category", "expected", "rank", "is_selected", "ranking_method", "gain", "gain_low", "gain_high",
        "geometry",
    ]  # fmt: skip
    assert risk.frame["ranking_method"].unique().to_list() == ["count; under a year of history"]
    assert risk.frame["gain"].null_count() == risk.frame.height, "no earlier month had trained boosting"
    assert risk.frame["cell_id"].is_unique().all()
    assert risk.frame["is_selected"].sum() == 4
    assert risk.frame["cell_id"][0] == "250mN483100E63100"
    outlines = shapely.from_wkb(risk.frame.filter("is_selected")["geometry"].to_numpy())
    assert shapely.area(outlines).sum() <= 0.3e6
    assert risk.frame["expected"].sum() == pytest.approx(400 / 200 * 7, rel=0.2)


def test_points_in_degrees_use_the_local_utm_zone(tmp_path: Path) -> None:
    metric = some()
    lon, lat = (
        gpd.GeoSeries(gpd.points_from_xy(metric["x"], metric["y"]), crs="EPSG:26917")
        .to_crs(4326)
        .pipe(lambda s: (s.x, s.y))
    )
    degrees = metric.drop("x", "y").with_columns(pl.Series("lon", lon.to_numpy()), pl.Series("lat", lat.to_numpy()))
    risk = own_points.predict_points(degrees, Task("EPSG:4326", boundary(tmp_path), 250, 0.3), START, 7)
    assert risk.crs == "EPSG:32617"
    assert risk.frame["cell_id"][0] == "250mN483100E63100"


def test_a_grid_in_feet_has_cells_of_the_requested_metres(tmp_path: Path) -> None:
    outline = gpd.GeoDataFrame(geometry=[shapely.box(7_640_000, 690_000, 7_642_000, 692_000)], crs="EPSG:2913")
    outline.to_file(tmp_path / "feet.gpkg")
    east, north = [7_640_010.0, 7_641_990.0], [690_010.0, 691_990.0]
    frame = pl.DataFrame({"occ_date": [START - timedelta(days=1)] * 2, "x": east, "y": north})
    risk = own_points.predict_points(frame, Task("EPSG:2913", tmp_path / "feet.gpkg", 76.2, 0.01), START, 7)
    sides = shapely.bounds(shapely.from_wkb(risk.frame["geometry"].to_numpy()))
    assert sides[:, 2] - sides[:, 0] == pytest.approx(250, rel=1e-4)


def test_each_category_is_ranked_on_its_own(tmp_path: Path) -> None:
    frame = some(category=pl.when(pl.col("x") > 631_000).then(pl.lit("east")).otherwise(pl.lit("west")))
    risk = own_points.predict_points(frame, Task("EPSG:26917", boundary(tmp_path), 500, 1), START, 7).frame
    assert risk.group_by("category").agg(pl.col("is_selected").sum()).sort("category").rows() == [
        ("east", 4),
        ("west", 4),
    ]


def test_the_order_of_the_points_changes_nothing(tmp_path: Path) -> None:
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    frame = some(category=pl.when(pl.col("x") > 631_000).then(pl.lit("east")).otherwise(pl.lit("west")))
    shuffled = frame.sample(frame.height, shuffle=True, seed=5)
    assert own_points.predict_points(shuffled, task, START, 7).frame.equals(
        own_points.predict_points(frame, task, START, 7).frame
    )


def test_the_selected_of_equal_cells_are_not_the_first_of_the_grid(tmp_path: Path) -> None:
    """With a single point in the middle, all cells far from it are equal."""
    frame = pl.DataFrame({"occ_date": [START - timedelta(days=9)], "x": [631_125.0], "y": [4_831_125.0]})
    issued = own_points.predict_points(frame, Task("EPSG:26917", boundary(tmp_path), 50, 3), START, 7).frame
    cells = issued.sort("cell_id").with_row_index("at")
    of_equals = cells.filter(pl.col("expected") == cells["expected"].min())
    chosen = of_equals.filter("is_selected")["at"].to_numpy()
    assert 0 < chosen.size < of_equals.height
    assert (chosen < len(cells) / 2).mean() == pytest.approx(0.5, abs=0.2)


def test_expected_counts_of_two_hundred_days_differ_from_cell_to_cell(tmp_path: Path) -> None:
    frame = own_points.predict_points(some(), Task("EPSG:26917", boundary(tmp_path), 250, 0.3), START, 7).frame
    assert frame.sort("rank")["expected"].is_sorted(descending=True)
    busiest = frame.filter(pl.col("rank") == 1)
    assert busiest["cell_id"].item() == "250mN483100E63100"
    assert busiest["expected"].item() > 5 * frame["expected"].median() > 0


def test_points_from_the_start_on_are_ignored(tmp_path: Path) -> None:
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    later = some(occurred_at=pl.col("occurred_at") + timedelta(days=400))
    single = own_points.predict_points(some(), task, START, 7)
    two = own_points.predict_points(pl.concat([some(), later]), task, START, 7)
    assert single.frame.equals(two.frame)


def test_both_formats_are_written_and_read_back(tmp_path: Path) -> None:
    risk = own_points.predict_points(some(), Task("EPSG:26917", boundary(tmp_path), 500, 1), START, 7)
    own_points.save(risk, tmp_path / "risk.parquet")
    own_points.save(risk, tmp_path / "risk.geojson")
    assert gpd.read_parquet(tmp_path / "risk.parquet").crs == "EPSG:26917"
    assert len(gpd.read_file(tmp_path / "risk.geojson")) == risk.frame.height
    with pytest.raises(PointsError, match=r"\.parquet or \.geojson"):
        own_points.save(risk, tmp_path / "risk.shp")


@pytest.mark.parametrize(
    ("frame", "change", "message"),
    [
        (some().drop("x"), {}, "lack coordinates"),
        (some().clear(), {}, "there are no points: the file has no rows"),
        (
            some().rename({"x": "y", "y": "x"}),
            {},
            "none of 400 points is inside the boundary: the median of x, y is 48.*, 63.*, and the boundary is "
            "from 63.*; with x and y swapped 400 are inside: correct them, or the axes of the boundary",
        ),
        (some().drop("occurred_at"), {}, "lack a time"),
        (some(occurred_at=pl.lit("yesterday")), {}, "empty or unreadable in 400 points"),
        (some(occurred_at=pl.lit("03/04/2020")), {}, r"row 1: occurred_at '03/04/2020' may be day and month or month"),
        (some(occurred_at=pl.lit("0020-03-04")), {}, "row 1: occurred_at '0020-03-04' is outside 1900 to 2100"),
        (some(known_at=pl.lit("soon")), {}, "known_at is empty or unreadable in 400 points"),
        (some(occurred_at=pl.lit("2020-13-04")), {}, "empty or unreadable in 400 points"),
        (some(occurred_at=pl.lit(1_577_836_800)), {}, "empty or unreadable in 400 points"),
        (some(x=pl.lit(0.0)), {}, "the median of x, y is 0, 48.*, and the boundary is from 63.*; check --crs"),
        (some(x=pl.lit("")), {}, "none of 400 points is inside the boundary: all their x and y are empty"),
        (
            some(occurred_at=pl.lit(datetime(2027, 1, 1))),
            {},
            "no point inside the boundary is before --start 2026-01-01: they begin on 2027-01-01, so use",
        ),
        (
            some(known_at=pl.lit("2027-01-01")),
            {},
            r"no point inside the boundary was known \(known_at\) before --start 2026-01-01: use a later --start",
        ),
        (
            some(),
            {"cell_metres": 2100, "area_km2": 9},
            "a cell of 2100 m is larger than the boundary, which has 4.* km²: use a --cell below 2000",
        ),
        (some(), {"area_km2": 0.01}, "less than one cell"),
        (some(), {"cell_metres": 0.01}, "about 40,000,000,000 cells of 0.01 m, and memory is planned for 500,000: use"),
        (some(), {"cell_metres": 1e-200}, "--cell must be 0.001 to 100000 metres"),
        (some(), {"cell_metres": 0.001}, "memory is planned for 500,000: use --cell 3 or more"),
        (some(category=pl.int_range(pl.len())), {"cell_metres": 10}, "400 categories has about 16,000,000 cells"),
        (some(), {"area_km2": float("inf")}, "--area-km2 above 0"),
        (some(), {"cell_metres": -1}, "above 0"),
    ],
)
def test_unusable_points_report_what_to_change(
    tmp_path: Path, frame: pl.DataFrame, change: dict[str, float], message: str
) -> None:
    task = {"crs": "EPSG:26917", "boundary": boundary(tmp_path), "cell_metres": 250.0, "area_km2": 0.3} | change
    with pytest.raises(PointsError, match=message):
        own_points.predict_points(frame, Task(**task), START, 7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written",
    [
        pl.Series(["2020-01-01T00:30:00-05:00", "2020-01-01 23:30:00+09:00", "2020/01/01 04:00", "20200101"]),
        pl.Series([datetime(2020, 1, 1, 23, 30, tzinfo=ZoneInfo("America/Toronto"))] * 4),
        pl.Series([date(2020, 1, 1)] * 4),
        pl.Series([20200101] * 4),
    ],
    ids=["text", "zoned", "days", "numbers"],
)
def test_a_time_counts_on_its_own_local_date(tmp_path: Path, written: pl.Series) -> None:
    frame = pl.DataFrame({"occurred_at": written, "x": 631_125.0, "y": 4_831_125.0})
    there = own_grid.place(frame, Task("EPSG:26917", boundary(tmp_path), 250, 0.3))
    assert there.history.events["all"].day.tolist() == [day_number(date(2020, 1, 1))] * 4


def test_times_of_a_csv_are_read_as_they_are_written(tmp_path: Path) -> None:
    csv = tmp_path / "points.csv"
    csv.write_text("occurred_at,x,y\n2020-01-01T22:30:00-05:00,631125,4831125\n")
    there = own_grid.place(own_files.read(csv), Task("EPSG:26917", boundary(tmp_path), 250, 0.3))
    assert there.last_day == day_number(date(2020, 1, 1))
    csv.write_text("occurred_at,x,y\n03/04/2020,631125,4831125\n")
    with pytest.raises(PointsError, match="YYYY-MM-DD"):
        own_data.backtest_risk(
            own_data.Source(csv), Task("EPSG:26917", boundary(tmp_path), 250, 0.3), START, 7, 1, 7, tmp_path
        )


def test_days_are_read_in_the_order_that_their_column_shows(tmp_path: Path) -> None:
    frame = pl.DataFrame({"occurred_at": ["03/04/2020 23:30", "3/14/2020 1:00 PM"], "x": 631_125.0, "y": 4_831_125.0})
    there = own_grid.place(frame, Task("EPSG:26917", boundary(tmp_path), 250, 0.3))
    assert there.history.events["all"].day.tolist() == [day_number(date(2020, 3, day)) for day in (4, 14)]


def test_a_point_is_seen_from_the_day_after_it_became_known(tmp_path: Path) -> None:
    known = pl.Series(["2020-01-05 10:00", "2019-12-01", ""])
    frame = pl.DataFrame({"occurred_at": "2020-01-01", "x": 631_125.0, "y": 4_831_125.0, "known_at": known})
    (events,) = own_grid.place(frame, Task("EPSG:26917", boundary(tmp_path), 250, 0.3)).history.events.values()
    assert sorted(events.known_from) == [day_number(date(2020, 1, day)) for day in (2, 2, 6)]


def test_points_without_a_category_are_a_category_of_their_own(tmp_path: Path) -> None:
    frame = some().head(3).with_columns(category=pl.Series([None, " ", "theft"]))
    there = own_grid.place(frame, Task("EPSG:26917", boundary(tmp_path), 250, 0.3))
    assert {name: single.cell.size for name, single in there.history.events.items()} == {"theft": 1, "unknown": 2}


def test_points_outside_the_boundary_do_not_count_even_in_a_cell_that_touches_it(tmp_path: Path) -> None:
    frame = some().head(4).with_columns(x=pl.Series([631_999.0, 632_001.0, None, 631_999.0]), y=4_831_125.0)
    reported: list[str] = []
    task = Task("EPSG:26917", boundary(tmp_path), 300, 0.3)
    assert own_grid.place(frame, task, reported.append).history.events["all"].cell.size == 2
    assert reported == ["2 of 4 points are outside the boundary, or have no coordinates, and are left out"]


def test_a_backtest_beyond_the_points_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PointsError, match="the points end on 2025-12-31"):
        own_points.backtest_points(some(), Task("EPSG:26917", boundary(tmp_path), 250, 0.3), START, 7, 2, 7)


def test_points_elsewhere_show_that_a_place_without_incidents_was_known(tmp_path: Path) -> None:
    elsewhere = some().head(1).with_columns(occurred_at=datetime(2026, 1, 7), x=631_000.0, y=4_900_000.0)
    points, task = pl.concat([some(), elsewhere]), Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    assert own_points.backtest_points(points, task, START, 7, 2, 7).windows.height


def test_windows_that_are_not_scored_are_noted_and_more_than_a_century_is_refused(tmp_path: Path) -> None:
    task, notes = Task("EPSG:26917", boundary(tmp_path), 250, 0.3), list[str]()
    own_points.backtest_points(some(), task, date(2025, 12, 20), 7, 2, 300, note=notes.append)
    assert "1 of 2 windows begin before any point is known and are not scored" in notes
    for call in (
        lambda: own_points.backtest_points(some(), task, START, 7, 10**8, 1),
        lambda: own_points.predict_points(some(), task, START, 10**7),
    ):
        with pytest.raises(PointsError, match="the windows span more than a century: use fewer --days or --origins"):
            call()


def test_a_backtest_without_any_score_is_refused(tmp_path: Path) -> None:
    months = [date(2024, month, 1) for month in range(1, 11) for _ in range(40)]
    frame = some(occurred_at=pl.Series(months))
    with pytest.raises(PointsError, match="no window has a score: all are without incidents or in an outage"):
        own_points.backtest_points(frame, Task("EPSG:26917", boundary(tmp_path), 500, 1), date(2024, 9, 1), 30, 2, 30)


def long_history(days: int, seed: int = 3) -> pl.DataFrame:
    """Two categories, one sparse, with a few busy places and a fortnight without records."""
    rng = np.random.default_rng(seed)
    day = rng.integers(0, days, 4_000)
    busy = rng.random(4_000) < 0.5
    at = {axis: np.where(busy, low + 125 + 250 * rng.integers(0, 3, 4_000), rng.uniform(low + 10, low + 1_990, 4_000))
          for axis, low in (("x", 630_000), ("y", 4_830_000))}  # fmt: skip
    frame = pl.DataFrame({"occurred_at": [START - timedelta(days=int(d) + 1) for d in day], **at}).with_columns(
        category=pl.Series(np.where(rng.random(4_000) < 0.95, "theft", "arson"))
    )
    is_outage = pl.col("occurred_at").is_between(START - timedelta(days=330), START - timedelta(days=316))
    return frame.filter(~is_outage)


def test_a_backtest_scores_the_list_that_predict_issues_cell_by_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, task = long_history(800), Task("EPSG:26917", boundary(tmp_path), 250, 0.3, own_grid.GRID)
    scored: dict[tuple[str, int], Listed] = {}
    listed = CategoryLists.listed

    def watched(lists: CategoryLists, origin: int, chosen: Choice) -> Listed:
        scored[lists.category, origin] = listed(lists, origin, chosen)
        return scored[lists.category, origin]

    monkeypatch.setattr(CategoryLists, "listed", watched)
    windows = own_points.backtest_points(points, task, START - timedelta(days=30), 28, 4, 30).windows
    monkeypatch.undo()
    cell_ids = own_grid.place(points, task).cells["cell_id"]
    for back in range(4):
        start = START - timedelta(days=30 * (back + 1))
        issued = own_points.predict_points(points, task, start, 28).frame
        for category, single in issued.group_by("category"):
            list_then = scored[str(category[0]), day_number(start)]
            assert single["cell_id"].to_list() == cell_ids.gather(list_then.order).to_list()
            assert single["expected"].to_list() == (list_then.expected[list_then.order] * 28).tolist()
            assert single["is_selected"].sum() == windows["cells"].unique().item() == 4


def test_later_points_change_neither_the_list_nor_what_is_scored_before_them(tmp_path: Path) -> None:
    points, task = long_history(800), Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    start = START - timedelta(days=120)
    earlier = points.filter(pl.col("occurred_at") < start)
    frames = [own_points.predict_points(known, task, start, 28).frame for known in (points, earlier)]
    assert frames[0].equals(frames[1])


def test_a_backtest_gives_every_window_and_the_pool(tmp_path: Path) -> None:
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    windows, pooled, curves, calibration = own_points.backtest_points(some(), task, date(2025, 12, 20), 7, 3, 7)
    assert windows["origin_date"].unique().sort().to_list() == [date(2025, 12, d) for d in (6, 13, 20)]
    assert pooled["hits"].sum() == windows["hits"].sum()
    assert pooled.filter(pl.col("model") == "stack")["pai"].item() > 3
    # All models are compared with the same incidents, in the curve and in every model's bands.
    total = pooled["incidents"].unique().to_list()
    assert curves["incidents"].unique().to_list() == total
    assert (
        calibration.filter(pl.col("band") > 0)
        .group_by("model")
        .agg(pl.col("incidents").sum())["incidents"]
        .unique()
        .to_list()
        == total
    )


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared data are not at {SHARED} (BONGSU_SHARED_DATA)")
def test_portland_vehicle_theft_is_found_better_than_by_the_best_count() -> None:
    folder = SHARED / "portland_nij"
    thefts = pl.read_csv(folder / "vehicle_theft.csv", try_parse_dates=True)
    task = Task("EPSG:2913", folder / "police_districts.shp", 76.2, 19.1)  # 5 % of the area
    pooled = own_points.backtest_points(thefts, task, date(2017, 2, 1), 28, 6, 28).scores
    row = pooled.filter(model="stack").row(0, named=True)
    assert row["pai"] > 6 and row["gain_low"] > 0


def test_a_boundary_without_a_crs_is_refused_with_what_to_add(tmp_path: Path) -> None:
    path = tmp_path / "boundary.shp"
    gpd.GeoDataFrame(geometry=[shapely.box(500_000, 0, 500_001, 1)], crs="EPSG:26917").to_file(path)
    path.with_suffix(".prj").unlink()
    with pytest.raises(PointsError, match=r"boundary\.shp states no CRS, .* not degrees .*: add its \.prj"):
        own_points.predict_points(some(), Task("EPSG:26917", path, 250, 0.3), START, 7)


def test_a_backtest_before_the_first_point_names_what_to_change(tmp_path: Path) -> None:
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    with pytest.raises(
        PointsError, match=r"no point inside the boundary is before --start 2020-01-01: they begin on 2025-"
    ):
        own_points.backtest_points(some(), task, date(2020, 1, 1), 7, 2, 7)
    late = some(known_at=pl.lit("2027-01-01"))
    with pytest.raises(
        PointsError, match=r"was known \(known_at\) before --start 2025-12-20: use a later --start, or leave"
    ):
        own_points.backtest_points(late, task, date(2025, 12, 20), 7, 2, 7)


def refused(
    points: pl.DataFrame, message: str, crs: str = "EPSG:26917", outline: Path | None = None, tmp_path: Path = Path()
) -> None:
    with pytest.raises(PointsError, match=message):
        own_grid.place(points, Task(crs, outline or boundary(tmp_path), 250, 0.3))


@pytest.mark.parametrize(
    ("crs", "message"),
    [
        ("EPSG:99999", "--crs EPSG:99999 is not a known CRS"),
        ("EPSG:4978", "--crs EPSG:4978 is neither in degrees nor a projection"),
        ('LOCAL_CS["site",UNIT["metre",1]]', "is neither in degrees nor a projection"),
        ("EPSG:3857", "100 m in it are 7. m in the place"),
        ("EPSG:2913", "--crs EPSG:2913 is for .*Oregon.*, but the boundary is at .* latitude 43.6.: check both"),
    ],
)
def test_a_crs_that_is_unknown_or_not_true_to_scale_in_the_place_is_refused(
    tmp_path: Path, crs: str, message: str
) -> None:
    refused(some(), message, crs, tmp_path=tmp_path)


def test_swapped_axes_of_a_boundary_are_seen_by_the_points_and_by_the_region_of_the_crs(tmp_path: Path) -> None:
    """In London both orders are possible degrees."""
    swapped = gpd.GeoDataFrame(geometry=[shapely.box(51.4, -0.2, 51.5, -0.1)], crs=4326)
    swapped.to_file(tmp_path / "swapped.geojson", driver="GeoJSON")
    points = pl.DataFrame({"occurred_at": "2020-01-01", "lon": [-0.15], "lat": [51.45]})
    message = (
        r"lon, lat is -0\.15, 51\.45, and the boundary is from 51\.4, -0\.2.*; with lon and lat swapped 1 are inside"
    )
    refused(points, message, "EPSG:4326", tmp_path / "swapped.geojson")
    metres = points.select("occurred_at", x=pl.lit(528_700.0), y=pl.lit(173_500.0))
    message = r"latitude -0\.15: its axes seem to be swapped; export it with longitude first"
    refused(metres, message, "EPSG:27700", tmp_path / "swapped.geojson")


def test_a_place_on_the_180th_meridian_needs_its_own_projection(tmp_path: Path) -> None:
    fiji = gpd.GeoDataFrame(geometry=[shapely.box(179.99, -17, 180, -16.99), shapely.box(-180, -17, -179.99, -16.99)])
    fiji.set_crs(4326).to_file(tmp_path / "fiji.geojson", driver="GeoJSON")
    x, y = Transformer.from_crs(4326, 3460, always_xy=True).transform([179.995, -179.995], [-16.995, -16.995])
    points = pl.DataFrame({"occurred_at": "2020-01-01", "x": x, "y": y})
    there = own_grid.place(points, Task("EPSG:3460", tmp_path / "fiji.geojson", 250, 0.3))
    assert there.history.events["all"].cell.size == 2
    degrees = points.select("occurred_at", lon=pl.Series([179.995, -179.995]), lat=pl.lit(-16.995))
    refused(degrees, "crosses the 180th meridian, which no UTM zone covers", "EPSG:4326", tmp_path / "fiji.geojson")


def test_points_of_a_few_days_are_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    own_points.predict_points(some(occurred_at=pl.lit("2025-12-30")), task, START, 7, note=notes.append)
    assert "the points reach back only 2 days before --start: expected counts may be far off" in notes


def test_a_boundary_may_be_geoparquet_and_must_be_an_area(tmp_path: Path) -> None:
    frame = gpd.read_file(boundary(tmp_path))
    frame.to_parquet(tmp_path / "area.parquet")
    assert own_grid.place(some(), Task("EPSG:26917", tmp_path / "area.parquet", 250, 0.3)).cells.height
    frame.boundary.to_file(tmp_path / "line.geojson", driver="GeoJSON")
    refused(some(), "feature 1 is a LineString, not a polygon", outline=tmp_path / "line.geojson")
    refused(some(), r"the boundary .*nothing\.geojson does not exist", outline=tmp_path / "nothing.geojson")
    (tmp_path / "text.geojson").write_text("no map")
    refused(some(), "cannot be read as a map layer", outline=tmp_path / "text.geojson")


def test_codes_keep_their_zeros_and_blank_coordinates_are_left_out(tmp_path: Path) -> None:
    frame = some().cast(pl.String).with_columns(category=pl.lit("0810")).head(20)
    blank = frame.head(3).with_columns(x=pl.Series(["", "NA", "REDACTED"]))
    notes: list[str] = []
    placed = own_grid.place(pl.concat([frame, blank]), Task("EPSG:26917", boundary(tmp_path), 250, 0.3), notes.append)
    assert list(placed.history.events) == ["0810"]
    assert "3 of 23 points are outside the boundary, or have no coordinates" in notes[0]
    refused(frame.with_columns(x=pl.lit("east")), "row 1: x 'east' is not a number", tmp_path=tmp_path)


def test_many_points_at_one_place_old_points_and_few_points_are_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    own_points.predict_points(some(), task, date(2026, 6, 1), 7, note=notes.append)
    assert any("points are at one place (631125, 4831125): check whether the geocoder" in note for note in notes)
    assert any("the points end 151 days before --start" in note for note in notes)
    notes.clear()
    own_points.predict_points(some(), task, date(2025, 12, 31), 7, note=notes.append)
    assert any(note.endswith("points are on or after --start 2025-12-31 and are not used") for note in notes)
    notes.clear()
    own_points.predict_points(some().head(20), task, START, 7, note=notes.append)
    assert any("fewer than 50 points: all; their order of cells is mostly chance" in note for note in notes)


def notes_of(points: pl.DataFrame, tmp_path: Path, area_km2: float = 0.3) -> str:
    notes: list[str] = []
    own_grid.place(points, Task("EPSG:26917", boundary(tmp_path), 250, area_km2), notes.append)
    return "\n".join(notes)


def test_some_points_with_swapped_coordinates_are_noted(tmp_path: Path) -> None:
    is_swapped = pl.int_range(pl.len()) < 9
    mixed = some(x=pl.when(is_swapped).then("y").otherwise("x"), y=pl.when(is_swapped).then("x").otherwise("y"))
    assert "and are left out; 9 would be inside with their coordinates swapped" in notes_of(mixed, tmp_path)


def test_an_area_that_is_enough_for_every_cell_is_noted_and_selects_no_more(tmp_path: Path) -> None:
    assert own_grid.place(some(), Task("EPSG:26917", boundary(tmp_path), 250, 50)).selected == 94
    assert "--area-km2 50 is enough for all 94 cells: every cell is selected" in notes_of(some(), tmp_path, 50)


def test_what_may_mislead_in_the_columns_of_points_is_noted(tmp_path: Path) -> None:
    points = some().with_columns(pl.col("occurred_at").dt.strftime("%Y-%m-%d 10:00:00"))
    assert "repeat" not in notes_of(points, tmp_path)
    repeated = notes_of(pl.concat([points, points]), tmp_path)
    assert "points repeat another one in every column, and each counts" in repeated
    in_utc = pl.col("occurred_at") + "Z"
    zulu = notes_of(
        points.with_columns(pl.when(pl.int_range(pl.len()) < 7).then(in_utc).otherwise("occurred_at")), tmp_path
    )
    assert "7 points have times in UTC and count on the date in UTC" in zulu
    zoned = some(occurred_at=pl.col("occurred_at").dt.replace_time_zone("UTC"))
    assert "400 points have times in UTC" in notes_of(zoned, tmp_path)
    months = some(occurred_at=pl.col("occurred_at").dt.truncate("1mo"))
    assert "all points are on the first of a month" in notes_of(months, tmp_path)
    cased = some(category=pl.when(pl.col("x") > 631_000).then(pl.lit("Theft")).otherwise(pl.lit("theft")))
    assert "categories 'Theft' and 'theft' differ only in case" in notes_of(cased, tmp_path)


def test_points_known_only_after_the_start_are_noted(tmp_path: Path) -> None:
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    late = pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("2026-02-01")).otherwise(pl.lit("2024-01-01"))
    notes: list[str] = []
    own_points.predict_points(some(known_at=late), task, date(2026, 1, 1), 7, note=notes.append)
    assert "3 points before --start 2026-01-01 became known after it (known_at) and are not used" in notes
    notes.clear()
    own_points.predict_points(some(), task, date(2026, 1, 1), 7, note=notes.append)
    assert not any("known_at" in note for note in notes)


def test_points_long_before_the_others_and_outages_are_noted(tmp_path: Path) -> None:
    days = [date(2023, 1, 1) + timedelta(days=number % 300) for number in range(3000)]
    frame = pl.DataFrame({"occurred_at": days, "x": 631_125.0, "y": 4_831_125.0}).with_columns(
        pl.col("occurred_at").cast(pl.String), x=pl.col("x") + pl.int_range(pl.len()) % 40
    )
    stray = frame.head(12).with_columns(occurred_at=pl.lit("1900-01-01"))
    inside = pl.col("occurred_at").is_between(pl.lit("2023-04-01"), pl.lit("2023-04-20"))
    notes: list[str] = []
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    own_grid.place(pl.concat([stray, frame.filter(~inside)]), task, notes.append)
    assert "12 points are from long before 2023-01-01, when records begin, and are not used" in notes
    assert any("points from 2023-03-31 to before 2023-04-22: taken as an outage" in note for note in notes)
    notes.clear()
    own_grid.place(frame, task, notes.append)
    assert not any("outage" in note or "begin" in note for note in notes)
