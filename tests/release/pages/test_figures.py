"""Pictures: classes, ticks and words."""

from datetime import UTC, datetime, timedelta

import pytest
from shapely.geometry import box

from pipelines.release.pages import figures
from pipelines.release.pages.figures import Point, Shape

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def shapes(*values: float | None) -> list[Shape]:
    return [Shape(f"D{n}", box(n, 0, n + 1, 1), value, f"D{n}: {value}") for n, value in enumerate(values)]


def test_classes_of_a_map_hold_about_equally_many_areas() -> None:
    drawn = figures.district_map(shapes(*range(12)), "map", "", unit="calls")
    assert [drawn.count(f'fill="{colour}" stroke') for colour in figures.RAMP] == [2] * 6


def test_an_area_without_a_value_is_drawn_empty() -> None:
    drawn = figures.district_map(shapes(1.0, None), "map", "", unit="calls")
    assert drawn.count('fill="#ffffff" stroke') == 1


@pytest.mark.parametrize(
    ("highest", "ticks"), [(3, [0, 1, 2, 3]), (17, [0, 5, 10, 15, 20]), (980, [0, 250, 500, 750, 1000])]
)
def test_ticks_are_round_and_reach_the_highest(highest: float, ticks: list[float]) -> None:
    assert figures._ticks(highest) == ticks


def test_a_chart_has_the_numbers_of_each_step() -> None:
    points = [Point(NOON, actual=4), Point(NOON + timedelta(hours=1), expected=5.25, low=2, high=9, baseline=6)]
    drawn = figures.forecast_chart(points, NOON + timedelta(hours=1), timedelta(hours=1), "a & b", "모의자료")
    assert "Mon 23 Nov 12:00 · 4 calls observed" in drawn
    assert "Mon 23 Nov 13:00 · 5.2 expected · likely 2 to 9 · baseline 6" in drawn
    assert 'aria-label="a &amp; b"' in drawn and "모의자료" in drawn


def test_a_chart_of_nothing_but_zeros_is_drawn() -> None:
    points = [Point(NOON + timedelta(hours=n), actual=0) for n in range(3)]
    assert figures.forecast_chart(points, NOON, timedelta(hours=1), "x", "").startswith("<svg")


def test_names_in_a_picture_are_escaped() -> None:
    drawn = figures.district_map([Shape("<b>", box(0, 0, 1, 1), 1.0, "<script>")], 'say "x"', "", unit="calls")
    assert "<script>" not in drawn and "<b>" not in drawn and "say &quot;x&quot;" in drawn


def test_a_map_of_many_areas_numbers_the_highest_and_names_none() -> None:
    drawn = figures.district_map(shapes(3.0, 9.0, 1.0), "map", "", unit="calls", ranked=["D1", "D0"])
    assert [drawn.index(f">{n}</text></g>") > 0 for n in (1, 2)] == [True, True]
    assert ">D2</text>" not in drawn
