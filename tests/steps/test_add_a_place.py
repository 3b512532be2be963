"""The steps of docs/add-a-place.md: a city declared in TOML only, from its portal to a release."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.feeds.generic.socrata import COLUMNS
from pipelines.ingest import accounting
from pipelines.monitoring import alerts
from pipelines.release import reader
from pipelines.steps.build import build
from pipelines.steps.dispatch import dispatch
from pipelines.steps.forecast import forecast
from pipelines.steps.patterns import patterns
from pipelines.steps.publish import publish
from pipelines.steps.run import ingest, run
from pipelines.steps.run_settings import settings_for
from pipelines.store import warehouse
from tests import replay, soda
from tests.feeds.cities import CHICAGO, PAGE

AS_OF = "2017-06-01"
KML = """<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{}</Document></kml>"""
DISTRICT = """<Placemark><name>{name}</name><description>District {name}</description><Polygon><outerBoundaryIs>
<LinearRing><coordinates>{w},41.70 {e},41.70 {e},41.72 {w},41.72 {w},41.70</coordinates></LinearRing>
</outerBoundaryIs></Polygon></Placemark>"""

needs_chicago = pytest.mark.skipif(
    not (replay.shared_data() / "chicago").is_dir(),
    reason=f"the shared Chicago files are not at {replay.shared_data() / 'chicago'}",
)


@pytest.fixture
def profile(tmp_path: Path) -> str:
    """The page's file, as a user would save it."""
    path = tmp_path / "chicago.toml"
    path.write_text(CHICAGO, "utf-8")
    return str(path)


def addressed(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    for name, url in soda.urls(base).items():
        monkeypatch.setenv(name, url)


def test_a_city_is_loaded_into_the_marts_with_toml_only(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"date": f"2017-05-{day:02}T22:30:00.000", "longitude": lon, "latitude": "41.71", "district": district}
        for day in range(1, 30)
        for lon, district in (("-87.61", "6"), ("-87.59", "17"))
    ]
    rows += [{"date": "2017-05-30T01:00:00.000", "longitude": None, "latitude": None, "district": "17"}]
    rows += [{"date": "yesterday", "longitude": "-87.61", "latitude": "41.71", "district": "6"}]
    drawn = [DISTRICT.format(name=n, w=w, e=e) for n, w, e in (("6", -87.62, -87.60), ("17", -87.60, -87.58))]
    districts = soda.geojson(KML.format("".join(drawn)).encode())
    portal = soda.Portal(
        {soda.ASSAULTS: pl.DataFrame(rows)}, {f"/resource/{soda.DISTRICTS}.geojson": districts}, instants=("date",)
    )
    with soda.serve(portal) as base:
        addressed(monkeypatch, base)
        settings = settings_for(tmp_path / "home", profile, AS_OF)
        assert ingest(settings) == []
    build(settings)
    (load,) = [account for account in accounting.acknowledged(settings) if account.feed == "chicago_assaults"]
    assert (load.received, load.loaded, load.quarantined, load.rejected) == (60, 59, 1, 0)
    with duckdb.connect(str(settings.warehouse), read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        by_district = con.execute(
            "select admin_area_id, count(*), count(cell_id), bool_and(is_risk_allowed) filter (cell_id is not null) "
            "from core.incidents where category = 'assault' group by all order by all"
        ).fetchall()
        demand = con.execute(
            "select area_id, sum(calls) from marts.demand_hourly where hierarchy = 'admin' group by all order by all"
        ).fetchall()
    assert by_district == [("C-17", 30, 29, True), ("C-6", 29, 29, True)]
    assert [(area, int(calls)) for area, calls in demand] == [("C-17", 30), ("C-6", 29), ("CHI", 59)]


def city_of_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str, days: int = 30, untimed_hour: int | None = None
) -> Settings:
    """A city whose table has the day in one column and the time in another, loaded; one district word is unknown.

    The records of one hour may lack their time.
    """
    rows = [
        {
            "date": f"{date(2017, 6, 1) - timedelta(days=day + 1)}T00:00:00.000",
            "time_occ": None if hour == untimed_hour else f"{100 * hour + 30}",
            "longitude": "-87.61", "latitude": "41.71", "district": "6" if hour else "OTR",
        }
        for day in range(days) for hour in (0, 13, 13, 21)
    ]  # fmt: skip
    text = CHICAGO.replace('occurred_at = "date"', columns)
    (tmp_path / "city.toml").write_text(text, "utf-8")
    drawn = [DISTRICT.format(name=n, w=w, e=e) for n, w, e in (("6", -87.62, -87.60), ("17", -87.60, -87.58))]
    districts = soda.geojson(KML.format("".join(drawn)).encode())
    portal = soda.Portal(
        {soda.ASSAULTS: pl.DataFrame(rows)}, {f"/resource/{soda.DISTRICTS}.geojson": districts}, instants=("date",)
    )
    settings = settings_for(tmp_path / "home", str(tmp_path / "city.toml"), "2017-06-02")
    with soda.serve(portal) as base:
        addressed(monkeypatch, base)
        assert ingest(settings) == []
    return settings


def test_a_day_and_a_time_in_two_columns_count_in_their_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = city_of_days(tmp_path, monkeypatch, 'occurred_at = "date"\noccurred_time = "time_occ"')
    build(settings)
    with warehouse.connect(settings) as con:
        hours = con.execute("select report_hour, count(*) from core.incidents group by all order by all").fetchall()
        demand = con.execute(
            "select local_hour, sum(calls)::int from marts.demand_hourly where area_id = 'CHI' and calls > 0 "
            "group by all order by all"
        ).fetchall()
    assert hours == [(0, 30), (13, 60), (21, 30)] and [hour for hour, _ in demand] == [0, 13, 21]


def test_a_column_of_days_has_no_hour_and_no_hourly_demand_and_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = city_of_days(tmp_path, monkeypatch, 'occurred_at = "date"')
    build(settings)
    with warehouse.connect(settings) as con:
        spans = con.execute("select distinct report_hour, occurred_until - occurred_at from core.incidents").fetchall()
        assert spans == [(None, timedelta(days=1))]
        assert con.execute("from marts.demand_hourly").fetchall() == []
        untimed = con.execute("select untimed_services from marts.feed_status").fetchall()
        assert untimed == [("police",)]
        days = con.execute("select count(distinct occurrence_date) from marts.crime_points").fetchall()
        assert days == [(30,)]
    notes = "\n".join(alerts.latest(settings, settings.as_of)["message"])
    assert "120 of 120 records state no time of day and are in no hour: there is no hourly demand of police" in notes
    assert 'areas that no boundary has: "OTR" (30)' in notes


def test_days_among_times_are_in_no_hour_and_count_in_their_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = 'occurred_at = "date"\noccurred_time = "time_occ"'
    settings = city_of_days(tmp_path, monkeypatch, columns, untimed_hour=21)
    build(settings)
    patterns(settings)
    with warehouse.connect(settings) as con:
        hours = con.execute("select report_hour, count(*) from core.incidents group by all order by all").fetchall()
        demand = con.execute(
            "select local_hour, sum(calls)::int from marts.demand_hourly where area_id = 'CHI' and calls > 0 "
            "group by all order by all"
        ).fetchall()
        days = con.execute("select sum(calls)::int, count(*) from marts.demand_untimed").fetchall()
        crime = con.execute("select sum(incidents)::int, count(*) from marts.crime_daily").fetchall()
        aoristic = con.execute("select distinct incidents, untimed_incidents from patterns.aoristic").fetchall()
    assert hours == [(0, 30), (13, 60), (None, 30)]
    assert [hour for hour, _ in demand] == [0, 13]
    assert days[0][0] == days[0][1] >= 28, "one call on every day of which the hours are known"
    assert crime == [(120, 30)] and aoristic == [(90, 30)]
    notes = "\n".join(alerts.latest(settings, settings.as_of)["message"])
    assert "30 of 120 records state no time of day and are in no hour, so that forecasts of demand leave them" in notes


@pytest.mark.slow
def test_a_city_of_days_ends_in_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = city_of_days(tmp_path, monkeypatch, 'occurred_at = "date"', days=420)
    build(settings)
    for step in (patterns, forecast, dispatch, publish):
        step(settings)
    assert settings.current.is_dir()
    with warehouse.connect(settings) as con:
        hours = con.execute("select max(incidents), max(untimed_incidents) from patterns.aoristic").fetchall()
        slots = con.execute("select count(*) from forecast.risk_slots").fetchall()
        risk = con.execute("select count(*) from forecast.risk").fetchone()
    assert hours == [(0, 1460)] and slots == [(0,)]
    assert risk and risk[0] > 0, "days are enough for the risk of a day"


@pytest.mark.slow
@needs_chicago
def test_the_real_records_of_chicago_are_released_with_the_page_only(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with soda.serve(soda.chicago()) as base:
        addressed(monkeypatch, base)
        settings = settings_for(tmp_path / "home", profile, AS_OF)
        run(settings)  # fails unless every feed is fresh and every step succeeded
    loads = {load.feed: (load.received, load.loaded) for load in accounting.acknowledged(settings)}
    assert loads == {"chicago_assaults": (117_875, 117_875), "chicago_districts": (25, 25)}
    with warehouse.connect(settings) as con:
        (placed,) = con.execute("select count(admin_area_id) from core.incidents").fetchall()
    assert placed == (108_676,)
    queries = {
        "dispatch": "select count(distinct area_id) from demand_forecast where frequency = 'h' and hierarchy = 'admin'",
        "police": "select count(*) filter (is_hot) > 500 from hot_spots",
        "public": "select count(distinct area_id) from crime_quarterly",
    }
    answers = {name: reader.query(settings, sql, name).row(0)[0] for name, sql in queries.items()}
    assert answers == {"dispatch": 24, "police": True, "public": 23}


def test_the_page_lists_every_column_that_a_table_may_provide() -> None:
    text = PAGE.read_text("utf-8")
    assert [column for column in COLUMNS if f"`{column}`" not in text] == []
