"""The nightly tables of places, with crime and without, compared with the dictionary."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest
import shapely

from pipelines.config import profile as profiles
from pipelines.patterns import nightly
from pipelines.schema import dictionary

TODAY = date(2026, 3, 3)


def crime() -> nightly.Crime:
    """Twenty thefts on one cell, its district and its station area."""
    day = TODAY - timedelta(days=2)
    outline = shapely.to_wkb(shapely.box(127.0, 37.5, 127.1, 37.6))
    cells = pl.DataFrame(
        {
            "cell_id": ["a", "A"],
            "cell_metres": [100, 1000],
            "map_cell_id": ["A", "A"],
            "x_m": [955_000, 955_000],
            "y_m": [1_950_000, 1_950_000],
        }
    )
    areas = pl.DataFrame(
        {
            "area_id": ["d", "s"],
            "hierarchy": ["admin", "police"],
            "area_level": ["district", "station"],
            "population": pl.Series([None, None], dtype=pl.Int64),
            "geometry": [outline, outline],
        }
    )
    single = {"category": "theft", "cell_id": "a", "occurrence_date": day}
    points = pl.DataFrame(
        [single | {"admin_area_id": "d", "police_area_id": "s", "x_m": 955_050.0, "y_m": 1_950_050.0}] * 20
    ).with_columns(pl.lit(None, pl.Datetime("us")).alias(name) for name in ("occurred_from", "occurred_until"))
    gaps = pl.DataFrame(schema={"category": pl.String, "from_date": pl.Date, "until_date": pl.Date})
    daily = pl.DataFrame([single | {"incidents": 20}])
    return nightly.Crime(
        points, daily, cells, areas, TODAY, gaps, gaps.with_columns(area_id=pl.lit("")), profiles.load("korea")
    )


@pytest.mark.parametrize(("days", "known"), [(None, 20), (7, 20), (8, 0), (31, 0)])
def test_near_repeats_leave_out_incidents_whose_day_is_not_known_to_a_week(days: int | None, known: int) -> None:
    begins = datetime(2026, 3, 1)
    ends = None if days is None else begins + timedelta(days=days)
    spans = [pl.lit(value, pl.Datetime("us")) for value in (begins, ends)]
    seen = crime()
    named = {
        "incident_id": pl.int_range(pl.len()).cast(pl.String),
        "occurred_from": spans[0],
        "occurred_until": spans[1],
    }
    seen = replace(seen, points=seen.points.with_columns(**named))
    assert nightly.TABLES["near_repeats"](seen)["incidents"].to_list()[:1] == ([known] if known else [])
    assert nightly.TABLES["near_repeat_chains"](seen).height == (known > 0)
    assert nightly.TABLES["near_repeat_members"](seen).height == known


@pytest.mark.parametrize("table", ["hot_spots", "area_hot_spots", "emerging_hot_spots", "density", "nnh_clusters"])
@pytest.mark.parametrize("what", ["some", "no crime", "no places"])
def test_an_empty_table_has_the_columns_of_the_dictionary(table: str, what: str) -> None:
    seen = crime()
    if what != "some":
        seen = replace(seen, points=seen.points.clear(), daily=seen.daily.clear())
    if what == "no places":
        seen = replace(seen, cells=seen.cells.clear(), areas=seen.areas.clear())
    built = nightly.TABLES[table](seen)
    assert built.schema == dictionary.frame_schema(f"patterns.{table}")
    assert built.is_empty() == (what != "some" or table == "emerging_hot_spots")
