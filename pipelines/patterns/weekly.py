"""Weekly comparison: recent reported crime, compared with last year and the years before.

Notes:

* Only complete days count, and spans are comparable: every span, this year's and earlier ones, counts only what was
  reported by its end. Late reports add to this year's span later, so last year's must not include a year of them. The
  counts may therefore be lower than in tables of everything known now. Where a source has no report times (Toronto),
  the day of the incident is used, and the last days are not comparable: they may still fill up.
* Earlier spans end on the same day of the year (29 February: on the 28th). 7 and 28 days contain every weekday equally
  often, so their counts are comparable whatever weekday a date is; year to date is a day longer from March of a leap
  year on.
* A span is known only if every day of it is: not before the records begin, nor in an outage (`unknown_days`). This
  year's span without a count states how many of its days are unknown.
"""

from calendar import isleap
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from pipelines.patterns.statistics.e_test import e_tests
from pipelines.patterns.statistics.rollups import ALL
from pipelines.schema.dictionary import frame_schema

YEARS_BEFORE: Final = 5
SPANS: Final = {"7 days": 7, "28 days": 28, "year to date": None}
"""Length in days; None is from 1 January."""

KEYS: Final = ("area_id", "category")
TYPES: Final = frame_schema("patterns.weekly")


def weekly(
    points: pl.DataFrame,
    areas: pl.DataFrame,
    weights: pl.DataFrame,
    chart: pl.DataFrame,
    unknown: pl.DataFrame,
    window_end: date,
) -> pl.DataFrame:
    """Return counts per area, category and span, with those of the years before.

    Args:
        points: One row per incident and area in which it counts: ``area_id, category, occurrence_date, report_date``.
            Categories include ``all``, their sum.
        areas: ``area_id, area_level`` of every area to list.
        weights: ``category, harm`` of every category.
        chart: The result of ``control_chart`` for the same points: its newest week gives the 7 days their expected
            range.
        unknown: ``area_id, category, day``: days on which a category is unknown in an area.
        window_end: The first local date that is not complete.

    Returns:
        ``patterns.weekly``: every area × category in the records × span, zeros included. Where ``unknown_days`` is not
        0, ``incidents`` and all derived from it are null; where a day of last year's span is unknown,
        ``incidents_year_before`` and all derived from it. ``change_share`` is null also if last year had none;
        ``e_test_p`` also for the year to date, over which crime drifts too much for a test of chance. ``harm`` is the
        sum of the incidents' weights.
    """
    categories = points.select("category").unique().filter(pl.col("category") != ALL).sort("category")
    if categories.is_empty():
        return pl.DataFrame(schema=TYPES)
    listed = pl.concat([categories, pl.DataFrame({"category": [ALL]})])
    grid = areas.select("area_id", "area_level").join(listed, how="cross", maintain_order="left")
    frames = [_span(points, grid, weights, span, unknown, window_end) for span in SPANS]
    newest = chart.filter(pl.col("week_start_date") == pl.col("week_start_date").max()).select(
        *KEYS, pl.lit("7 days").alias("span"), "expected_low", "expected_high", "signal"
    )
    return (
        pl.concat(frames)
        .join(newest, on=[*KEYS, "span"], how="left", maintain_order="left")
        .select(pl.col(name).cast(dtype) for name, dtype in TYPES.items())
    )


def windows(span: str, window_end: date) -> Iterator[tuple[date, date]]:
    """Yield first day and end (half open) of a span, this year's first, then those of the five years before."""
    last, days = window_end - timedelta(days=1), SPANS[span]
    for years in range(YEARS_BEFORE + 1):
        end = _years_ago(last, years) + timedelta(days=1)
        start = end - timedelta(days=days) if days else date(last.year - years, 1, 1)
        yield start, end


def _span(
    points: pl.DataFrame, grid: pl.DataFrame, weights: pl.DataFrame, span: str, unknown: pl.DataFrame, window_end: date
) -> pl.DataFrame:
    counted = grid
    for years, (start, end) in enumerate(windows(span, window_end)):
        days = unknown.filter(pl.col("day").is_between(start, end, closed="left"))
        lacking = days.group_by(KEYS).agg(pl.len().cast(pl.Int32).alias("lacking"))
        counted = (
            counted.join(_count(points, start, end, f"y{years}"), on=KEYS, how="left", maintain_order="left")
            .join(lacking, on=KEYS, how="left", maintain_order="left")
            .with_columns(pl.when(pl.col("lacking").is_null()).then(pl.col(f"y{years}").fill_null(0)))
            .rename({"lacking": f"lacking{years}"})
        )
    before = pl.col([f"y{years}" for years in range(1, YEARS_BEFORE + 1)])
    start, _ = next(windows(span, window_end))
    compared = counted.with_columns(
        pl.lit(span).alias("span"),
        pl.lit(start).alias("window_start_date"),
        pl.lit(window_end).alias("window_end_date"),
        pl.col("y0").alias("incidents"),
        pl.col("lacking0").fill_null(0).alias("unknown_days"),
        pl.col("y1").alias("incidents_year_before"),
        (pl.col("y0") - pl.col("y1")).alias("difference"),
        pl.when(pl.col("y1") > 0).then(pl.col("y0") / pl.col("y1") - 1).alias("change_share"),
        _chance(counted, span).alias("e_test_p"),
        pl.mean_horizontal(before).alias("mean_before"),
        pl.sum_horizontal(before.is_not_null().cast(pl.Int32)).alias("years_before"),
    )
    return _with_harm(compared, weights)


def _chance(counted: pl.DataFrame, span: str) -> pl.Series:
    """Return the E-test of this year's and last year's count; null where one is unknown, and for the year to date."""
    p = np.full(counted.height, np.nan)
    is_known = (counted["y0"].is_not_null() & counted["y1"].is_not_null()).to_numpy()
    if SPANS[span] and is_known.any():
        p[is_known] = e_tests(counted["y0"].filter(is_known), counted["y1"].filter(is_known))
    return pl.Series(p, dtype=pl.Float64).fill_nan(None)


def _count(points: pl.DataFrame, start: date, end: date, name: str) -> pl.DataFrame:
    """Count incidents that happened in a span and were reported by its end."""
    inside = points.filter(pl.col("occurrence_date").is_between(start, end, closed="left"), pl.col("report_date") < end)
    return inside.group_by(KEYS).agg(pl.len().cast(pl.Int64).alias(name))


def _with_harm(counted: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Multiply counts by weights; for ``all``, sum over the area's categories in their order."""
    weighted = counted.join(weights.select("category", weight="harm"), on="category", how="left", maintain_order="left")
    weighed = (pl.col("incidents") * pl.col("weight").fill_null(0.0)).alias("harm")
    whole = weighted.group_by("area_id", maintain_order=True).agg(weighed.sum().round(6).alias("whole"))
    return (
        weighted.join(whole, on="area_id", maintain_order="left")
        .with_columns(
            harm=pl.when(pl.col("incidents").is_null())
            .then(None)
            .when(pl.col("category") == ALL)
            .then(pl.col("whole"))
            .otherwise(weighed.round(6))
        )
        .drop("weight", "whole")
    )


def _years_ago(day: date, years: int) -> date:
    year = day.year - years
    return day.replace(year=year, day=28 if (day.month, day.day) == (2, 29) and not isleap(year) else day.day)
