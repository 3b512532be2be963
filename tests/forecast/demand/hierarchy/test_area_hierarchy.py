"""Area hierarchies as series: leaves sum to the region, with unplaced calls in a separate series."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.demand.hierarchy import area_hierarchy
from pipelines.forecast.demand.panel import Panel

START = datetime(2026, 1, 5)
AREAS = [
    ("admin", "region", "R"), ("admin", "district", "A"), ("admin", "district", "B"),
    ("fire", "headquarters", "F"), ("fire", "station", "F1"), ("fire", "station", "F2"),
]  # fmt: skip
PARENTS = pl.DataFrame({"area_id": ["A", "B", "F", "F1", "F2"], "parent_area_id": ["R", "R", "KR", "F", "F"]})


def panel(counts: dict[str, list[int]]) -> Panel:
    named = [row for row in AREAS if row[2] in counts]
    series = pl.DataFrame(named, schema=["hierarchy", "area_level", "area_id"], orient="row").with_columns(
        pl.int_range(pl.len()).alias("unique_id"),
        pl.lit("ems").alias("service"),
        pl.lit("calls").alias("measure"),
        pl.col("area_level").alias("level"),
        pl.lit("ems calls").alias("pool"),
        pl.lit(datetime(2026, 2, 1, tzinfo=UTC)).alias("known_at"),
        pl.lit(datetime(2026, 2, 1)).alias("cutoff"),
        pl.lit(None, pl.String).alias("degraded"),
    )
    rows = [(area, START + timedelta(hours=i), float(y)) for area, ys in counts.items() for i, y in enumerate(ys)]
    history = pl.DataFrame(rows, schema=["area_id", "ds", "y"], orient="row")
    stored = history.join(series.select("area_id", "unique_id"), on="area_id").select("unique_id", "ds", "y")
    # One of the last calls of every area became known a day late.
    late = stored.group_by("unique_id").agg(pl.col("ds").max(), pl.lit(1.0).alias("y"))
    return Panel(
        series, stored, late.select("unique_id", "ds", pl.col("ds").dt.offset_by("1d").alias("seen_from"), "y")
    )


def leaves_add_up(result: Panel, above: pl.DataFrame) -> None:
    ids = dict(result.series.select("area_id", "unique_id").iter_rows())
    whole = result.history.filter(pl.col("unique_id") == ids["R"]).sort("ds")
    for leaves in area_hierarchy.members(result.series, above, "R").values():
        total = result.history.join(leaves, on="unique_id", how="semi").group_by("ds").agg(pl.col("y").sum()).sort("ds")
        assert total["y"].to_list() == whole["y"].to_list()


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 5), min_size=1, max_size=6))
def test_the_leaves_of_every_hierarchy_add_up_to_the_region(rows: list[tuple[int, ...]]) -> None:
    a, b, lost, first, unplaced = (list(column) for column in zip(*rows, strict=True))
    region = [sum(row[:3]) for row in rows]
    station = [min(single, total) for single, total in zip(first, region, strict=True)]
    other = [max(total - single - gone, 0) for total, single, gone in zip(region, station, unplaced, strict=True)]
    built = panel({"R": region, "A": a, "B": b, "F": region, "F1": station, "F2": other})
    above = area_hierarchy.parents(built.series, PARENTS, "R")
    result = area_hierarchy.with_unplaced(built, above)
    leaves_add_up(result, above)
    assert result.series.filter(pl.col("level") == area_hierarchy.UNPLACED).height == (sum(lost) > 0) + (
        sum(station) + sum(other) < sum(region)
    )


def test_unplaced_calls_become_known_with_the_others_of_their_area() -> None:
    built = panel({"R": [9], "A": [4], "B": [3]})
    result = area_hierarchy.with_unplaced(built, area_hierarchy.parents(built.series, PARENTS, "R"))
    lost = result.series.filter(pl.col("level") == area_hierarchy.UNPLACED)["unique_id"].item()
    assert result.late.filter(pl.col("unique_id") == lost)["y"].to_list() == [1.0 - 1.0 - 1.0]
    assert result.history.filter(pl.col("unique_id") == lost)["y"].to_list() == [2.0]


def test_members_list_the_areas_above_each_leaf_and_a_higher_leaf_represents_itself() -> None:
    built = panel({"R": [7], "F": [5], "F1": [2], "F2": [3], "A": [4], "B": [3]})
    above = area_hierarchy.parents(built.series, PARENTS, "R")
    result = area_hierarchy.with_unplaced(built, above)
    number = dict(result.series.select("area_id", "unique_id").iter_rows())
    lost = number["R/fire/unplaced"]
    tree = area_hierarchy.members(result.series, above, "R")["ems", "calls", "fire"]
    assert tree.columns == ["unique_id", "region", "depth 1"]
    assert set(tree.rows()) == {
        (number["F1"], number["R"], number["F"]),
        (number["F2"], number["R"], number["F"]),
        (lost, number["R"], lost),
    }
    assert next(iter(area_hierarchy.members(result.series, above, "R"))) == ("ems", "calls", "admin")


def test_without_a_table_of_areas_all_are_parts_of_the_region_and_without_a_region_nothing_is_added_up() -> None:
    built = panel({"R": [7], "A": [4], "B": [3]})
    above = area_hierarchy.parents(built.series, None, "R")
    assert above["parent_area_id"].to_list() == ["R", "R"]
    assert area_hierarchy.with_unplaced(built, above).series.equals(built.series)
    alone = panel({"A": [4], "B": [3]})
    assert area_hierarchy.members(alone.series, area_hierarchy.parents(alone.series, None, "R"), "R") == {}
