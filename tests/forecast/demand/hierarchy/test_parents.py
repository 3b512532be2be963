"""Parents of users' series: sums over several hierarchies, and rows that cannot be meant."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.demand.hierarchy import parents
from pipelines.forecast.demand.series import SeriesError

MONDAY = datetime(2025, 1, 6)
NAMES = frozenset("abcd")


def rows(*pairs: str) -> pl.DataFrame:
    """Rows of the file, each written as ``child<parent``."""
    return pl.DataFrame([pair.split("<") for pair in pairs], schema=["child", "parent"], orient="row")


def days(name: str, *counts: float | None) -> pl.DataFrame:
    """A series from Monday on; no count: no row."""
    listed = [(name, MONDAY + timedelta(days=day), y) for day, y in enumerate(counts) if y is not None]
    return pl.DataFrame(listed, schema=["unique_id", "ds", "y"], orient="row", schema_overrides={"y": pl.Float64})


def test_a_parent_is_the_sum_of_all_series_below_it_in_each_of_several_hierarchies() -> None:
    hierarchy = parents.read(rows("a<north", "b<north", "c<south", "north<city", "south<city", "a<old", "c<old"), NAMES)
    below = hierarchy.below.group_by("parent", maintain_order=True).agg(pl.col("series").sort())
    assert dict(below.iter_rows()) == {
        "north": ["a", "b"], "south": ["c"], "city": ["a", "b", "c"], "old": ["a", "c"],
    }  # fmt: skip
    assert hierarchy.paths == {"a": ("city", "north"), "b": ("city", "north"), "c": ("city", "south")}


def test_a_child_with_several_parents_moves_with_the_first_one_listed() -> None:
    hierarchy = parents.read(rows("b<old", "a<north", "a<old"), NAMES)
    assert hierarchy.paths == {"a": ("north",), "b": ("old",)}


def test_names_are_compared_as_text_without_spaces_around_them() -> None:
    numbered = pl.DataFrame({"child": [31, 110], "parent": [" all", "all "]})
    assert parents.read(numbered, {"31", "110"}).below["series"].to_list() == ["31", "110"]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["a<x", "e<x"], "hierarchy, row 2: child e is neither a series of the input nor a parent"),
        (["a<x", "x<b"], "row 2: parent b is a series of the input too; give the sum another name"),
        (["a<x", "b<x", "a<x"], "row 3: it repeats row 1; remove one of them"),
        (["a<x", "<x"], "row 2: child is empty"),
        (["a< "], "row 1: parent is empty"),
        (["a<x", "x<x"], r"row 2: it closes a circle \(x < x\); a parent cannot be below itself"),
        (["a<x", "x<y", "y<x"], r"row 3: it closes a circle \(.*x < y.*\)"),
        (
            ["a<x", "a<y", "x<z", "y<z"],
            "row 4: parent z would count series a twice, in x and in y; give it the children of one hierarchy only",
        ),
        (["a<x", "x<z", "a<z"], "row 3: parent z would count series a twice, in x and in a"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(pairs: list[str], message: str) -> None:
    with pytest.raises(SeriesError, match=message):
        parents.read(rows(*pairs), NAMES)


def test_a_message_names_the_file_of_the_row() -> None:
    for pairs, message in (
        (["a<x", "e<x"], "row 2: child e"),
        (["x<x"], "row 1: it closes"),
        (["a<x", "a<y", "x<z", "y<z"], "row 4"),
    ):
        with pytest.raises(SeriesError, match=f"^districts.csv, {message}"):
            parents.read(rows(*pairs), NAMES, "districts.csv")


def test_a_file_without_its_columns_or_rows_is_refused() -> None:
    with pytest.raises(SeriesError, match="hierarchy lacks parent; give the columns child and parent"):
        parents.read(pl.DataFrame({"child": ["a"]}), NAMES)
    with pytest.raises(SeriesError, match="hierarchy has no rows"):
        parents.read(rows().cast(pl.String), NAMES)


def test_a_parent_needs_all_of_its_series_and_one_end_and_so_does_every_parent_above_it() -> None:
    hierarchy = parents.read(rows("a<x", "b<x", "c<y", "d<z", "x<top", "y<top", "c<solid"), NAMES)
    series = pl.concat([days("a", 1, 1, 1), days("b", 1, 1), days("c", 1, 1, 1)])
    reasons = parents.unusable(hierarchy, series, {"d"})
    assert reasons == {
        "x": "parent x: its series end at different times (series b at 2025-01-07 00:00, series a at 2025-01-08 00:00);"
        " give all of them rows up to the same step",
        "top": "parent top: its series end at different times (series b at 2025-01-07 00:00, series c at 2025-01-08 "
        "00:00); give all of them rows up to the same step",
        "z": "parent z: its series d was left out, and the sum would be incomplete",
    }
    left = hierarchy.without(reasons)
    assert set(left.below["parent"]) == {"y", "solid"} and left.paths == {"c": ("y",)}


def test_the_count_of_a_parent_is_unknown_where_that_of_a_series_is() -> None:
    hierarchy = parents.read(rows("a<x", "b<x"), NAMES)
    series = pl.concat([days("a", 1, None, 3, 4), days("b", 10, 20, 0, None)])
    sums = parents.counts(series, hierarchy)
    assert sums.rows() == [("x", MONDAY, 11.0), ("x", MONDAY + timedelta(days=2), 3.0)]
    text = parents.note(series, sums, hierarchy)
    assert text is not None and text.startswith("parent x: its count is known at 2 of 4 steps, those at which every")
    whole = pl.concat([days("a", 1, 2), days("b", 3, 4)])
    assert parents.note(whole, parents.counts(whole, hierarchy), hierarchy) is None


def test_a_parent_changes_whenever_the_count_of_a_series_does() -> None:
    hierarchy = parents.read(rows("a<x", "b<x"), NAMES)
    versions = pl.DataFrame(
        [("a", None, 1.0), ("a", 9, 4.0), ("b", 8, 10.0), ("b", 9, 20.0), ("b", 12, 19.0)],
        schema=["unique_id", "day", "y"],
        orient="row",
    ).select("unique_id", ds=MONDAY, y="y", known_at=MONDAY + pl.duration(days=pl.col("day")))
    sums = parents.counts(versions, hierarchy)
    assert [((at - MONDAY).days, y) for at, y in sums.select("known_at", "y").iter_rows()] == [
        (8, 11.0), (9, 24.0), (12, 23.0),
    ]  # fmt: skip


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4), st.lists(st.integers(0, 50), min_size=12, max_size=12))
def test_the_parents_of_a_whole_hierarchy_add_up_to_all_calls(districts: list[int], counts: list[int]) -> None:
    """However four series are divided, each step's districts and the city have the calls of all."""
    listed = [f"{name}<district {number}" for name, number in zip("abcd", districts, strict=True)]
    tops = [f"district {number}<city" for number in sorted(set(districts))]
    series = pl.concat([days(name, *counts[i::4]) for i, name in enumerate("abcd")])
    sums = parents.counts(series, parents.read(rows(*tops, *listed), NAMES))
    expected = series.group_by("ds").agg(pl.col("y").sum()).sort("ds")["y"].to_list()
    is_city = pl.col("unique_id") == "city"
    for part in (sums.filter(is_city), sums.filter(~is_city)):
        assert part.group_by("ds").agg(pl.col("y").sum()).sort("ds")["y"].to_list() == expected
