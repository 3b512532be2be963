"""The history of your own points: outages are found in the points themselves, and noted."""

from datetime import timedelta
from typing import Final

import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.forecast.risk.history import ALWAYS, EPOCH, Grid, History, history
from pipelines.quality import outages

MOST_NOTED: Final = 4
"""Gaps of which a note gives the days."""


def seen(points: pl.DataFrame, day: int) -> pl.DataFrame:
    """Return the points (``day, known_from``) that were known at a day."""
    return points.filter(pl.col("day") < day, pl.col("known_from") <= day)


def history_of(points: pl.DataFrame, grid: Grid, end: int, note: Progress = silent) -> History:
    """Return points with ``category, cell, day, known_from`` as a history; outages before its end are noted."""
    states = points.with_columns(known_until=pl.lit(ALWAYS))
    return history(grid, states, _gaps(points.filter(pl.col("day") < end), note), end)


def _gaps(inside: pl.DataFrame, note: Progress) -> pl.DataFrame:
    """Return the days on which the points as a whole are unknown, of every category, for `history`; note them."""
    gaps = outages.gaps_of_days(inside["day"].to_numpy())
    for first, end in gaps[:MOST_NOTED]:
        unused = int((inside["day"] < end).sum() if first is None else inside["day"].is_between(first, end - 1).sum())
        after = EPOCH + timedelta(days=end)
        if first is not None:
            day = EPOCH + timedelta(days=first)
            note(f"{unused} points from {day} to before {after}: taken as an outage, not as days without crime")
        elif unused:
            note(f"{unused} points are from long before {after}, when records begin, and are not used")
    if len(gaps) > MOST_NOTED:
        note(f"{len(gaps) - MOST_NOTED} more outages")
    spans = pl.DataFrame(gaps, schema={"from_day": pl.Int64, "until_day": pl.Int64}, orient="row")
    return inside.select("category").unique().join(spans, how="cross")
