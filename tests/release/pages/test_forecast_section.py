"""The page's forecast: units are shown where calls are frequent enough to plan them by the hour."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipelines.release.pages import forecast

START = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)


@pytest.fixture
def page() -> Any:
    """The region expects four calls an hour: Gangnam two, Jongno under one."""
    rows = [
        ("11", "Seoul", 4.0, 9),
        ("11230", "Gangnam", 2.0, 6),
        ("11010", "Jongno", 0.9, 4),
    ]
    staffing = pl.DataFrame(
        [
            {"area_id": area_id, "area_name": name, "service": "ems", "expected_calls": calls, "units_required": units}
            | {"target_start": START + timedelta(hours=hour)}
            for area_id, name, calls, units in rows
            for hour in range(24)
        ]
    )
    return SimpleNamespace(
        as_of=START, region=["11"], districts=["11010", "11230"], local=lambda _table: staffing, label=lambda name: name
    )


def test_a_district_with_less_than_a_call_an_hour_has_no_units(page: Any) -> None:
    table = forecast.units(page)
    assert table is not None
    assert [(row["name"], [cell["value"] for cell in row["cells"]]) for row in table["rows"]] == [("Gangnam", [6] * 3)]
    assert table["pooled"] == [9] * 3


def test_the_units_of_a_service_are_those_of_the_region_and_not_the_sum_of_its_districts(page: Any) -> None:
    assert forecast._peak_units(page)["ems"]["units"] == 9


def test_the_next_holidays_of_the_region_are_shown_with_their_effect_on_each_service() -> None:
    def effect(days: int, service: str, area_id: str = "11") -> dict[str, Any]:
        return {
            "area_id": area_id, "service": service, "holiday": f"day {days}", "local_holiday": None,
            "next_date": START.date() + timedelta(days=days), "effect": 0.9, "low": 0.8, "high": 1.0,
        }  # fmt: skip

    rows = [effect(3, "ems"), effect(9, "ems"), effect(9, "fire"), effect(300, "ems"), effect(4, "ems", "11010")]
    page: Any = SimpleNamespace(
        as_of=START, region=["11"], local=lambda _table: pl.DataFrame(rows), label=lambda name: {"name": name}
    )
    table = forecast.holidays_ahead(page)
    assert table is not None
    assert [day["holiday"] for day in table["days"]] == ["day 3", "day 9"]
    cells = {row["name"]: [cell["effect"] for cell in row["cells"]] for row in table["rows"]}
    assert cells == {"fire": [None, 0.9], "ems": [0.9, 0.9]}


def test_without_holidays_ahead_nothing_is_shown() -> None:
    page: Any = SimpleNamespace(as_of=START, region=["11"], local=lambda _table: None)
    assert forecast.holidays_ahead(page) is None
