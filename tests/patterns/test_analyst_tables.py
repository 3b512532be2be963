"""The analyst's tables as the nightly run makes them: from nothing, from one incident, from a year."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest

from pipelines import warehouse
from pipelines.patterns import nightly
from pipelines.release import dictionary
from pipelines.settings import Settings

END = date(2026, 3, 3)
MINE = (
    "concentration", "lorenz", "point_pattern_test", "point_pattern_places", "aoristic", "control_chart", "weekly",
    "district_harm",
)  # fmt: skip
POINTS = {
    "incident_id": pl.String, "category": pl.String, "cell_id": pl.String, "admin_area_id": pl.String,
    "police_area_id": pl.String, "local_date": pl.Date, "reported_date": pl.Date, "occurred_from": pl.Datetime("us"),
    "occurred_until": pl.Datetime("us"), "x_m": pl.Float64, "y_m": pl.Float64,
}  # fmt: skip


def crime(settings: Settings, points: pl.DataFrame, cells: int = 4) -> nightly.Crime:
    """Risk cells of 100 m in one map cell of a district of Seoul."""
    row = {"cell_metres": 100, "map_cell_id": "m", "x_m": 0, "y_m": 0, "admin_area_id": "11010"}
    fine = [row | {"cell_id": f"c{number}", "x_m": 100 * number} for number in range(cells)]
    coarse = [row | {"cell_id": "m", "cell_metres": 1000}] if cells else []
    schema = {"cell_id": pl.String, "cell_metres": pl.Int32, "map_cell_id": pl.String, "x_m": pl.Int64, "y_m": pl.Int64}
    areas = {"area_id": ["11", "11010"], "tree": ["admin"] * 2, "level": ["province", "district"]}
    daily = points.group_by("cell_id", "category", "local_date").agg(pl.len().alias("incidents"))
    return nightly.Crime(
        points, daily, pl.DataFrame(fine + coarse, schema=schema), pl.DataFrame(areas), END, settings.profile
    )


def year_of_thefts(seed: int = 3) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    days = [END - timedelta(days=int(day)) for day in rng.integers(1, 500, 400)]
    delays = [timedelta(days=int(late)) for late in rng.integers(0, 3, 400)]
    frame = {
        "incident_id": [str(number) for number in range(400)],
        "category": rng.choice(["theft", "burglary"], 400).tolist(),
        "cell_id": [f"c{number}" for number in rng.integers(0, 4, 400)],
        "admin_area_id": "11010",
        "police_area_id": None,
        "local_date": days,
        "reported_date": [day + late for day, late in zip(days, delays, strict=True)],
        "occurred_from": [datetime(day.year, day.month, day.day, 7) for day in days],
        "occurred_until": [datetime(day.year, day.month, day.day, 7) + timedelta(minutes=500) for day in days],
        "x_m": rng.integers(0, 40, 400) * 10.0,
        "y_m": 0.0,
    }  # fmt: skip
    return pl.DataFrame(frame, schema=POINTS)


@pytest.fixture
def con(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.connect(settings) as con:
        yield con


@pytest.mark.parametrize(("incidents", "cells"), [(400, 4), (1, 4), (0, 4), (0, 0)])
def test_every_table_has_the_columns_and_types_of_the_dictionary_even_from_nothing(
    con: duckdb.DuckDBPyConnection, settings: Settings, incidents: int, cells: int
) -> None:
    made = crime(settings, year_of_thefts().head(incidents), cells)
    for table in MINE:
        warehouse.write_frame(con, "patterns", table, nightly.TABLES[table](made))
    assert dictionary.problems(con, "patterns") == []
    for table in MINE:
        grain = ", ".join(dictionary.load().tables[f"patterns.{table}"].grain)
        doubled = f"select count(*) from (select 1 from patterns.{table} group by {grain} having count(*) > 1)"
        assert con.execute(doubled).fetchall() == [(0,)], table
        assert incidents < 400 or con.execute(f"select count(*) > 0 from patterns.{table}").fetchall() == [(True,)]


def test_the_order_of_the_records_changes_no_hash(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    hashes = []
    for seed in range(3):
        made = crime(settings, year_of_thefts().sample(fraction=1, shuffle=True, seed=seed))
        for table in MINE:
            warehouse.write_frame(con, "patterns", table, nightly.TABLES[table](made))
        hashes.append([warehouse.logical_hash(con, "patterns", table) for table in MINE])
    assert hashes[0] == hashes[1] == hashes[2]


def test_days_that_are_not_complete_yet_are_left_out_of_the_series(settings: Settings) -> None:
    whole = crime(settings, year_of_thefts())
    early = nightly.Crime(
        whole.points, whole.daily, whole.cells, whole.areas, END, settings.profile, END - timedelta(days=2)
    )
    for table in ("weekly", "point_pattern_test"):
        ends = nightly.TABLES[table](early)["window_end_date"].unique().to_list()
        assert ends == [END - timedelta(days=2)], table
    assert nightly.TABLES["control_chart"](early)["week_start_date"].max() == END - timedelta(days=9)
