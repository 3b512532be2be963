"""Scores of issued lists of places, once their month has passed."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand.evaluation import negative_binomial
from pipelines.forecast.risk.cell_hours import hours
from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.patrol.backtest import AREAS
from pipelines.forecast.risk.patrol.nightly import NONE


def score_issued(
    issued: pl.DataFrame,
    crime_points: pl.DataFrame,
    known_through: datetime,
    profile: Profile,
    gaps: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Score issued lists whose month has fully passed, without a day on which a category was unknown.

    Args:
        issued: ``forecast.patrol_areas`` of any number of ``reference_at``. Shifts and planned time are those of the
            issue.
        crime_points: ``marts.crime_points`` as now known: ``cell_id, category, occurrence_date, occurred_at,
            occurred_until``. Incidents of unknown time are in no shift.
        known_through: Up to when (UTC) records are complete.
        profile: Time zone.
        gaps: ``marts.crime_gaps``; none: all days are known.

    Returns:
        ``forecast.patrol_area_scores`` with ``origin_kind`` ``issued``: one row per issue and shift, without plain
        lists and ratios, which only the backtest has.
    """
    zone = profile.time_zone
    ended = issued.filter(pl.col("target_end") <= known_through).with_columns(
        pl.col("target_start", "target_end").dt.convert_time_zone(zone).dt.date()
    )
    if ended.is_empty():
        return NONE.scores
    day = pl.col("occurrence_date").cast(pl.Date)
    # A span may begin on the day before the one that it counts on.
    edges = ended.select(pl.col("target_start").min() - timedelta(days=1), pl.col("target_end").max()).row(0)
    middle = hours.middle("occurred_at", "occurred_until").dt.convert_time_zone(zone)
    points = crime_points.filter(day.is_between(*edges)).select(
        "cell_id",
        "category",
        pl.coalesce(middle.dt.date(), day).alias("date"),
        middle.dt.hour().alias("hour"),
    )
    parts = ended.partition_by("reference_at", "shift", maintain_order=True)
    categories = crime_points.select(pl.col("category").unique())
    scores = [_score(places, points) for places in parts if _is_known(places, categories, gaps)]
    return pl.concat([NONE.scores, *scores], how="diagonal_relaxed").select(NONE.scores.columns)


def _is_known(places: pl.DataFrame, categories: pl.DataFrame, gaps: pl.DataFrame | None) -> bool:
    """Return whether every category is known on every day of a list's month."""
    windows = categories.join(places.select("target_start", "target_end").head(1), how="cross")
    return scoring.known_only(windows, "target_start", "target_end", gaps).height == windows.height


def _score(places: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """Return the score of one list: a shift of all station areas."""
    first = places.row(0, named=True)
    start, end = first["target_start"], first["target_end"]
    reported = points.filter(pl.col("date").is_between(start, end, closed="left"))
    timed = reported["hour"].count() / reported.height if reported.height else 1.0
    fell = reported.filter((pl.col("hour").cast(pl.Int64) - int(first["shift_begins"][:2])) % 24 < first["shift_hours"])
    by_cell = fell.group_by("cell_id").agg(pl.len().cast(pl.Int64).alias("fell"))
    counted = (
        places.select("police_area_id", "rank", "cell_ids")
        .explode("cell_ids")
        .join(by_cell, left_on="cell_ids", right_on="cell_id", how="left")
        .group_by("police_area_id", "rank", maintain_order=True)
        .agg(pl.col("fell").sum())["fell"]
    )
    hits, planned = int(counted.sum()), places["planned_minutes"].sum() / 60 * (end - start).days
    area_km2 = float(places["area_km2"].sum())
    return pl.DataFrame(
        {
            "reference_at": [first["reference_at"]],
            "origin_kind": ["issued"],
            "shift": [first["shift"]],
            "model": [AREAS],
            "is_baseline": [False],
            "origins": [1],
            "stops": [float(places.height)],
            "area_km2": [area_km2],
            "planned_hours": [planned],
            "incidents": [fell.height],
            "hits": [hits],
            "expected_hits": [float(places["expected"].sum()) * timed],
            "hit_rate": [hits / fell.height if fell.height else None],
            "hits_per_km2": [hits / area_km2],
            "hits_per_patrol_hour": [hits / planned],
            "coverage_80": [counted.is_between(places["q0.1"], places["q0.9"]).mean()],
            "expected_coverage_80": [_mass(places)],
        },
        schema_overrides={"hit_rate": pl.Float64},
    )


def _mass(places: pl.DataFrame) -> float:
    """Return the mean probability of the ranges as issued."""
    mean, dispersion, low, high = (places[name].to_numpy() for name in ("expected", "dispersion", "q0.1", "q0.9"))
    inside = negative_binomial.cumulative(high, mean, dispersion)
    return float(np.mean(inside - negative_binomial.cumulative(low - 1, mean, dispersion)))
