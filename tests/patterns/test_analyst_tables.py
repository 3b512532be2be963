"""The analyst's tables as the nightly run makes them: from nothing, from one incident, from a year."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
import shapely

from pipelines.config.settings import Settings
from pipelines.patterns import nightly
from pipelines.schema import check, dictionary
from pipelines.steps import inputs, patterns
from pipelines.store import warehouse

END = date(2026, 3, 3)
MINE = (
    "concentration", "lorenz", "point_pattern_test", "point_pattern_places", "aoristic", "control_chart", "weekly",
    "district_harm",
)  # fmt: skip
GAPS = {"category": pl.String, "from_date": pl.Date, "until_date": pl.Date}
POINTS = {
    "incident_id": pl.String, "category": pl.String, "cell_id": pl.String, "admin_area_id": pl.String,
    "police_area_id": pl.String, "occurrence_date": pl.Date, "report_date": pl.Date, "occurred_from": pl.Datetime("us"),
    "occurred_until": pl.Datetime("us"), "x_m": pl.Float64, "y_m": pl.Float64,
}  # fmt: skip


def crime(settings: Settings, points: pl.DataFrame, cells: int = 4) -> nightly.Crime:
    """Risk cells of 100 m in one map cell of a district of Seoul."""
    row = {"cell_metres": 100, "map_cell_id": "m", "x_m": 0, "y_m": 0, "admin_area_id": "11010"}
    fine = [row | {"cell_id": f"c{number}", "x_m": 100 * number} for number in range(cells)]
    coarse = [row | {"cell_id": "m", "cell_metres": 1000}] if cells else []
    schema = {"cell_id": pl.String, "cell_metres": pl.Int32, "map_cell_id": pl.String, "x_m": pl.Int64, "y_m": pl.Int64}
    areas = {"area_id": ["11", "11010"], "hierarchy": ["admin"] * 2, "area_level": ["province", "district"]}
    daily = points.group_by("cell_id", "category", "occurrence_date").agg(pl.len().alias("incidents"))
    return nightly.Crime(
        points=points,
        daily=daily,
        cells=pl.DataFrame(fine + coarse, schema=schema),
        areas=pl.DataFrame(areas),
        complete_until=END,
        gaps=pl.DataFrame(schema=GAPS),
        area_gaps=pl.DataFrame(schema={"area_id": pl.String} | GAPS),
        profile=settings.profile,
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
        "occurrence_date": days,
        "report_date": [day + late for day, late in zip(days, delays, strict=True)],
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
def test_every_table_has_the_columns_and_types_of_the_dictionary_even_when_empty(
    con: duckdb.DuckDBPyConnection, settings: Settings, incidents: int, cells: int
) -> None:
    built = crime(settings, year_of_thefts().head(incidents), cells)
    for table in MINE:
        warehouse.write_frame(con, "patterns", table, nightly.TABLES[table](built))
    assert check.problems(con, "patterns") == []
    for table in MINE:
        grain = ", ".join(dictionary.load().tables[f"patterns.{table}"].grain)
        doubled = f"select count(*) from (select 1 from patterns.{table} group by {grain} having count(*) > 1)"
        assert con.execute(doubled).fetchall() == [(0,)], table
        assert incidents < 400 or con.execute(f"select count(*) > 0 from patterns.{table}").fetchall() == [(True,)]


def test_the_order_of_the_records_changes_no_hash(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    hashes = []
    for seed in range(3):
        built = crime(settings, year_of_thefts().sample(fraction=1, shuffle=True, seed=seed))
        for table in MINE:
            warehouse.write_frame(con, "patterns", table, nightly.TABLES[table](built))
        hashes.append([warehouse.logical_hash(con, "patterns", table) for table in MINE])
    assert hashes[0] == hashes[1] == hashes[2]


@pytest.mark.parametrize("table", nightly.TABLES)
def test_every_pattern_ends_where_the_records_do_and_not_at_the_day_of_the_run(settings: Settings, table: str) -> None:
    """A feed fell silent seven weeks ago, but for a few records: what there is of it since counts nowhere."""
    silent = END - timedelta(days=50)
    whole = crime(settings, year_of_thefts())
    areas = whole.areas.with_columns(
        population=pl.lit(None, pl.Int64), geometry=pl.lit(shapely.box(126.9, 37.5, 127.1, 37.6).wkb)
    )
    stale, then = (
        replace(crime(settings, points), complete_until=silent, areas=areas)
        for points in (whole.points, whole.points.filter(pl.col("occurrence_date") < silent))
    )
    built = nightly.TABLES[table](stale)
    assert built.equals(nightly.TABLES[table](then))
    if "window_end_date" in built.columns:
        assert built["window_end_date"].unique().to_list() in ([silent], [])


def test_an_area_with_an_unknown_day_in_the_last_year_is_in_no_pattern_of_places(settings: Settings) -> None:
    """Its lack of crime since says nothing; the week's counts name it as unknown (weekly)."""
    here = crime(settings, year_of_thefts())
    stopped = {"area_id": "11010", "category": "theft", "from_date": END - timedelta(days=30), "until_date": END}
    gone = replace(here, area_gaps=pl.DataFrame([stopped], schema={"area_id": pl.String} | GAPS)).known_areas
    assert gone.points.is_empty() and gone.areas["area_id"].to_list() == ["11"]
    long_ago = stopped | {"from_date": date(2015, 1, 1), "until_date": END - timedelta(days=400)}
    assert replace(here, area_gaps=pl.DataFrame([long_ago])).known_areas.points.height == here.points.height


def test_patterns_of_a_stale_feed_end_where_it_was_read(
    con: duckdb.DuckDBPyConnection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("crime_daily", "crime_gaps", "area_gaps", "cells", "areas"):
        monkeypatch.setattr(inputs, name, lambda _: pl.DataFrame())
    monkeypatch.setattr(patterns, "_points", lambda *_: pl.DataFrame())
    con.execute("""
        create table reference.feeds as select 'calls' as feed, 'police' as agency, 0 as delay_seconds;
        create table reference.feed_services as select 'calls' as feed, 'police' as service;
        create table reference.demand_services as select 'police' as service, 'police' as demand_service;
    """)
    today = settings.as_of.astimezone(settings.profile.zone).date()
    for days, expected in ((3, today - timedelta(days=3)), (-3, today)):
        con.execute("delete from ops.cursors")
        con.execute("insert into ops.cursors values ('calls', ?)", [settings.as_of - timedelta(days=days)])
        assert patterns.read(con, settings).complete_until == expected
    con.execute("""
        insert into reference.feeds values ('late', 'police', 0), ('never', 'police', 0);
        insert into reference.feed_services values ('late', 'police'), ('never', 'police');
    """)
    con.execute("insert into ops.cursors values ('late', ?)", [settings.as_of - timedelta(days=9)])
    assert patterns.read(con, settings).complete_until == today, "a late feed does not hold the others back"
    con.execute("update ops.cursors set fetched_through_at = fetched_through_at + interval 6 days where feed = 'late'")
    assert patterns.read(con, settings).complete_until == today - timedelta(days=3)
    con.execute("update reference.feeds set agency = 'fire'")
    assert patterns.read(con, settings).complete_until == today


def test_spans_are_compared_within_the_known_days_only(settings: Settings) -> None:
    """Records of 200 days with an outage of 40 give two spans of 77 days, not two years of which most is unknown."""
    points = year_of_thefts()
    gaps = [(name, None, END - timedelta(days=200)) for name in ("theft", "burglary")]
    gaps += [(name, END - timedelta(days=60), END - timedelta(days=20)) for name in ("theft", "burglary")]
    lacking = replace(crime(settings, points), gaps=pl.DataFrame(gaps, schema=GAPS, orient="row"))
    assert lacking.history_start == END - timedelta(days=200)
    assert lacking.closed.history_start == END - timedelta(days=160)
    assert nightly.TABLES["point_pattern_test"](lacking.closed)["window_days"].unique().to_list() == [77]


def test_crime_dated_by_month_has_no_weekly_count_and_no_pattern_of_weeks(settings: Settings) -> None:
    points = year_of_thefts()
    month = points.with_columns(
        occurrence_date=pl.col("occurrence_date").dt.month_start(),
        occurred_from=pl.col("occurrence_date").dt.month_start().cast(pl.Datetime("us")),
        occurred_until=pl.col("occurrence_date").dt.month_start().dt.offset_by("1mo").cast(pl.Datetime("us")),
    )
    dated, undated = crime(settings, points), crime(settings, month)
    assert nightly.TABLES["weekly"](dated)["incidents"].null_count() == 0
    assert nightly.TABLES["weekly"](undated)["incidents"].is_null().all()
    assert nightly.TABLES["control_chart"](undated).is_empty()
    assert not nightly.TABLES["control_chart"](dated).is_empty()
    assert not nightly.TABLES["hot_spots"](undated).is_empty()
    # Read by emerging hot spots and by space-time clusters.
    assert undated.by_week.daily.is_empty() and undated.by_week.points.is_empty()
    assert dated.by_week.daily.equals(dated.daily)
