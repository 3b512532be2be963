"""Tonight's lists: the places of every police station area and shift for the coming month, and scores of past lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from pipelines.config.profile import Profile
from pipelines.forecast.demand.evaluation import negative_binomial
from pipelines.forecast.demand.series import midnight
from pipelines.forecast.risk.history import Floats, Ints
from pipelines.forecast.risk.models.boosting import WINDOW_DAYS
from pipelines.forecast.risk.patrol import backtest, compact_areas
from pipelines.forecast.risk.patrol.backtest import AREAS, RANGE
from pipelines.forecast.risk.patrol.compact_areas import Area
from pipelines.forecast.risk.patrol.expectation import Known
from pipelines.schema.dictionary import frame_schema

DAYS: Final = WINDOW_DAYS
"""Length of the month that is forecast, and of the one whose incidents are given next to it: a backtest's window. In a
week most places expect less than one incident, and a range of it says nothing.
"""
RANGE_COLUMNS: Final = tuple(f"q{level:g}" for level in RANGE)

FORECAST: Final = frame_schema("forecast.patrol_areas")
"""``forecast.patrol_areas``."""
SCORES: Final = frame_schema("forecast.patrol_area_scores")
"""``forecast.patrol_area_scores``."""


@dataclass(frozen=True, slots=True)
class PatrolForecast:
    """Frames of `FORECAST` and `SCORES`."""

    forecasts: pl.DataFrame
    scores: pl.DataFrame


NONE: Final = PatrolForecast(pl.DataFrame(schema=FORECAST), pl.DataFrame(schema=SCORES))


@dataclass(frozen=True, slots=True, eq=False)
class Night:
    """The risk forecast of a night, from which its lists are made.

    ``until`` is the first unknown day; the month begins ``lead`` days later. ``cells``: ``cell_id, x_m, y_m`` (lower
    left corner, profile's CRS) in the order of the grid. By category: ``ranked`` (`Lists.issue`), and ``tested``,
    the expected incidents a day at each origin of the backtest. ``scores``: those of an earlier night to reuse
    (`SCORES`); none: they are computed from ``tested``.
    """

    known: Known
    cells: pl.DataFrame
    until: int
    lead: int
    ranked: Mapping[str, pl.DataFrame]
    tested: Mapping[str, Mapping[int, Floats]]
    scores: pl.DataFrame | None = None

    def daily(self) -> dict[str, Floats]:
        """Return the expected incidents a day in the order of the grid, by category."""
        return {name: ranked.sort("cell")["expected"].to_numpy() for name, ranked in self.ranked.items()}


def forecast_patrols(
    night: Night, as_of: datetime, data_as_of: datetime, profile: Profile, degraded: pl.Expr
) -> PatrolForecast:
    """List the places of every police station area and shift for the coming local month, and score past lists.

    Args:
        night: The risk forecast.
        as_of: The instant (UTC) of issue; the month begins on the day after its local day.
        data_as_of: Up to when (UTC) records were read.
        profile: Time zone, CRS, shifts, time of a patrol.
        degraded: The reason of each row by its ``category``, or null.

    Returns:
        Places by station area, shift and rank, none without an expectation or a station area; scores without an origin
        are empty.
    """
    scores = _past_scores(night, as_of, profile) if night.scores is None else night.scores
    daily = night.daily()
    rates = night.known.by_category(night.until, daily)
    tables = [NONE.forecasts]
    for column, shift in enumerate(night.known.shifts):
        expected = {category: rate[:, column] * DAYS for category, rate in rates.items()}
        total = np.sum(list(expected.values()), axis=0)
        areas, _ = backtest.lists(night.known, total, profile.patrol, shift, night.until)
        if areas:
            tables.append(_of_shift(night, areas, expected, shift, _dispersion(scores, shift), profile))
    today = as_of.astimezone(profile.zone).date()
    start, end = (midnight(today + timedelta(days=night.lead + ahead), profile.zone) for ahead in (0, DAYS))
    reasons = pl.DataFrame({"category": list(daily)}).select(degraded.alias("reason"))["reason"]
    listed = pl.concat(tables, how="diagonal_relaxed").with_columns(
        pl.lit(as_of).alias("reference_at"),
        pl.lit(start).alias("target_start"),
        pl.lit(end).alias("target_end"),
        pl.lit(data_as_of).alias("data_as_of"),
        pl.lit("; ".join(reasons.drop_nulls().unique(maintain_order=True)) or None, pl.String).alias("degraded_reason"),
    )
    return PatrolForecast(_typed(listed, FORECAST).sort("police_area_id", "shift", "rank"), scores)


def _past_scores(night: Night, as_of: datetime, profile: Profile) -> pl.DataFrame:
    windows = backtest.windows(night.known, night.tested, DAYS, night.lead, profile.patrol)
    if windows.is_empty():
        return NONE.scores
    stated = pl.lit(as_of).alias("reference_at"), pl.lit("backtest").alias("origin_kind")
    return _typed(backtest.pooled(windows).with_columns(stated), SCORES)


def _typed(frame: pl.DataFrame, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    """Return the columns of a schema, with their types."""
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _of_shift(
    night: Night, areas: Sequence[Area], expected: Mapping[str, Floats], shift: str, dispersion: float, profile: Profile
) -> pl.DataFrame:
    """Return a row per place of a shift: what is expected there and in its station area, its cells and its outline."""
    known, times = night.known, night.known.shifts[shift]
    total = np.sum(list(expected.values()), axis=0)
    parts = [area.cells[np.argsort(-total[area.cells], kind="stable")] for area in areas]
    mean, size = np.array([total[part].sum() for part in parts]), np.array([part.size for part in parts])
    whole = np.array([total[known.stations[area.station]].sum() for area in areas])
    outlines, inside = _outlines(night, parts, profile)
    hours = profile.patrol.hours(times)
    return pl.DataFrame(
        {
            "police_area_id": [area.station for area in areas],
            "rank": [area.rank for area in areas],
            "cells": size,
            "cell_ids": [night.cells["cell_id"].gather(part).to_list() for part in parts],
            "area_km2": size * (known.history.grid.metres / 1000) ** 2,
            "expected": mean,
            "any_probability": 1 - negative_binomial.cumulative(np.zeros(mean.size), mean, dispersion),
            **dict(zip(RANGE_COLUMNS, negative_binomial.quantiles(mean, dispersion, RANGE).T, strict=True)),
            "base_expected": whole * size / np.array([known.stations[area.station].size for area in areas]),
            "station_expected": whole,
            "round_km": _rounds(night, areas),
            "recent_hits": _recent(night, parts, list(expected), list(known.shifts).index(shift)),
            "expected_per_patrol_hour": mean / (hours * DAYS),
            "category_detail": [_detail(expected, part) for part in parts],
            "lon": shapely.get_x(inside),
            "lat": shapely.get_y(inside),
            "geometry": list(shapely.to_wkb(outlines)),
        },
        schema_overrides={"recent_hits": pl.Int64},
    ).with_columns(
        pl.lit(shift).alias("shift"),
        pl.lit(times.begins.strftime("%H:%M")).alias("shift_begins"),
        pl.lit(times.hours).alias("shift_hours"),
        pl.lit(profile.patrol.visits(times)).alias("visits"),
        pl.lit(hours * 60).alias("planned_minutes"),
        pl.lit(dispersion).alias("dispersion"),
    )


def _rounds(night: Night, areas: Sequence[Area]) -> list[float]:
    """Return the straight-line length (km) of a round through all places of each place's station area."""
    x, y = (night.cells[name].to_numpy().astype(float) for name in ("x_m", "y_m"))
    middles: dict[str, list[tuple[float, float]]] = {}
    for area in areas:
        middles.setdefault(area.station, []).append((float(x[area.cells].mean()), float(y[area.cells].mean())))
    ways = {station: compact_areas.round_way(*np.array(points).T) / 1000 for station, points in middles.items()}
    return [ways[area.station] for area in areas]


def _outlines(night: Night, parts: Sequence[Ints], profile: Profile) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return the outline of each place and a point in it, EPSG:4326."""
    side = profile.grid.cell_metres
    x, y = (night.cells[name].to_numpy() for name in ("x_m", "y_m"))
    united = [shapely.union_all(shapely.box(x[part], y[part], x[part] + side, y[part] + side)) for part in parts]
    back = Transformer.from_crs(profile.crs, "EPSG:4326", always_xy=True)
    outlines = shapely.transform(np.array(united, dtype=object), back.transform, interleaved=False)
    return outlines, shapely.point_on_surface(outlines)


def _recent(night: Night, parts: Sequence[Ints], categories: Sequence[str], column: int) -> list[int | None]:
    """Return the incidents of the last month in each place in the shift's hours; None if a day of them is unknown."""
    first, until, history = night.until - DAYS, night.until, night.known.history
    if not all(history.is_known(category, first, until) for category in categories):
        return [None] * len(parts)
    fell = np.sum([night.known.observed(category, first, until)[:, column] for category in categories], axis=0)
    return [int(fell[part].sum()) for part in parts]


def _detail(expected: Mapping[str, Floats], cells: Ints) -> str:
    """Return what each category adds to the expectation of a place, the most first."""
    parts = sorted(((float(values[cells].sum()), category) for category, values in expected.items()), reverse=True)
    return ", ".join(f"{category} {value:.2g}" for value, category in parts)


def _dispersion(scores: pl.DataFrame, shift: str) -> float:
    """Return the dispersion of the counts of a shift's past places; without any, that of Poisson."""
    known = scores.filter((pl.col("shift") == shift) & (pl.col("model") == AREAS))["dispersion"].drop_nulls()
    return float(known[0]) if known.len() else 0.0
