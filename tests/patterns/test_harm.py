"""Harm by district."""

from datetime import date, timedelta

import polars as pl

from pipelines.patterns.harm import TYPES, district_harm

END = date(2026, 3, 3)
CELLS = pl.DataFrame({"cell_id": ["c1", "c2", "m1", "m2"], "map_cell_id": ["m1", "m2", "m1", "m2"]})
HOT = pl.DataFrame({"category": ["theft", "robbery"], "cell_id": ["m1", "m1"], "is_hot": [True, False]})
WEIGHTS = pl.DataFrame({"category": ["theft", "robbery"], "harm": [1.5, 10.0]})
DISTRICTS = pl.DataFrame({"area_id": ["A", "B", "C"]})


def points(*rows: tuple[str, str, str, int]) -> pl.DataFrame:
    seen = [(*row[:3], END - timedelta(days=row[3])) for row in rows]
    schema = {"category": pl.String, "cell_id": pl.String, "admin_area_id": pl.String, "occurrence_date": pl.Date}
    return pl.DataFrame(seen, schema=schema, orient="row")


def test_harm_is_weighted_and_hot_if_the_cell_is_hot_for_that_category() -> None:
    seen = points(
        ("theft", "c1", "A", 1), ("theft", "c1", "A", 2), ("theft", "c2", "A", 3), ("robbery", "c1", "A", 4),
        ("theft", "c1", "B", 365), ("theft", "c1", "B", 366), ("robbery", "c2", "?", 5),
    )  # fmt: skip
    built = district_harm(seen, CELLS, HOT, DISTRICTS, WEIGHTS, END)
    counted = ("area_id", "incidents", "harm", "hot_incidents", "hot_harm")
    assert built.select(counted).rows() == [("A", 4, 14.5, 2, 3.0), ("B", 1, 1.5, 1, 1.5), ("C", 0, 0.0, 0, 0.0)]
    assert built["harm_share"].to_list() == [0.90625, 0.09375, 0]


def test_districts_without_any_crime_have_no_share() -> None:
    built = district_harm(points(), CELLS, HOT, DISTRICTS, WEIGHTS, END)
    assert built.schema == pl.Schema(TYPES) and built["harm_share"].null_count() == 3
