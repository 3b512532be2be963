"""Weekly comparison: recent reported crime, compared with last year and the years before.

Notes:

* Only complete days count, and spans are comparable: every span, this year's and earlier ones, counts only what was
  reported by its end. Late reports add to this year's span later, so last year's must not include a year of them. The
  counts may therefore be lower than in tables of everything known now. Where a source has no report times (Toronto),
  the day of the incident is used, and the last days are not comparable: they may still fill up.
* Earlier spans end on the same day of the year (29 February: on the 28th). 7 and 28 days contain every weekday equally
  often, so their counts are comparable whatever weekday a date is; year to date is a day longer from March of a leap
  year on.
* A year is known only if the records reach back to its span's first day. The records begin with the first report: an
  old offence that was reported late does not make them older.
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
    history_start: date | None,
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
        history_start: First local date of the records.
        window_end: The first local date that is not complete.

    Returns:
        ``patterns.weekly``: every area × category in the records × span, zeros included. ``incidents_year_before`` and
        the columns derived from it, and ``mean_before``, are null where the records do not reach; ``change_share`` also
        if last year had none; ``e_test_p`` also for the year to date, over which crime drifts too much for a test of
        chance. ``harm`` is the sum of the incidents' weights.
    """
    categories = points.select("category").unique().filter(pl.col("category") != ALL).sort("category")
    if categories.is_empty() or history_start is None:
        return pl.DataFrame(schema=TYPES)
    listed = pl.concat([categories, pl.DataFrame({"category": [ALL]})])
    grid = areas.select("area_id", "area_level").join(listed, how="cross", maintain_order="left")
    frames = [_span(points, grid, weights, span, history_start, window_end) for span in SPANS]
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
    points: pl.DataFrame, grid: pl.DataFrame, weights: pl.DataFrame, span: str, history_start: date, window_end: date
) -> pl.DataFrame:
    counted, known = grid, []
    for years, (start, end) in enumerate(windows(span, window_end)):
        if years == 0 or start >= history_start:
            counted = counted.join(_count(points, start, end, f"y{years}"), on=KEYS, how="left", maintain_order="left")
            known.append(f"y{years}")
    counted = counted.with_columns(pl.col(known).fill_null(0))
    before = known[1:]
    last_year = pl.col("y1") if "y1" in before else pl.lit(None, pl.Int64)
    p = e_tests(counted["y0"], counted["y1"]) if "y1" in before and SPANS[span] else np.full(counted.height, np.nan)
    start, _ = next(windows(span, window_end))
    compared = counted.with_columns(
        pl.lit(span).alias("span"),
        pl.lit(start).alias("window_start_date"),
        pl.lit(window_end).alias("window_end_date"),
        pl.col("y0").alias("incidents"),
        last_year.alias("incidents_year_before"),
        (pl.col("y0") - last_year).alias("difference"),
        pl.when(last_year > 0).then(pl.col("y0") / last_year - 1).alias("change_share"),
        pl.Series("e_test_p", p, dtype=pl.Float64).fill_nan(None),
        (pl.mean_horizontal(before) if before else pl.lit(None, pl.Float64)).alias("mean_before"),
        pl.lit(len(before), pl.Int32).alias("years_before"),
    )
    return _with_harm(compared, weights).drop(known)


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
        .with_columns(harm=pl.when(pl.col("category") == ALL).then(pl.col("whole")).otherwise(weighed.round(6)))
        .drop("weight", "whole")
    )


def _years_ago(day: date, years: int) -> date:
    year = day.year - years
    return day.replace(year=year, day=28 if (day.month, day.day) == (2, 29) and not isleap(year) else day.day)
