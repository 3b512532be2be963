"""A small warehouse: every table of the dictionary, with the few rows that a release needs."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from shapely.geometry import box

from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.release import publish, views
from pipelines.schema import dictionary
from pipelines.store import warehouse

AS_OF = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
"""05:15 on 23 November in Seoul."""

FIRST_RECORD = datetime(2024, 12, 31, 15, tzinfo=UTC)
"""1 January 2025 in Seoul, when the records of every feed begin."""

YEAR = {"window_start_date": date(2025, 11, 23), "window_end_date": date(2026, 11, 23)}
DISTRICTS = {"11010": "종로구", "11020": "중구", "11030": "용산구"}
SERVICES = ("police_code_0_1", "ems")
QUANTILES = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)


SENSITIVE: dict[str, Any] = {
    "category": "stalking", "source_category": "스토킹", "is_sensitive": True, "is_releasable": False,
    "is_risk_allowed": False,
}  # fmt: skip
UNMAPPED: dict[str, Any] = {
    "category": "other", "source_category": "새로운 말", "is_crime": False, "is_releasable": False,
    "is_risk_allowed": False,
}  # fmt: skip


def settings_at(home: Path, **given: Any) -> Settings:
    """Settings of a home of the Korean profile."""
    return Settings(home=home, profile=given.pop("profile", profiles.load("korea")), as_of=AS_OF, **given)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a filled warehouse and its views: copy it, do not write to it."""
    settings = settings_at(tmp_path_factory.mktemp("template"))
    with warehouse.connect(settings) as con:
        fill(con, settings)
        views.build(con)
    return settings


@pytest.fixture(scope="session")
def released(template: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published release of the template: read it, never write to it."""
    home = tmp_path_factory.mktemp("released") / "home"
    shutil.copytree(template.home, home)
    return publish.publish(settings_at(home))


@pytest.fixture
def filled(template: Settings, tmp_path: Path) -> Settings:
    """Settings of a separate home with a filled warehouse."""
    shutil.copytree(template.home, tmp_path / "home")
    return settings_at(tmp_path / "home")


def for_audience(settings: Settings, audience: str, **given: Any) -> Settings:
    """The same home, publishing for one audience only, which is faster."""
    profile = settings.profile.model_copy(update={"audiences": (audience,)} | given.pop("profile", {}))
    return settings_at(settings.home, profile=profile, **given)


@pytest.fixture
def con(filled: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """An open filled warehouse with its views built."""
    with warehouse.connect(filled) as con:
        yield con


def create_all(con: duckdb.DuckDBPyConnection) -> None:
    """Create every table of the dictionary, empty, except the views."""
    known = dictionary.load()
    for name, table in known.tables.items():
        if not name.startswith(("views.", "release.")):
            columns = ", ".join(f'"{column}" {known.columns[column].type}' for column in table.columns)
            con.execute(f"create or replace table {name} ({columns})")


def insert(con: duckdb.DuckDBPyConnection, table: str, *rows: dict[str, Any]) -> None:
    """Insert rows by column name; missing columns are null."""
    con.register("_rows", pl.DataFrame(rows, infer_schema_length=None).to_arrow())
    con.execute(f"insert into {table} by name select * from _rows")
    con.unregister("_rows")


def incident(incident_id: str, **given: Any) -> dict[str, Any]:
    """A police theft in Jongno by default."""
    agency = given.get("agency", "police")
    return {
        "incident_id": incident_id,
        "agency": agency,
        "feed": {"police": "police_112", "fire": "fire_119"}.get(agency, "investigation_cases"),
        "source_id": incident_id.partition(":")[2],
        "service": agency,
        "category": "theft",
        "source_category": "절도",
        "priority": 2,
        "occurred_at": AS_OF - timedelta(days=3),
        "reported_at": AS_OF - timedelta(days=3),
        "lon": 126.98,
        "lat": 37.58,
        "location_quality": "exact",
        "location_source": "scene",
        "admin_area_id": "11010",
        "police_area_id": "P-11010",
        "fire_area_id": "F-1",
        "cell_id": "다사530530",
        "is_discovered": False,
        "known_at": AS_OF - timedelta(days=3),
        "is_sensitive": False,
        "is_releasable": True,
        "is_crime": agency == "police",
        "is_risk_allowed": agency == "police",
        "report_date": date(2026, 11, 20),
        "report_hour": 5,
    } | given


def fill(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Fill the tables from which a release is built."""
    create_all(con)
    _fill_reference(con)
    _fill_core(con)
    _fill_demand(con)
    _fill_demand_quality(con)
    _fill_areas(con)
    _fill_cells(con)
    _fill_hot_spots(con)
    _fill_risk(con)
    _fill_risk_quality(con)
    _fill_patrol(con)
    _fill_weeks(con)
    _fill_shapes_of_crime(con)
    _fill_repeats(con)
    _fill_books(con)


def _fill_reference(con: duckdb.DuckDBPyConnection) -> None:
    for feed, agency in (("police_112", "police"), ("fire_119", "fire"), ("investigation_cases", "investigation")):
        facts = {"legal_basis": "law", "purpose": "demand", "impact_assessment": "done", "retention_days": 1825}
        fixed = {
            "load_type": "keyed",
            "is_reference": False,
            "delay_seconds": 0,
            "freshness_hours": 30.0,
            "is_simulated": True,
        }
        insert(con, "reference.feeds", {"feed": feed, "agency": agency} | facts | fixed)
        insert(
            con,
            "marts.feed_status",
            {
                "feed": feed,
                "agency": agency,
                "first_record_at": FIRST_RECORD,
                "complete_from_at": FIRST_RECORD,
                "fetched_through_at": AS_OF,
                "complete_through_at": AS_OF,
                "newest_known_at": AS_OF - timedelta(hours=2 if agency != "fire" else 50),
                "age_hours": 2.0 if agency != "fire" else 50.0,
                "freshness_hours": 30.0,
                "is_stale": agency == "fire",
                "stale_reason": "newest record is 50 h old, limit 30 h" if agency == "fire" else None,
            },
        )
    for category, crime, allowed, sensitive in (
        ("theft", True, True, False),
        ("stalking", True, False, True),
        ("medical", False, False, False),
        ("corruption", True, False, False),
        ("other", False, False, False),
    ):
        insert(
            con,
            "reference.categories",
            {
                "category": category,
                "label": category.title(),
                "is_crime": crime,
                "is_risk_allowed": allowed,
                "is_sensitive": sensitive,
            },
        )
    for feed, source, category in (
        ("police_112", "절도", "theft"),
        ("police_112", "스토킹", "stalking"),
        ("fire_119", "구급", "medical"),
        ("investigation_cases", "부패", "corruption"),
    ):
        insert(con, "reference.category_map", {"feed": feed, "source_category": source, "category": category})


def _fill_areas(con: duckdb.DuckDBPyConnection) -> None:
    def area(area_id: str, hierarchy: str, level: str, parent: str | None, name: str, west: float, east: float) -> None:
        shape = box(west, 37.50, east, 37.60)
        row = {"area_id": area_id, "hierarchy": hierarchy, "area_level": level, "parent_area_id": parent, "name": name}
        place = {"lon": (west + east) / 2, "lat": 37.55, "geometry": shape.wkb}
        insert(con, "reference.areas", row | place | {"is_approximated": level == "station"})

    area("KR", "admin", "nation", None, "대한민국", 126.90, 127.20)
    area("11", "admin", "province", "KR", "서울특별시", 126.90, 127.20)
    for number, (area_id, name) in enumerate(DISTRICTS.items()):
        west = 126.90 + 0.1 * number
        area(area_id, "admin", "district", "11", name, west, west + 0.1)
        area(f"P-{area_id}", "police", "station", "KR", f"서울{name}경찰서", west, west + 0.1)
    area("F-1", "fire", "station", "KR", "종로소방서", 126.90, 127.20)


def _fill_cells(con: duckdb.DuckDBPyConnection) -> None:
    for number, (cell_id, metres) in enumerate((("다사5353", 1000), ("다사5453", 1000), ("다사530530", 100))):
        west = 126.90 + 0.1 * number
        cell = {
            "cell_id": cell_id, "cell_metres": metres, "map_cell_id": "다사5353", "x_m": 953000, "y_m": 1953000,
            "lon": west, "lat": 37.55, "admin_area_id": "11010",
            "geometry": box(west, 37.55, west + 0.01, 37.56).wkb,
        }  # fmt: skip
        insert(con, "reference.cells", cell)


def _fill_hot_spots(con: duckdb.DuckDBPyConnection) -> None:
    """Thefts of a year: one cell hot and another not, with the other tables of places."""
    for cell_id, incidents, z, p, is_hot in (("다사5353", 12, 4.2, 0.0001, True), ("다사5453", 1, 0.1, 0.4, False)):
        spot = {
            "cell_id": cell_id, "cell_metres": 1000, "category": "theft", "incidents": incidents, "gi_star_z": z,
            "p_value": p, "is_hot": is_hot,
        }  # fmt: skip
        insert(con, "patterns.hot_spots", YEAR | spot)
    window = YEAR | {"category": "theft", "window_start_date": date(2025, 11, 28)}
    for cell_id, name, hot_steps, cold_steps in (
        ("다사5353", "new hot", 1, 0),
        ("다사5453", "persistent cold", 0, 12),
    ):
        cell = {
            "cell_id": cell_id, "cell_metres": 1000, "incidents": 12, "emerging_class": name, "hot_steps": hot_steps,
            "cold_steps": cold_steps, "last_gi_star_z": 4.1, "gi_star_trend_z": 0.3, "gi_star_trend_p_value": 0.76,
        }  # fmt: skip
        insert(con, "patterns.emerging_hot_spots", window | cell)
    judged = {
        "incidents": 12, "measured_on": "incidents", "gi_star_z": 0.7, "p_value": 0.24, "is_hot": False,
        "quadrant": "high-low", "is_moran_significant": False,
    }  # fmt: skip
    for area_id, hierarchy in (("11010", "admin"), ("P-11010", "police")):
        insert(con, "patterns.area_hot_spots", window | judged | {"area_id": area_id, "hierarchy": hierarchy})
    density = {"cell_id": "다사530530", "cell_metres": 100, "density_per_km2_year": 8.5, "kernel_share": 1.0}
    insert(con, "patterns.density", window | density | {"bandwidth_m": 650.0})
    cluster = {
        "nnh_cluster_id": "theft-1-1", "nnh_order": 1, "incidents": 12, "distinct_places": 3, "nnh_threshold_m": 120.0,
        "cluster_km2": 0.01, "incidents_per_km2": 1200.0, "lon": 126.95, "lat": 37.55,
        "geometry": box(126.949, 37.549, 126.951, 37.551).wkb,
    }  # fmt: skip
    insert(con, "patterns.nnh_clusters", window | cluster)


def _fill_risk(con: duckdb.DuckDBPyConnection) -> None:
    risk = {
        "reference_at": AS_OF, "cell_id": "다사530530", "cell_metres": 100, "category": "theft", "window": "week",
        "target_start": AS_OF, "target_end": AS_OF + timedelta(days=7), "model": "stack", "ranking_method": "boosting",
        "expected": 0.4, "baseline_expected": 0.3, "rank": 1, "is_selected": True, "data_as_of": AS_OF,
    }  # fmt: skip
    insert(con, "forecast.risk", risk)
    for model, hits in (("stack", 12), ("best_count", 10)):
        score = {
            "reference_at": AS_OF - timedelta(days=14), "origin_kind": "backtest", "category": "theft",
            "window": "month", "origins": 6, "model": model, "is_baseline": model == "best_count", "area_share": 0.01,
            "incidents": 100, "hits": hits, "hit_rate": hits / 100, "pai": float(hits),
        }  # fmt: skip
        insert(con, "forecast.risk_scores", score)


def _fill_risk_quality(con: duckdb.DuckDBPyConnection) -> None:
    """Insert the theft risk's curve and calibration: few months, second tenth at twice the expected count."""
    for model in ("stack", "best_count", "prospective"):
        common = {"reference_at": AS_OF, "category": "theft", "window": "month", "model": model, "origins": 6}
        common["is_baseline"] = model == "best_count"
        steps = ({"area_share": share, "hits": hits} for share, hits in ((0.01, 12), (0.5, 80)))
        insert(
            con,
            "forecast.risk_curves",
            *(
                common
                | step
                | {"incidents": 100, "hit_rate": step["hits"] / 100, "pai": step["hits"] / step["area_share"] / 100}
                for step in steps
            ),
        )
        if model != "prospective":
            insert(
                con,
                "forecast.risk_calibration",
                *(
                    common
                    | {"band": band, "cells": 10 * band, "expected_incidents": 10.0, "incidents": 20}
                    | {"calibration_ratio": 2.0, "calibration_ratio_low": 1.1, "calibration_ratio_high": 9.0}
                    for band in range(11)
                ),
            )
    slot = {"category": "theft", "cell_metres": 100, "weekday": 2, "area_share": 0.01, "data_as_of": AS_OF}
    for cell_id, hour, rank, baseline_rank in (
        ("다사530530", 20, 1, 2),
        ("다사530530", 22, 2, None),
        ("다사540540", 20, None, 1),
    ):
        start = AS_OF + timedelta(hours=hour)
        common = {"reference_at": AS_OF, "cell_id": cell_id, "hour": hour, "rank": rank, "baseline_rank": baseline_rank}
        when = {"slot_start": start, "slot_end": start + timedelta(hours=2)}
        expected = {"expected": 0.02, "baseline_expected": 0.01, "ranking_method": "boosting against count_all"}
        insert(con, "forecast.risk_slots", slot | common | when | expected)
    for model, hits in (("slots", 9), ("best_count", 8)):
        common = {"reference_at": AS_OF, "origin_kind": "backtest", "category": "theft", "model": model}
        scored = {"is_baseline": model == "best_count", "area_share": 0.01, "origins": 6, "incidents": 80}
        caught = {"untimed_incidents": 20, "hits": hits, "hit_rate": hits / 80, "pai": hits / 0.8}
        insert(con, "forecast.risk_slots_scores", common | scored | caught)


def _fill_patrol(con: duckdb.DuckDBPyConnection) -> None:
    """A place to patrol in Jongno by day and night, and the scores of past lists."""
    for shift, begins in (("police_day", "08:00"), ("police_night", "20:00")):
        place = {
            "reference_at": AS_OF, "police_area_id": "P-11010", "shift": shift, "shift_begins": begins,
            "shift_hours": 12, "target_start": AS_OF, "target_end": AS_OF + timedelta(days=28), "rank": 1,
            "area_km2": 0.02, "cells": 2, "cell_ids": ["다사530530", "다사540540"], "expected": 3.0, "q0.1": 1.0,
            "q0.9": 5.0, "any_probability": 0.95, "dispersion": 0.1, "base_expected": 0.2, "station_expected": 15.0,
            "round_km": 7.4,
            "recent_hits": 4, "visits": 6, "planned_minutes": 90.0, "expected_per_patrol_hour": 3.0 / 42,
            "category_detail": "theft 3", "lon": 126.98, "lat": 37.58, "data_as_of": AS_OF,
            "geometry": box(126.975, 37.575, 126.985, 37.585).wkb,
        }  # fmt: skip
        insert(con, "forecast.patrol_areas", place)
        for model, hits, stops in (("patrol_areas", 30, 1.0), ("station_grid", 40, 4.0), ("region_grid", 44, 5.0)):
            score = {
                "reference_at": AS_OF, "origin_kind": "backtest", "shift": shift, "model": model,
                "is_baseline": model != "patrol_areas", "origins": 6, "stops": stops, "area_km2": 0.02,
                "planned_hours": stops * 42 * 6, "incidents": 200, "hits": hits, "expected_hits": 33.0,
                "hit_rate": hits / 200, "hits_per_km2": hits / 0.12, "hits_per_patrol_hour": hits / (stops * 42 * 6),
            }  # fmt: skip
            per_km2 = {"km2_ratio": 30 / hits, "km2_ratio_low": 0.5, "km2_ratio_high": 0.9}
            per_hour = {
                "patrol_hour_ratio": stops * 30 / hits,
                "patrol_hour_ratio_low": 2.1,
                "patrol_hour_ratio_high": 4.0,
            }
            insert(con, "forecast.patrol_area_scores", score | (per_km2 | per_hour if score["is_baseline"] else {}))


def _fill_weeks(con: duckdb.DuckDBPyConnection) -> None:
    """The weekly comparison of thefts: a burst in the newest week, in Jongno."""
    for area_id, level, newest in (("11", "region", 31), ("11010", "district", 22), ("11020", "district", 2)):
        for category in ("theft", "all"):
            of = {"area_id": area_id, "category": category}
            insert(con, "patterns.control_chart", *(of | week for week in _weeks(newest)))
            insert(con, "patterns.weekly", *(of | {"area_level": level} | span for span in _spans(newest)))
        if level == "district":
            harm = {"incidents": 400, "harm": 400.0, "harm_share": 0.5, "hot_incidents": 90, "hot_harm": 90.0}
            insert(con, "patterns.district_harm", {"area_id": area_id} | YEAR | harm)


def _weeks(newest: int) -> list[dict[str, Any]]:
    """A year of one control chart."""
    return [
        {
            "week_start_date": YEAR["window_end_date"] - timedelta(days=7 * week),
            "incidents": newest if week == 1 else 8 + week % 3, "centre": 9.0, "expected_low": 2, "expected_high": 20,
            "signal": "high" if week == 1 and newest > 20 else None,
        }
        for week in range(1, 54)
    ]  # fmt: skip


def _spans(newest: int) -> list[dict[str, Any]]:
    """The newest week, its four weeks and its year, with those of the years before."""
    end, before = YEAR["window_end_date"], 10
    limits = {"expected_low": 2, "expected_high": 20, "signal": "high" if newest > 20 else None}
    return [
        {
            "span": span, "window_start_date": end - timedelta(days=days), "window_end_date": end,
            "incidents": incidents, "incidents_year_before": before, "difference": incidents - before,
            "change_share": incidents / before - 1, "e_test_p": p, "mean_before": 9.5, "years_before": 2,
            "harm": float(incidents),
        }
        | (limits if span == "7 days" else dict.fromkeys(limits))
        for span, days, incidents, p in (
            ("7 days", 7, newest, 0.001),
            ("28 days", 28, newest + 27, 0.001),
            ("year to date", 326, 400, None),
        )
    ]  # fmt: skip


def _fill_shapes_of_crime(con: duckdb.DuckDBPyConnection) -> None:
    """A year of thefts by hour of the week, by concentration, and compared with the year before."""
    of = {"category": "theft"} | YEAR
    timed = {
        "weight": 5.0,
        "category_share": 1 / 168,
        "incidents": 840,
        "start_only_incidents": 800,
        "too_long_incidents": 3,
    }
    hours = [{"weekday": hour // 24 + 1, "hour": hour % 24, "untimed_incidents": 60} for hour in range(168)]
    insert(con, "patterns.aoristic", *(of | timed | hour for hour in hours))
    for kind, places in (("cell", 60000), ("corner", 800)):
        shares = {"places_25_share": 0.01, "places_50_share": 0.03, "places_80_share": 0.125}
        common = {"place_kind": kind, "places": places, "incidents": 840, "gini": 0.95, "gini_generalised": 0.4}
        insert(con, "patterns.concentration", of | common | shares)
        steps = [{"share_of_crime": step / 100, "share_of_places": (step / 250) ** 2} for step in range(101)]
        insert(con, "patterns.lorenz", *({"category": "theft", "place_kind": kind} | step for step in steps))
    compared = of | {"window_days": 365, "incidents": 840, "incidents_before": 800}
    for kind, place_id in (("map_cell", "다사5353"), ("district", "11010")):
        test = {"similarity": 0.98, "similarity_robust": 0.9, "similarity_fdr": 1.0}
        count = {"place_kind": kind, "places": 25, "places_with_crime": 5}
        insert(con, "patterns.point_pattern_test", compared | test | count)
        place = {"place_kind": kind, "place_id": place_id, "category_share": 0.02, "category_share_before": 0.01}
        tested = {"fisher_p": 0.01, "is_different": True, "is_different_fdr": False}
        insert(con, "patterns.point_pattern_places", compared | place | tested)


def _fill_repeats(con: duckdb.DuckDBPyConnection) -> None:
    for distance_to, days_to, observed, p in ((0, 7, 0, 1.0), (0, 14, 0, 1.0), (100, 7, 31, 0.001), (100, 14, 11, 0.3)):
        band = {"distance_from_m": 0, "distance_to_m": distance_to, "days_from": days_to - 7, "days_to": days_to}
        pairs = {"observed_pairs": observed, "expected_pairs": 10.0 if distance_to else 0.0}
        ratio = observed / 10 if distance_to else None
        common = {"incidents": 340, "sampled_share": 1.0, "shared_place_share": 0.6, "permutations": 999}
        judged = {"category": "theft", "pair_ratio": ratio, "permutation_p_value": p}
        insert(con, "patterns.near_repeats", YEAR | band | pairs | common | judged)
    place = {"category": "theft", "cell_id": "다사530530", "cell_metres": 100, "permutations": 999}
    for number, is_unusual in ((1, True), (2, False)):
        chain = {"chain_id": f"theft-2026111{number}-다사530530", "incidents": 3 + number, "extent_m": 84.0}
        days = {"first_incident_date": date(2026, 11, 10 + number), "last_incident_date": date(2026, 11, 20)}
        judged = {"permutation_p_value": 0.001 if is_unusual else 0.4, "is_unusual": is_unusual, "is_open": True}
        insert(con, "patterns.near_repeat_chains", place | chain | days | judged)
        for incident_id in ("police_112:1", "police_112:3", "fire_119:1")[:number]:
            insert(con, "patterns.near_repeat_members", {"chain_id": chain["chain_id"], "incident_id": incident_id})
    for rank, is_signal in ((1, True), (2, False)):
        circle = {"radius_m": 200.0, "geometry": box(126.97, 37.57, 126.98, 37.58).wkb, "cluster_rank": rank}
        result = {"incidents": 9, "expected_incidents": 1.5, "excess_ratio": 6.0, "log_likelihood_ratio": 8.9}
        judged = {"permutation_p_value": 0.001 * rank**4, "recurrence_days": 1000 / rank**4, "is_signal": is_signal}
        days = YEAR | {"cluster_start_date": date(2026, 11, 12)}
        insert(con, "patterns.space_time_clusters", place | circle | result | judged | days)


def _fill_core(con: duckdb.DuckDBPyConnection) -> None:
    fire = {"agency": "fire", "service": "ems", "category": "medical", "source_category": "구급"}
    insert(
        con,
        "core.incidents",
        incident("police_112:1", joint_incident_id="fire_119:1"),
        incident("police_112:2", location_source="caller_lookup"),
        incident("police_112:3", **SENSITIVE),
        incident("police_112:4", **UNMAPPED),
        incident("fire_119:1", **fire, joint_incident_id="fire_119:1"),
        incident("fire_119:2", **fire, location_source="caller_lookup"),
        incident(
            "investigation_cases:1",
            agency="investigation",
            category="corruption",
            source_category="부패",
            lon=None,
            lat=None,
            cell_id=None,
            location_quality="withheld",
            admin_area_id="11",
            police_area_id=None,
            fire_area_id=None,
        ),
    )
    for number in (1, 2):
        insert(
            con,
            "core.dispatches",
            {
                "incident_id": f"fire_119:{number}",
                "unit_id": f"구급{number}",
                "unit_type": "ambulance",
                "dispatched_at": AS_OF - timedelta(days=3),
                "agency": "fire",
                "service": "ems",
                "admin_area_id": "11010",
                "fire_area_id": "F-1",
            },
        )
    for quarter, count in ((date(2026, 7, 1), 40), (date(2026, 10, 1), 25)):
        row = {"area_id": "11010", "quarter_start_date": quarter, "category": "theft", "incidents": count}
        insert(con, "marts.crime_quarterly", row)
    for year in (2025, 2026):
        row = {"area_id": "11", "year": year, "category": "stalking", "incidents": 9}
        insert(con, "marts.sensitive_yearly", row)
    for year in (2025, 2026):
        excluded = {"year": year, "category": "stalking", "reason": "sensitive matter", "incidents": 1}
        insert(con, "marts.risk_exclusions", excluded)
    response = {
        "area_id": "11010",
        "month_start_date": date(2026, 11, 1),
        "incidents": 2,
        "response_p50_seconds": 400.0,
    }
    insert(con, "marts.response_times", response | {"service": "ems"}, response | {"service": "police"})


def _fill_demand(con: duckdb.DuckDBPyConnection) -> None:
    """A year of hours, and a forecast of two days by the hour and of two by the day."""
    con.execute(
        """
        insert into marts.demand_hourly by name
        select 'admin' as hierarchy, area_level, area_id, service, hour_start_at,
            timezone('Asia/Seoul', hour_start_at)::date as local_date,
            hour(timezone('Asia/Seoul', hour_start_at))::integer as local_hour, (hour(hour_start_at) % 5) as calls,
            0 as dispatches, calls as releasable_calls, 0 as releasable_dispatches
        from (values ('11', 'province'), ('11010', 'district'), ('11020', 'district'), ('11030', 'district'))
            areas (area_id, area_level)
        cross join (values ('police_code_0_1'), ('ems')) services (service)
        cross join (
            select unnest(generate_series(timestamptz '2026-06-20 00:00:00+00', timestamptz '2026-11-22 19:00:00+00',
                interval 1 hour)) as hour_start_at
        )
        """
    )
    forecasts, staffing = [], []
    for area_id in ("11", *DISTRICTS):
        for service in SERVICES:
            for hour in range(48):
                forecasts += _forecast(area_id, service, "h", AS_OF.replace(minute=0) + timedelta(hours=1 + hour), 3.0)
                staffing.append(_staffing(forecasts[-2]))
            for day in range(2):
                start = datetime(2026, 11, 23, 15, tzinfo=UTC) + timedelta(days=day)
                forecasts += _forecast(area_id, service, "D", start, 60.0)
    insert(con, "forecast.demand", *forecasts)
    insert(con, "dispatch.staffing", *staffing)


def _fill_demand_quality(con: duckdb.DuckDBPyConnection) -> None:
    """The models in use, and the result of a backtest."""
    chosen = {
        "reference_at": AS_OF, "frequency": "h", "hierarchy": "admin", "measure": "calls", "origin_at": AS_OF,
        "selected_at": AS_OF, "model": "boosting", "model_weight": 1.0, "loss_ratio": 0.96, "origins": 5,
        "selected_by": "series",
    }  # fmt: skip
    for area_id in ("11", *DISTRICTS):
        level = "province" if area_id == "11" else "district"
        for service in SERVICES:
            insert(
                con,
                "forecast.demand_selections",
                chosen | {"area_id": area_id, "area_level": level, "service": service},
            )
            insert(
                con,
                "forecast.calendar_effects",
                {
                    "reference_at": AS_OF, "hierarchy": "admin", "area_level": level, "area_id": area_id,
                    "service": service, "holiday": "Chuseok", "local_holiday": "추석", "next_date": date(2026, 9, 25),
                    "effect": 0.8, "low": 0.7, "high": 0.9, "days": 3,
                },
            )  # fmt: skip
    for model, wis in (("hour_of_week", 0.8), ("seasonal_naive", 1.0)):
        score = {
            "reference_at": AS_OF - timedelta(days=14), "origin_kind": "backtest", "frequency": "h", "service": "ems",
            "measure": "calls", "area_level": "district", "model": model, "is_baseline": model == "seasonal_naive",
            "targets": 100, "origins": 8, "mae": 1.0, "pinball": 0.5, "wis": wis, "coverage_80": 0.84,
            "expected_coverage_80": 0.86, "mase": 0.7,
        }  # fmt: skip
        insert(con, "forecast.demand_scores", score)


def _forecast(area_id: str, service: str, frequency: str, start: datetime, mean: float) -> list[dict[str, Any]]:
    shared = {
        "reference_at": AS_OF,
        "frequency": frequency,
        "area_id": area_id,
        "service": service,
        "hierarchy": "admin",
        "area_level": "province" if area_id == "11" else "district",
        "measure": "calls",
        "target_start": start,
        "target_end": start + (timedelta(hours=1) if frequency == "h" else timedelta(days=1)),
        "horizon_hours": int((start - AS_OF).total_seconds() // 3600),
        "data_as_of": AS_OF,
        "method": "test",
        "mean": mean,
    }
    quantiles = {f"q{level:g}": float(round(2 * mean * level)) for level in QUANTILES}
    return [
        shared | quantiles | {"model": model, "is_baseline": model == "seasonal_naive"}
        for model in ("hour_of_week", "seasonal_naive")
    ]


def _staffing(forecast: dict[str, Any]) -> dict[str, Any]:
    kept = ("reference_at", "area_id", "service", "measure", "target_start", "target_end", "data_as_of")
    return {name: forecast[name] for name in kept} | {
        "expected_calls": forecast["mean"],
        "p10": forecast["q0.1"],
        "p50": forecast["q0.5"],
        "p90": forecast["q0.9"],
        "p99": forecast["q0.99"],
        "baseline_calls": 2.5,
        "service_minutes": 60.0,
        "workload_erlangs": 3.0,
        "units_required": 6,
        "unit_hour_utilisation": 0.5,
    }


def _fill_books(con: duckdb.DuckDBPyConnection) -> None:
    judged = {"judged_from_at": AS_OF - timedelta(hours=48), "judged_through_at": AS_OF, "rule": "nothing for 3 h"}
    counts = {"records": 12345, "expected_records": 12000.0, "no_data_hours": 7, "times_usual": 1.0}
    for feed, agency, state in (("police_112", "police", "usual"), ("fire_119", "fire", "no_data")):
        row = {"feed": feed, "agency": agency, "state": state, "is_alarm": state == "no_data"}
        insert(con, "ops.feed_health", row | judged | counts)
    batch = {"batch_id": "b1", "feed": "police_112", "batch_type": "delivery", "verdict": "accepted"}
    counts = {"received": 100, "loaded": 90, "unchanged": 5, "quarantined": 5, "rejected": 0}
    insert(con, "ops.batches", batch | counts)
    quarantined = {
        "feed": "police_112",
        "batch_id": "b1",
        "row_number": 7,
        "expectation": "expect_column_values_to_be_between",
    }
    insert(con, "ops.quarantine", quarantined | {"reason": "in Korea", "content": '{"lon": "OFFENDING-VALUE-999"}'})
    check = {"expectation": "expect_column_values_to_be_between", "column": "lon", "severity": "critical"}
    insert(
        con,
        "ops.checks",
        check | {"batch_id": "b1", "suite": "police_112", "reason": "in Korea", "checked": 100, "failed": 5},
    )
    insert(con, "ops.gates", check | {"suite": "core.incidents", "reason": "in the region", "checked": 7, "failed": 0})
    insert(con, "ops.lineage", {"source_table": "core.incidents", "target_table": "marts.crime_quarterly"})
