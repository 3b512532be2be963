"""The nightly risk forecast: cells ranked by expected reported incidents of the coming day, week and month.

Only records allowed for risk are used (``marts.crime_points``): categories of the allow-list, not discovered by patrol,
not located by caller look-up. Places only, never persons.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import polars as pl

from pipelines.config.profile import Profile
from pipelines.config.progress import Progress, silent
from pipelines.config.seeds import seed
from pipelines.forecast.demand.series import midnight
from pipelines.forecast.risk.cell_hours import backtest as slots
from pipelines.forecast.risk.cell_hours import hours, nightly
from pipelines.forecast.risk.evaluation import rolling
from pipelines.forecast.risk.evaluation.rolling import Lists, Tried
from pipelines.forecast.risk.evaluation.summary import pool
from pipelines.forecast.risk.history import ALWAYS, EPOCH, Floats, Grid, History, day_number, history, last_due
from pipelines.forecast.risk.models import stack
from pipelines.forecast.risk.models.boosting import WINDOW_DAYS
from pipelines.forecast.risk.models.stack import BEST_COUNT, FIRST_COUNT, STACK
from pipelines.forecast.risk.patrol import nightly as patrol
from pipelines.forecast.risk.patrol import shift_hours
from pipelines.forecast.risk.patrol.expectation import Known
from pipelines.forecast.risk.ranking import cells_of_share
from pipelines.schema.dictionary import empty, frame_schema

WINDOWS: Final[Mapping[str, int]] = {"day": 1, "week": 7, "month": 28}
"""Forecast windows, in days; the backtest uses months."""
LEAD_DAYS: Final = 1
"""The day of the run is not known yet and not forecast any more: windows begin on the day after, in the backtest too. A
stale feed's longer lead is stated in ``degraded_reason`` and not backtested.
"""
AREA_SHARES: Final = (0.005, 0.01, 0.05)
LATE_DAYS: Final = 7
"""A category whose last known day is at most so far back is late, as its feed states, and has not ended."""
METHOD: Final = 3
"""Version of the models and their evaluation: another one does not reuse a backtest."""

FORECAST_COLUMNS: Final = frame_schema("forecast.risk")
SCORE_COLUMNS: Final = frame_schema("forecast.risk_scores")
WITHOUT_PATROLS: Final = {"patrolled": pl.lit("all"), "patrol_minutes": pl.lit(None, pl.Float64)}
CURVE_COLUMNS: Final = frame_schema("forecast.risk_curves")
CALIBRATION_COLUMNS: Final = frame_schema("forecast.risk_calibration")
_TYPES: Final[Mapping[Any, pl.DataType | type[pl.DataType]]] = {
    str: pl.String,
    int: pl.Int64,
    float: pl.Float64,
    list[float]: pl.List(pl.Float64),
}
CHOICE_COLUMNS: Final[Mapping[str, pl.DataType | type[pl.DataType]]] = {
    "reference_at": pl.Datetime("us", "UTC"),
    "fingerprint": pl.String,
    "category": pl.String,
    "cells": pl.Struct({field.name: _TYPES[field.type] for field in fields(stack.Choice)}),
    "slots": pl.Struct({field.name: _TYPES[field.type] for field in fields(slots.Choice)}),
}
"""The selections from a backtest by category; ``fingerprint``: what decides whether it can be reused."""


@dataclass(frozen=True, slots=True)
class RiskForecast:
    """Frames with the columns of ``forecast.risk``, ``risk_scores``, ``risk_curves`` and ``risk_calibration``.

    ``slots`` has those of ``risk_slots`` and ``risk_slots_scores``, ``patrol`` those of ``patrol_areas`` and
    ``patrol_area_scores``, ``choices`` `CHOICE_COLUMNS`.
    """

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    curves: pl.DataFrame
    calibration: pl.DataFrame
    slots: nightly.SlotForecast
    patrol: patrol.PatrolForecast
    choices: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Kept:
    """The backtest that an earlier night issued, and its selections: frames as in `RiskForecast`."""

    choices: pl.DataFrame
    scores: pl.DataFrame
    curves: pl.DataFrame
    calibration: pl.DataFrame
    slots_scores: pl.DataFrame
    patrol_scores: pl.DataFrame

    @property
    def chosen_cells(self) -> dict[str, stack.Choice]:
        """Return the selection of cells by category."""
        return {row["category"]: stack.Choice(**row["cells"]) for row in self.choices.to_dicts()}

    @property
    def chosen_slots(self) -> dict[str, slots.Choice]:
        """Return the selection of cells and slots by category."""
        return {row["category"]: slots.Choice(**row["slots"]) for row in self.choices.to_dicts()}

    def issued_at(self, as_of: datetime) -> "Kept":
        """Return the same with another ``reference_at``."""
        frames = {field.name: getattr(self, field.name) for field in fields(self)}
        stamp = pl.lit(as_of, _INSTANT).alias("reference_at")
        return Kept(**{name: frame.with_columns(stamp) for name, frame in frames.items()})

    def fits(self, fingerprint: str) -> bool:
        """Return whether all frames are of one night, and of a backtest with this fingerprint."""
        frames = (getattr(self, field.name) for field in fields(self))
        nights = pl.concat(frame["reference_at"] for frame in frames)
        return self.choices["fingerprint"].unique().to_list() == [fingerprint] and nights.n_unique() == 1


def forecast_risk(
    crime_points: pl.DataFrame,
    cells: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known_through: datetime | None = None,
    degraded: str | None = None,
    threads: int = 2,
    progress: Progress = silent,
    kept: Kept | None = None,
    gaps: pl.DataFrame | None = None,
) -> RiskForecast:
    """Forecast the local days after the day of ``as_of``, and score the past months by rolling origin.

    The months end at fixed dates, every four weeks (`history.last_due`): until the next one is due, every night has
    the same backtest and reuses the earlier night's. Its scores are frozen then: incidents and corrections that arrive
    later count only when the next month is due. Without ``kept`` it is computed, with the same result if none arrived.

    Args:
        crime_points: ``marts.crime_points``: ``cell_id, category, occurrence_date, occurred_at, occurred_until,
            known_at, superseded_at``. Incidents in a cell that is not in ``cells`` (its centre is outside the region)
            are not ranked.
        cells: ``reference.cells`` of any grid; the risk grid is used. Places to patrol are listed by
            ``police_area_id``, or by ``admin_area_id`` where no stations are known; cells without one are in no list.
        as_of: The instant (UTC) of issue.
        profile: Grid, time zone, run time, selected share of the area, shifts, time of a patrol.
        known_through: Up to when (UTC) records are complete; days that end later are not read. None: ``as_of``.
        degraded: A reason written into every row, or None.
        threads: Categories that are processed in parallel.
        progress: Called after each origin of a category.
        kept: The last night's backtest, reused if it has the same months, cells, categories, gaps and method.
        gaps: ``marts.crime_gaps``: unknown days by category; none: every day from the first incident on is known.
    """
    grid_cells = _risk_cells(cells, profile)
    edge = min(known_through or as_of, as_of)
    until = day_number(edge.astimezone(profile.zone).date())
    placed = _placed(nightly.with_slots(crime_points, profile), grid_cells, profile)
    past = _history(placed, grid_cells, until, profile, gaps)
    if not (past.grid.size and past.events):
        none = [empty(f"forecast.{table}") for table in ("risk", "risk_scores", "risk_curves", "risk_calibration")]
        untried = pl.DataFrame(schema=CHOICE_COLUMNS)
        return RiskForecast(none[0], none[1], none[2], none[3], nightly.NONE, patrol.NONE, untried)
    months = _months(past, until, grid_cells, profile)
    reused = kept.issued_at(as_of) if kept is not None and kept.fits(months.fingerprint) else None
    reason = _reason(degraded, past, until)
    lists = Lists(past, months.depths[0], LEAD_DAYS, threads, progress)
    if reused is None:
        lists.prepare([*(origin for origin, _ in months.windows), until])
    choices = lists.choose(until) if reused is None else reused.chosen_cells
    tried = lists.score(months.windows, months.depths, past) if reused is None else None
    ranked = lists.issue(until, choices)
    stated = pl.lit(edge, _INSTANT).alias("data_as_of"), reason.alias("degraded_reason")
    boosted = _boosted(lists, tried, until)
    times, chosen = hours.times(placed), None if reused is None else reused.chosen_slots
    known = nightly.Known(past, times, boosted, grid_cells["cell_id"], until, LEAD_DAYS, months.due, chosen)
    week = nightly.forecast_slots(known, as_of, edge, profile, reason, threads)
    night = patrol.Night(
        Known.of(past, placed, grid_cells["station_id"], profile),
        grid_cells,
        until,
        LEAD_DAYS,
        ranked,
        {category: single.expected for category, single in lists.categories.items()},
        None if reused is None else reused.patrol_scores,
    )
    patrols = patrol.forecast_patrols(night, as_of, edge, profile, reason)
    backtest = reused or _pooled(tried or {}, choices, week, patrols.scores, months, past.grid.size, as_of)
    return RiskForecast(
        _spans(pl.concat(ranked.values()).with_columns(stated), grid_cells["cell_id"], as_of, profile),
        backtest.scores,
        backtest.curves,
        backtest.calibration,
        replace(week, scores=backtest.slots_scores),
        patrols,
        backtest.choices,
    )


class _Months(NamedTuple):
    """The backtest's windows (origin, days), the day at which the last one is known, and what else decides it."""

    due: int
    windows: list[tuple[int, int]]
    depths: tuple[int, ...]
    fingerprint: str


def _months(past: History, until: int, cells: pl.DataFrame, profile: Profile) -> _Months:
    due = last_due(until - LEAD_DAYS, WINDOW_DAYS)
    windows = rolling.due_windows(past, until, LEAD_DAYS)
    # The issued list first: it is followed over all cells.
    shares = (profile.risk_area_share, *AREA_SHARES)
    depths = tuple(dict.fromkeys(cells_of_share(share, past.grid.size) for share in shares))
    unknown = {name: days[days < due].tolist() for name, days in past.unknown.items()}
    places = (profile.patrol, shift_hours.of_police(profile.demand), *cells["station_id"])
    words = (METHOD, due, windows, depths, LEAD_DAYS, profile.grid, *past.events, unknown, *cells["cell_id"], *places)
    return _Months(due, windows, depths, f"{seed(*words):016x}")


def _boosted(lists: Lists, tried: Mapping[str, Tried] | None, until: int) -> dict[str, dict[int, Floats | None]]:
    """Return boosting's rates by category at the origins that were scored, and at the end."""
    scored = {} if tried is None else {name: single.windows["origin_day"].unique() for name, single in tried.items()}
    return {
        name: {origin: single.boosting(origin) for origin in (*scored.get(name, ()), until)}
        for name, single in lists.categories.items()
    }


def _pooled(
    tried: Mapping[str, Tried],
    chosen: Mapping[str, stack.Choice],
    week: nightly.SlotForecast,
    patrol_scores: pl.DataFrame,
    months: _Months,
    cells: int,
    as_of: datetime,
) -> Kept:
    """Pool the windows of all categories, with the selections from them."""
    scored = pool(list(tried.values()), 1 / cells)
    shared = (
        pl.lit(as_of, _INSTANT).alias("reference_at"),
        pl.lit("backtest").alias("origin_kind"),
        pl.lit("month").alias("window"),
        (pl.col("model") == BEST_COUNT).alias("is_baseline"),
    )
    untried = slots.Choice(FIRST_COUNT, FIRST_COUNT, 0)
    choices = [
        (as_of, months.fingerprint, category, asdict(choice), asdict(week.chosen.get(category, untried)))
        for category, choice in chosen.items()
    ]
    return Kept(
        pl.DataFrame(choices, schema=CHOICE_COLUMNS, orient="row"),
        scored.scores.with_columns(*shared, **WITHOUT_PATROLS).select(*SCORE_COLUMNS),
        scored.curves.with_columns(shared).select(*CURVE_COLUMNS),
        scored.calibration.with_columns(shared).select(*CALIBRATION_COLUMNS),
        week.scores,
        patrol_scores,
    )


def _spans(ranked: pl.DataFrame, cell_ids: pl.Series, as_of: datetime, profile: Profile) -> pl.DataFrame:
    """Return ``forecast.risk`` of all windows from the ranked cells, which are positions in ``cell_ids``."""
    issued = ranked.with_columns(
        cell_ids[ranked["cell"]].alias("cell_id"),
        pl.lit(as_of, _INSTANT).alias("reference_at"),
        pl.lit(profile.grid.cell_metres, pl.Int32).alias("cell_metres"),
        pl.lit(STACK).alias("model"),
    )
    today = as_of.astimezone(profile.zone).date()
    spans = [_span(issued, window, days, today, profile) for window, days in WINDOWS.items()]
    return pl.concat(spans).select(*FORECAST_COLUMNS).sort("window", "category", "rank")


def _span(issued: pl.DataFrame, window: str, days: int, today: date, profile: Profile) -> pl.DataFrame:
    """Return the forecast of one window, which begins tomorrow."""
    start, end = (midnight(today + timedelta(days=LEAD_DAYS + ahead), profile.zone) for ahead in (0, days))
    return issued.with_columns(
        pl.lit(window).alias("window"),
        pl.lit(start, _INSTANT).alias("target_start"),
        pl.lit(end, _INSTANT).alias("target_end"),
        pl.col("expected", "baseline_expected") * days,
    )


def _risk_cells(cells: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    station = pl.col("police_area_id" if profile.areas.has_stations else "admin_area_id").alias("station_id")
    risk_grid = cells.filter(pl.col("cell_metres") == profile.grid.cell_metres)
    return risk_grid.select("cell_id", "x_m", "y_m", station).sort("cell_id")


def _placed(crime_points: pl.DataFrame, cells: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Return states of incidents in cells of the grid (``cell``, a position), by what was known at each day's run
    time.
    """
    run_time = timedelta(hours=profile.run_time.hour, minutes=profile.run_time.minute, microseconds=1)

    def first_day_after(column: str) -> pl.Expr:
        local = pl.col(column).dt.convert_time_zone(profile.time_zone).dt.replace_time_zone(None)
        return (local - run_time).dt.date().cast(pl.Int32).cast(pl.Int64) + 1

    return crime_points.with_columns(
        first_day_after("known_at").alias("known_from"),
        first_day_after("superseded_at").fill_null(ALWAYS).alias("known_until"),
    ).join(cells.select("cell_id").with_row_index("cell"), on="cell_id")


def _history(
    placed: pl.DataFrame, cells: pl.DataFrame, until: int, profile: Profile, gaps: pl.DataFrame | None
) -> History:
    """Return the states of known days, by the day of occurrence."""

    def numbered(column: str) -> pl.Expr:
        return pl.col(column).cast(pl.Date).cast(pl.Int32).cast(pl.Int64)

    day = numbered("occurrence_date")
    dated = placed.with_columns(day.alias("day")).filter(pl.col("day") < until)
    grid = Grid.of(cells["x_m"].to_numpy(), cells["y_m"].to_numpy(), profile.grid.cell_metres)
    states = dated.select("category", "cell", "day", "known_from", "known_until")
    if gaps is None:
        return history(grid, states)
    spans = gaps.select("category", numbered("from_date").alias("from_day"), numbered("until_date").alias("until_day"))
    return history(grid, states, spans, until)


def _reason(degraded: str | None, past: History, until: int) -> pl.Expr:
    """Return why a category's rows are degraded: the feed's reason, that its own records have ended, and that they are
    too few to rank cells by more than a count.
    """
    seen = past.seen(until)
    ended = {name: EPOCH + timedelta(days=day) for name in past.events if (day := _end(past, name, until)) < until}
    young = {name: days for name in past.events if (days := seen.known_days(name, until)) < stack.LEAST_HISTORY_DAYS}
    least = f"fewer than the {stack.LEAST_HISTORY_DAYS} that a ranking by more than a count needs"
    reasons = (
        {name: f"no record of {name} since {day}, taken as an outage" for name, day in ended.items()},
        {name: f"{name} has {days} known days, {least}" for name, days in young.items()},
    )
    stated = [pl.col("category").replace_strict(texts, default=None, return_dtype=pl.String) for texts in reasons]
    return pl.concat_str(pl.lit(degraded, pl.String), *stated, separator="; ", ignore_nulls=True).replace("", None)


def _end(past: History, category: str, until: int) -> int:
    """Return the day after the last known one of a category; ``until`` if that is no more than `LATE_DAYS` before."""
    known = past.since(category, until, 1)
    return until if until - known <= LATE_DAYS else known + 1


_INSTANT: Final = pl.Datetime("us", "UTC")
