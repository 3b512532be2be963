"""Past lists of places: made at the months of the risk backtest, and compared with plain lists of cells of equal area.

A plain list has the cells with the highest expectation, wherever they are: within each station area as many as the
places there have (`STATION_GRID`), or anywhere in the region as many as all places have (`REGION_GRID`). Patrol time is
counted alike: every place is one stop, and so is every group of adjoining cells of a plain list, per started square of
the size allowed for a place. The way between stops is left out, which favours the lists with more of them.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from pipelines.config.profile import Patrol
from pipelines.forecast.demand.evaluation import negative_binomial
from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.history import ALWAYS, Floats, Grid, Ints
from pipelines.forecast.risk.patrol import compact_areas
from pipelines.forecast.risk.patrol.compact_areas import Area
from pipelines.forecast.risk.patrol.expectation import Known
from pipelines.forecast.risk.ranking import ranks

AREAS: Final = "patrol_areas"
STATION_GRID: Final = "station_grid"
REGION_GRID: Final = "region_grid"
RANGE: Final = (0.1, 0.9)
"""Ends of the range of a count, as quantiles."""

WINDOWS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "origin_day": pl.Int64, "shift": pl.String, "model": pl.String, "stops": pl.Int64, "area_km2": pl.Float64,
    "planned_hours": pl.Float64, "incidents": pl.Int64, "hits": pl.Int64, "expected_hits": pl.Float64,
    "places": pl.Int64, "excess": pl.Float64, "squares": pl.Float64, "inside": pl.Float64,
    "expected_inside": pl.Float64,
}  # fmt: skip
"""One row per origin, shift and list. ``incidents`` and ``hits`` have a known time in the shift's hours. Of the places
only: their number, sums over them for the dispersion (``excess``, ``squares``), and of counts inside their range.
"""


class Counts(NamedTuple):
    """A window of one shift: expected and observed incidents of known time in every cell, and hours of one stop."""

    expected: Floats
    observed: Floats
    stop_hours: float


class Fit(NamedTuple):
    """How the counts of places fit their expectations: the columns of `WINDOWS` from ``places`` on."""

    places: int
    excess: float
    squares: float
    inside: float
    expected_inside: float


def lists(
    known: Known, expected: Floats, patrol: Patrol, shift: str, origin: int
) -> tuple[list[Area], dict[str, list[Ints]]]:
    """Return the places of a shift, and the plain lists: cells of each station area, or of the region.

    Args:
        known: Cells, station areas, size of a place.
        expected: Expected incidents of every cell in the shift.
        patrol: How long the lists are.
        shift: Name of the shift; with ``origin`` it decides between equal cells.
        origin: The first unknown day.
    """
    grid = known.history.grid
    areas = compact_areas.listed(
        grid, known.stations, expected, known.side, patrol.least_ratio, patrol.areas, shift, origin
    )
    sizes = dict.fromkeys(known.stations, 0)
    for area in areas:
        sizes[area.station] += area.cells.size
    rank = ranks(expected, "patrol", shift, origin)
    of_stations = [cells[np.argsort(rank[cells])][: sizes[station]] for station, cells in known.stations.items()]
    everywhere = np.concatenate([*known.stations.values(), np.empty(0, np.int64)])
    of_region = everywhere[np.argsort(rank[everywhere])][: sum(sizes.values())]
    return areas, {STATION_GRID: of_stations, REGION_GRID: [of_region]}


def windows(
    known: Known, daily: Mapping[str, Mapping[int, Floats]], days: int, lead: int, patrol: Patrol
) -> pl.DataFrame:
    """Make and count the lists of every origin: a frame of `WINDOWS`.

    Args:
        known: As of the night; at each origin only what was known there is read.
        daily: Expected incidents a day per cell, by category and origin, as the risk backtest had them. A month without
            a category (a day of it is unknown) has lists and incidents without it.
        days: Length of a window.
        lead: Days from an origin to its window.
        patrol: How long the lists are, and how long a visit takes.
    """
    rows: list[tuple[object, ...]] = []
    fits: dict[str, list[tuple[int, Fit]]] = {shift: [] for shift in known.shifts}
    for origin in sorted({origin for rates in daily.values() for origin in rates}):
        rates = {category: by_origin[origin] for category, by_origin in daily.items() if origin in by_origin}
        span = origin + lead, origin + lead + days
        expected = np.sum(list(known.by_category(origin, rates).values()), axis=0) * days
        outcome = np.sum([known.observed(category, *span) for category in rates], axis=0)
        timed = _timed_share(known, list(rates), *span)
        for column, (shift, times) in enumerate(known.shifts.items()):
            areas, plain = lists(known, expected[:, column], patrol, shift, origin)
            counts = Counts(expected[:, column] * timed, outcome[:, column], patrol.hours(times) * days)
            grid, of_areas = known.history.grid, [area.cells for area in areas]
            # The window of the origin before ends after this one, so that it is not known yet.
            fitted = fit(of_areas, counts, [past for end, past in fits[shift] if end <= origin])
            fits[shift].append((span[1], fitted))
            rows.append((origin, shift, AREAS, *_counted(grid, of_areas, len(areas), counts), *fitted))
            for name, parts in plain.items():
                stops = sum(compact_areas.stops(grid, part, known.side) for part in parts)
                rows.append((origin, shift, name, *_counted(grid, parts, stops, counts), *NO_FIT))
    return pl.DataFrame(rows, schema=WINDOWS, orient="row")


def pooled(windows: pl.DataFrame) -> pl.DataFrame:
    """Pool the origins of every shift and list.

    Returns:
        The columns of ``forecast.patrol_area_scores`` from ``shift`` on, ``reference_at`` and ``origin_kind`` left out.
        Ratios are those of the places to the list of the row, paired by month, with a 95 % interval from the bootstrap
        over blocks of months (`scoring.ratio_interval`); patrol time is taken as known there.
    """
    hits = pl.col("hits")
    summed = (
        windows.group_by("shift", "model", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("origins"),
            pl.col("stops").mean().alias("stops"),
            pl.col("area_km2").mean(),
            pl.col("area_km2").sum().alias("total_km2"),
            pl.col("planned_hours", "incidents", "hits", "expected_hits").sum(),
            pl.col("places", "excess", "squares", "inside", "expected_inside").sum(),
        )
        .with_columns(
            (pl.col("model") != AREAS).alias("is_baseline"),
            _ratio(hits, pl.col("incidents")).alias("hit_rate"),
            _ratio(hits, pl.col("total_km2")).alias("hits_per_km2"),
            _ratio(hits, pl.col("planned_hours")).alias("hits_per_patrol_hour"),
            # Plain lists have no places, hence no sums.
            _ratio(pl.col("excess"), pl.col("squares")).clip(0).alias("dispersion"),
            _ratio(pl.col("inside"), pl.col("places")).alias("coverage_80"),
            _ratio(pl.col("expected_inside"), pl.col("places")).alias("expected_coverage_80"),
        )
    )
    gains = [_gains(windows, shift, model) for shift, model in summed.select("shift", "model").iter_rows()]
    return summed.hstack(pl.DataFrame(gains, schema=dict.fromkeys(RATIOS, pl.Float64), orient="row"))


RATIOS: Final = (
    "km2_ratio", "km2_ratio_low", "km2_ratio_high", "patrol_hour_ratio", "patrol_hour_ratio_low",
    "patrol_hour_ratio_high",
)  # fmt: skip
NO_FIT: Final = Fit(0, 0.0, 0.0, 0.0, 0.0)


def _counted(
    grid: Grid, parts: Sequence[Ints], stops: int, counts: Counts
) -> tuple[int, float, float, int, int, float]:
    """Return the columns of `WINDOWS` from ``stops`` to ``expected_hits`` for the cells of a list."""
    cells = np.concatenate([*parts, np.empty(0, np.int64)])
    area_km2 = cells.size * (grid.metres / 1000) ** 2
    incidents, hits = int(counts.observed.sum()), int(counts.observed[cells].sum())
    return stops, area_km2, stops * counts.stop_hours, incidents, hits, float(counts.expected[cells].sum())


def fit(areas: Sequence[Ints], counts: Counts, past: Sequence[Fit]) -> Fit:
    """Compare the counts of places with their expectations; the range has the dispersion of ``past`` windows."""
    means = np.array([counts.expected[cells].sum() for cells in areas])
    fell = np.array([counts.observed[cells].sum() for cells in areas])
    squares = sum(window.squares for window in past)
    dispersion = max(sum(window.excess for window in past) / squares, 0.0) if squares else 0.0
    low, high = negative_binomial.quantiles(means, dispersion, RANGE).T
    mass = negative_binomial.cumulative(high, means, dispersion) - negative_binomial.cumulative(
        low - 1, means, dispersion
    )
    return Fit(
        len(areas),
        float(((fell - means) ** 2 - means).sum()),
        float((means**2).sum()),
        float(((fell >= low) & (fell <= high)).sum()),
        float(mass.sum()),
    )


def _timed_share(known: Known, categories: Sequence[str], first: int, end: int) -> float:
    """Return the share of a window's incidents whose time is known: only they can be in a shift."""
    timed = total = 0
    for category in categories:
        events = known.history.events[category]
        total += int(((events.known_until == ALWAYS) & (events.day >= first) & (events.day < end)).sum())
        if category in known.times:
            final = known.times[category].final()
            timed += int(((final.day >= first) & (final.day < end)).sum())
    return timed / total if total else 1.0


def _gains(windows: pl.DataFrame, shift: str, model: str) -> tuple[float | None, ...]:
    """Return the ratios of the places to a list, each with its interval; none for the places themselves."""
    if model == AREAS:
        return (None,) * len(RATIOS)
    ours, theirs = (
        windows.filter((pl.col("shift") == shift) & (pl.col("model") == name)).sort("origin_day")
        for name in (AREAS, model)
    )
    ratios: list[float | None] = []
    for cost in ("area_km2", "planned_hours"):
        top, bottom = (frame["hits"] / float(frame[cost].sum()) for frame in (ours, theirs))
        whole = float(bottom.sum())
        ratios += [float(top.sum()) / whole if whole > 0 else None]
        ratios += scoring.ratio_interval(top, bottom, "patrol", shift, model, cost)
    return tuple(ratios)


def _ratio(top: pl.Expr, bottom: pl.Expr) -> pl.Expr:
    return pl.when(bottom > 0).then(top / bottom)
