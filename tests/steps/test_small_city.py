"""A city of two districts and one table, from its portal to a release, with sparse data."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.release import reader
from pipelines.steps.build import build
from pipelines.steps.dispatch import dispatch
from pipelines.steps.forecast import forecast
from pipelines.steps.patterns import patterns
from pipelines.steps.publish import publish
from pipelines.steps.run import ingest
from pipelines.steps.run_settings import settings_for
from pipelines.steps.score import score
from tests import soda
from tests.feeds.cities import CHICAGO

AS_OF = "2017-06-02"
END = datetime(2017, 6, 1)
"""The feed's declared delay is a day."""
DISTRICTS = {"6": -87.61, "17": -87.59}

Rows = Sequence[dict[str, Any]]
City = Callable[..., Settings]


def boundaries() -> bytes:
    """Two adjacent squares, 1.5 km wide."""
    features = []
    for name, middle in DISTRICTS.items():
        west, east = middle - 0.01, middle + 0.01
        ring = [[west, 41.70], [east, 41.70], [east, 41.72], [west, 41.72], [west, 41.70]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        named = {"dist_num": name, "dist_label": f"District {name}"}
        features.append({"type": "Feature", "properties": named, "geometry": polygon})
    return orjson.dumps({"type": "FeatureCollection", "features": features})


def row(district: str, at: datetime, **more: str) -> dict[str, Any]:
    place = {"longitude": str(DISTRICTS[district]), "latitude": "41.71", "district": district}
    return {"date": at.strftime("%Y-%m-%dT%H:%M:%S.000"), **place, **more}


def assaults(days: int, districts: Sequence[str] = ("6", "17"), each_day: int = 12) -> Rows:
    """This many assaults a day in each district, in the days before the end."""
    rng = random.Random(3)
    instants = [
        END - timedelta(minutes=rng.randrange(1440) + 1, days=day) for day in range(days) for _ in range(each_day)
    ]
    return [row(district, at) for at in instants for district in districts]


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> City:
    """A home of the page's Chicago that has fetched and loaded rows; some lines of the profile replaced."""

    def ingested(rows: Rows, *changed: tuple[str, str]) -> Settings:
        text = CHICAGO
        for old, new in changed:
            assert old in text, f"the page's profile lacks {old!r}"
            text = text.replace(old, new)
        (tmp_path / "city.toml").write_text(text, "utf-8")
        files = {f"/resource/{soda.DISTRICTS}.geojson": boundaries()}
        portal = soda.Portal({soda.ASSAULTS: pl.DataFrame(rows)}, files, instants=("date",))
        with soda.serve(portal) as base:
            for name, url in soda.urls(base).items():
                monkeypatch.setenv(name, url)
            settings = settings_for(tmp_path / "home", str(tmp_path / "city.toml"), AS_OF)
            assert ingest(settings) == []
        return settings

    return ingested


def released(settings: Settings) -> Settings:
    for step in (build, score, patterns, forecast, dispatch, publish):
        step(settings)
    return settings


def read(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        return con.execute(sql).fetchall()


@pytest.mark.slow
@pytest.mark.parametrize("days", [2, 60])
def test_a_source_with_a_few_days_of_records_gets_a_release_with_a_forecast(city: City, days: int) -> None:
    settings = released(city(assaults(days)))
    ((first,),) = read(settings, "select min(hour_start_at) from marts.demand_hourly")
    assert first >= datetime.fromisoformat("2017-06-01T05:00:00+00:00") - timedelta(days=days), "unknown is not zero"
    forecast = reader.query(
        settings,
        "select expected_calls, model, method from demand_forecast where area_id = 'CHI' and frequency = 'D'",
        "dispatch",
    )
    assert forecast.height == 84
    assert 20 < forecast["expected_calls"].mean() < 28, "24 a day"  # type: ignore[operator]


@pytest.mark.slow
def test_a_district_without_records_and_a_service_without_calls_get_a_release(city: City) -> None:
    alone = 'police = { service = "police" }', 'police = { service = "police", priorities = [9] }'
    settings = released(city(assaults(120, districts=("6",)), alone))
    assert read(settings, "select sum(calls), count(*) > 2000 from marts.demand_hourly") == [(0, True)]
    highest = reader.query(settings, "select max(expected_calls) from demand_forecast", "dispatch").item()
    assert highest < 0.5


@pytest.mark.slow
def test_a_district_whose_records_stopped_is_unknown_and_so_is_the_sum_of_both(city: City) -> None:
    stopped = (END - timedelta(days=60)).isoformat()
    rows = [row for row in assaults(200) if row["district"] == "6" or row["date"] < stopped]
    settings = released(city(rows))
    demand = reader.query(settings, "select distinct area_id from demand_forecast", "dispatch")
    assert demand["area_id"].to_list() == ["C-6"]
    weekly = (
        "select area_id, incidents > 60 from weekly where span = '7 days' and category = 'assault' order by area_id"
    )
    assert reader.query(settings, weekly, "police").rows() == [("C-17", None), ("C-6", True), ("CHI", None)]
    placed = "select distinct admin_area_id from risk"
    assert reader.query(settings, placed, "police").rows() == [("C-6",)]


@pytest.mark.slow
def test_without_police_in_the_demand_services_the_release_has_no_demand(city: City) -> None:
    left_out = (('police = { service = "police" }', ""), ("service_minutes = { police = 60 }", "service_minutes = {}"))
    settings = released(city(assaults(60), *left_out))
    assert reader.query(settings, "select count(*) from demand_forecast", "dispatch").item() == 0
    assert reader.query(settings, "select count(*) from staffing", "dispatch").item() == 0
    assert reader.query(settings, "select count(*) from incidents", "police").item() == 60 * 24
    quality = reader.query(settings, "select failed from quality_checks where suite = 'marts.demand_hourly'", "police")
    assert quality["failed"].sum() == 1, "the missing demand is counted"


@pytest.mark.slow
def test_offences_sensitive_or_unmapped_in_any_row_are_never_released(city: City) -> None:
    lists = [["Burglary"], ["Burglary", "Theft"]]
    lists += [list(order) for order in permutations(["Burglary", "Rape"])]
    lists += [list(order) for order in permutations(["Burglary", "Theft", "Rape"])]
    lists += [list(order) for order in permutations(["Theft", "Never heard of"])]
    lists += [list(order) for order in permutations(["Never heard of", "Rape", "Burglary"])]
    lists *= 12  # enough for patterns to have something to find
    rows = [
        row(
            "6",
            END - timedelta(days=1 + number % 25, hours=3),
            incident=f"R{number}",
            row=f"R{number}-{turn}",
            kind=word,
        )
        for number, words in enumerate(lists)
        for turn, word in enumerate(words)
    ]
    settings = released(
        city(
            rows,
            ('category = "aggravated assault"\n', ""),
            ('occurred_at = "date"', 'occurred_at = "date"\nsource_id = "incident"\nrow_id = "row"\ncategory = "kind"'),
            ('"aggravated assault" = "assault"', '"Burglary" = "assault"\n"Theft" = "assault"\n"Rape" = "sexual"'),
            (
                'other = { label = "Other" }',
                'other = { label = "Other" }\nsexual = { label = "Sexual", is_crime = true, is_sensitive = true }',
            ),
        )
    )
    sensitive = {f"R{number}" for number, words in enumerate(lists) if "Rape" in words}
    unmapped = {f"R{number}" for number, words in enumerate(lists) if "Never heard of" in words} - sensitive
    listed = {f"R{number}" for number in range(len(lists))} - sensitive - unmapped
    by = dict(
        read(
            settings,
            "select case when is_sensitive then 'sensitive' when is_releasable then 'listed' else 'unmapped' end, "
            "list(source_id) from core.incidents group by 1",
        )
    )
    assert {name: set(ids) for name, ids in by.items()} == {
        "sensitive": sensitive,
        "unmapped": unmapped,
        "listed": listed,
    }
    assert read(settings, "select count(*) from marts.crime_points") == [(len(listed),)]
    assert reader.query(settings, "select count(*) from incidents", "police").item() == len(listed)
    assert read(settings, "select sum(incidents) from marts.sensitive_yearly") == [(len(sensitive),)]
