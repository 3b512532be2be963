"""Scores of street segments at past dates: the list as `own_streets.predict_streets` issues it, and plain counts.

Every list is cut at the same total length. An incident at a junction is a hit in parts, as it counts there. PAI is the
hit rate over the share of the length (Chainey, Tompson and Uhlig 2008): 1 is chance.
"""

from datetime import date
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.forecast.risk import own_history, own_points, own_streets
from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.history import EPOCH, Floats, History, Ints, day_number
from pipelines.forecast.risk.models.counts import count
from pipelines.forecast.risk.own_streets import Streets, StreetTask
from pipelines.forecast.risk.point_columns import PointsError
from pipelines.forecast.risk.ranking import ranks

LISTED, COUNT, DENSITY = "listed", "count", "count_per_km"
"""The list as issued; segments by their count of all known days; and by that count for their length."""
GAINS: Final = {
    "gain": "gain", "gain_low": "gain_low", "gain_high": "gain_high", "prospective_gain": "gain_per_km",
    "prospective_gain_low": "gain_per_km_low", "prospective_gain_high": "gain_per_km_high",
}  # fmt: skip
"""PAI minus that of `COUNT`, and minus that of `DENSITY`, as `scoring.score` calls the differences from two models."""
COLUMNS: Final = ("hit_rate", "pai", "pai_low", "pai_high", "pei_star")


class StreetScores(NamedTuple):
    """``windows``: ``origin_date, category, model, days, segments, length_share, incidents, hits, most_hits``.

    ``scores``: all windows of a category and model pooled: ``category, model, length_share, origins, incidents, hits``,
    `COLUMNS` and the values of `GAINS`.
    """

    windows: pl.DataFrame
    scores: pl.DataFrame


def backtest_streets(
    points: pl.DataFrame,
    task: StreetTask,
    start: date,
    days: int,
    origins: int,
    step: int,
    progress: Progress = silent,
    note: Progress = silent,
) -> StreetScores:
    """Score street segments on windows that begin at ``start`` and every ``step`` days before it.

    Arguments as of `own_points.backtest_points`. A window with an unknown day, or before which no incident of its
    category is known, is not scored.

    Raises:
        PointsError: As `own_streets.predict_streets`; the points end within the last window; or no window has a score.
    """
    own_points.check_span(days + step * (origins - 1))
    last = day_number(start)
    streets = own_streets.streets_of(points, task, note)
    own_points.check_end(points, last + days)
    actual = streets.history(streets.points, last + days, note)
    rows: list[dict[str, object]] = []
    for done in range(origins):
        origin = last - step * (origins - 1 - done)
        rows += _window(streets, actual, origin, days)
        progress(f"{done + 1} of {origins} windows")
    if not rows:
        raise PointsError(
            "no window has a score: all are without points before them or in an outage; use another --start"
        )
    windows = pl.DataFrame(rows)
    if (scored := windows["origin_day"].n_unique()) < origins:
        note(f"{origins - scored} of {origins} windows have no known points before them, or an outage, and no score")
    return StreetScores(_dated(windows), _pooled(windows))


def _window(streets: Streets, actual: History, origin: int, days: int) -> list[dict[str, object]]:
    """Return a row for each category and model of a window."""
    if own_history.seen(streets.points, origin).is_empty():
        return []
    seen = streets.seen(origin)
    rows = []
    for category, known in seen.events.items():
        if not known.cell.size or not actual.is_known(category, origin, origin + days):
            continue
        outcome = streets.shares @ actual.events[category].counts(actual.grid.size, origin, origin + days)
        best = np.argsort(-outcome / streets.metres, kind="stable")
        for model, order in _orders(streets, seen, category, origin).items():
            selected = order[streets.is_selected(order)]
            rows.append(
                {
                    "origin_day": origin, "category": category, "model": model, "days": days, "cells": selected.size,
                    "area_share": streets.metres[selected].sum() / streets.metres.sum(),
                    "incidents": outcome.sum(), "hits": outcome[selected].sum(),
                    "most_hits": outcome[best[streets.is_selected(best)]].sum(),
                }
            )  # fmt: skip
    return rows


def _orders(streets: Streets, seen: History, category: str, origin: int) -> dict[str, Ints]:
    """Return the segments of each model, best first; equal ones by the same draw."""
    counted: Floats = streets.shares @ count(seen, category, origin, None)
    plain = {COUNT: counted, DENSITY: counted / streets.metres}
    issued, _ = streets.listed(seen, category, origin)
    return {LISTED: issued} | {name: np.argsort(ranks(rate, category, origin)) for name, rate in plain.items()}


def _dated(windows: pl.DataFrame) -> pl.DataFrame:
    origin = (pl.lit(EPOCH) + pl.duration(days=pl.col("origin_day"))).cast(pl.Date).alias("origin_date")
    return windows.select(origin, pl.exclude("origin_day")).rename({"cells": "segments", "area_share": "length_share"})


def _pooled(windows: pl.DataFrame) -> pl.DataFrame:
    """Pool the windows by category and model."""
    unused = {name: 0 for name in ("hit_cells", "prior_incidents", "prior_hits")} | {"log_score": None}
    complete = windows.with_columns(pl.lit(value).alias(name) for name, value in unused.items())
    scores = scoring.score(complete, ["category", "model"], (COUNT, DENSITY)).rename(GAINS)
    counted = ("category", "model", pl.col("area_share").alias("length_share"), "origins", "incidents", "hits")
    return scores.select(*counted, *COLUMNS, *GAINS.values())
