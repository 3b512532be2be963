"""Days on which reported crime is unknown, before the records begin or in an outage: never days without crime.

Comparisons leave them out (`weekly`, `control_chart`). Analyses of a window of so many days take the last ones that are
known: their frames are closed up over the unknown days before (`closed`), and the dates of their results opened again
after (`opened`).

Where a source dates its incidents by month only, days are known and their weeks are not (`undated`): there is no
weekly count, and no pattern that compares weeks or months.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.patterns.statistics.rollups import ALL

YEARS: Final = 6
"""How far back any pattern looks."""
LEAST_SHARE: Final = 0.1
"""The sum of the categories is unknown where categories with this share of the crime are."""

WEEK: Final = timedelta(days=7)

SCHEMA: Final = {"category": pl.String, "day": pl.Date}
Days = NDArray[np.int32]


def unknown_days(gaps: pl.DataFrame, points: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return the unknown days of every category, and of their sum, in the years before ``window_end``.

    Args:
        gaps: ``marts.crime_gaps``: ``category, from_date`` (null: ever before), ``until_date``.
        points: One row per incident: ``category, occurrence_date``.
        window_end: The first local date excluded.

    Returns:
        ``category, day``, ``all`` among the categories, which are those of the points.
    """
    since = window_end - timedelta(days=YEARS * 366)
    inside = points.filter(pl.col("occurrence_date").is_between(since, window_end, closed="left"))
    counted = inside.group_by("category").agg(pl.len().alias("incidents"))
    spans = gaps.select(
        "category",
        pl.col("from_date").fill_null(since).clip(since, window_end).alias("first"),
        pl.col("until_date").clip(since, window_end).alias("end"),
    ).filter(pl.col("first") < pl.col("end"))
    days = (
        spans.with_columns(day=pl.date_ranges("first", "end", closed="left"))
        .explode("day")
        .select(*SCHEMA)
        .unique()
        .join(counted, on="category", how="semi")
    )
    known = (window_end - since).days - pl.col("unknown").fill_null(0)
    rates = counted.join(days.group_by("category").agg(pl.len().alias("unknown")), on="category", how="left").select(
        "category", rate=pl.col("incidents") / known.clip(1)
    )
    lacking = (
        days.join(rates, on="category")
        .group_by("day")
        .agg(pl.col("rate").sum())
        .filter(pl.col("rate") >= LEAST_SHARE * float(rates["rate"].sum()))
    )
    return pl.concat([days, lacking.select(pl.lit(ALL).alias("category"), "day")]).sort("category", "day")


def is_dated() -> pl.Expr:
    """Return whether an incident's day is known to a week; a start without an end is a day."""
    return (pl.col("occurred_until") - pl.col("occurred_from") <= WEEK).fill_null(True)


def undated(points: pl.DataFrame) -> list[str]:
    """Return the categories of which a tenth of the incidents or more is not dated to a week.

    Args:
        points: One row per incident: ``category, occurred_from, occurred_until``.
    """
    shares = points.group_by("category").agg((~is_dated()).mean().alias("share"))
    return shares.filter(pl.col("share") >= LEAST_SHARE)["category"].sort().to_list()


def with_undated(unknown: pl.DataFrame, points: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return the unknown days, to which every day of `undated` categories is added, and of the sum if they are a tenth.

    Args:
        unknown: The result of `unknown_days` for the same points.
        points: One row per incident: ``category, occurrence_date, occurred_from, occurred_until``.
        window_end: The first local date excluded.
    """
    categories = undated(points)
    lacking = points["category"].is_in(categories).sum()
    listed = [*categories, ALL] if categories and lacking >= LEAST_SHARE * points.height else categories
    days = pl.date_range(window_end - timedelta(days=YEARS * 366), window_end, closed="left", eager=True)
    added = pl.DataFrame({"category": listed}, schema={"category": pl.String}).join(days.to_frame("day"), how="cross")
    return pl.concat([unknown, added]).unique().sort("category", "day")


def by_area(unknown: pl.DataFrame, area_gaps: pl.DataFrame, areas: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return the unknown days of every area: those of all, and its own.

    Args:
        unknown: ``category, day``: unknown everywhere.
        area_gaps: ``category, area_id, from_date`` (null: ever before), ``until_date``: unknown in single areas.
        areas: ``area_id`` of the areas to list.
        window_end: The first local date excluded.

    Returns:
        ``area_id, category, day``; where a category of an area is unknown, so is the area's sum.
    """
    since = window_end - timedelta(days=YEARS * 366)
    in_one = (
        area_gaps.join(areas, on="area_id", how="semi")
        .select(
            "area_id",
            "category",
            pl.col("from_date").fill_null(since).clip(since, window_end).alias("first"),
            pl.col("until_date").clip(since, window_end).alias("end"),
        )
        .filter(pl.col("first") < pl.col("end"))
        .with_columns(day=pl.date_ranges("first", "end", closed="left"))
        .explode("day")
        .select("area_id", "category", "day")
    )
    everywhere = areas.select("area_id").join(unknown, how="cross")
    return pl.concat([everywhere, in_one, in_one.with_columns(pl.lit(ALL).alias("category"))]).unique()


def first_known(unknown: pl.DataFrame, window_end: date) -> date | None:
    """Return the first day on which crime as a whole is known, in the years before ``window_end``; None without one."""
    since = window_end - timedelta(days=YEARS * 366)
    known = np.setdiff1d(np.arange(_number(since), _number(window_end)), _of_all(unknown))
    return _date(int(known[0])) if known.size else None


def closed(dated: pl.DataFrame, columns: Sequence[str], unknown: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of known days, with dates so much later as there are unknown days after them."""
    days = _of_all(unknown)
    if not days.size:
        return dated
    kept = dated.filter(~pl.col(columns[0]).is_in(unknown.filter(pl.col("category") == ALL)["day"].implode()))

    def later(column: str) -> pl.Series:
        numbers = kept[column].cast(pl.Int32).to_numpy()
        moved = numbers + days.size - np.searchsorted(days, numbers)
        return pl.Series(column, moved.astype(np.int32)).cast(pl.Date)

    return kept.with_columns(later(column) for column in columns)


def closed_gaps(unknown: pl.DataFrame, points: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return the gaps after `closed`: every known day follows another one, before the first of them is nothing.

    Returns:
        Rows as of ``marts.crime_gaps``: ``category, from_date`` (null: ever before), ``until_date``.
    """
    known = YEARS * 366 - _of_all(unknown).size
    return (
        points.select("category")
        .unique()
        .select(
            "category",
            pl.lit(None, pl.Date).alias("from_date"),
            pl.lit(window_end - timedelta(days=known)).alias("until_date"),
        )
    )


def opened(table: pl.DataFrame, columns: Sequence[str], unknown: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return a table with its dates as they were before `closed`.

    Starts before the first known day become that day; an end becomes the day after the last known one.
    """
    days, end = _of_all(unknown), _number(window_end)
    if not days.size or table.is_empty():
        return table
    span = np.arange(_number(window_end - timedelta(days=YEARS * 366)), end)
    known = np.setdiff1d(span, days)
    if not known.size:
        return table

    def back(column: str) -> pl.Series:
        ago = end - table[column].cast(pl.Int32).to_numpy()
        moved = np.where(ago > 0, known[np.clip(known.size - ago, 0, known.size - 1)], known[-1] + 1)
        return pl.Series(column, moved.astype(np.int32)).cast(pl.Date)

    return table.with_columns(back(column) for column in columns if column in table.columns)


def _of_all(unknown: pl.DataFrame) -> Days:
    return unknown.filter(pl.col("category") == ALL)["day"].cast(pl.Int32).sort().to_numpy()


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _date(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)
