"""The nightly risk forecast: cells ranked by expected reported incidents of the coming day, week and month.

Only records allowed for risk are used (``marts.crime_points``): categories of the allow-list, not discovered by patrol,
not located by caller look-up. Places only, never persons.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.config.progress import Progress, silent
from pipelines.forecast.demand.series import midnight
from pipelines.forecast.risk.cell_hours import hours, nightly
from pipelines.forecast.risk.evaluation import rolling
from pipelines.forecast.risk.evaluation.summary import pool
from pipelines.forecast.risk.history import ALWAYS, Grid, History, day_number, history
from pipelines.forecast.risk.models.boosting import WINDOW_DAYS
from pipelines.forecast.risk.models.stack import BEST_COUNT, STACK
from pipelines.forecast.risk.ranking import cells_of_share
from pipelines.schema.dictionary import empty, frame_schema

WINDOWS: Final[Mapping[str, int]] = {"day": 1, "week": 7, "month": 28}
"""Forecast windows, in days; the backtest uses months."""
ORIGINS: Final = 12
LEAD_DAYS: Final = 1
"""The day of the run is not known yet and not forecast any more: windows begin on the day after, in the backtest too. A
stale feed's longer lead is stated in ``degraded_reason`` and not backtested.
"""
AREA_SHARES: Final = (0.005, 0.01, 0.05)

FORECAST_COLUMNS: Final = frame_schema("forecast.risk")
SCORE_COLUMNS: Final = frame_schema("forecast.risk_scores")
WITHOUT_PATROLS: Final = {"patrolled": pl.lit("all"), "patrol_minutes": pl.lit(None, pl.Float64)}
CURVE_COLUMNS: Final = frame_schema("forecast.risk_curves")
CALIBRATION_COLUMNS: Final = frame_schema("forecast.risk_calibration")


@dataclass(frozen=True, slots=True)
class RiskForecast:
    """Frames with the columns of ``forecast.risk``, ``risk_scores``, ``risk_curves`` and ``risk_calibration``.

    ``slots`` has those of ``risk_slots`` and ``risk_slots_scores``.
    """

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    curves: pl.DataFrame
    calibration: pl.DataFrame
    slots: nightly.SlotForecast


def forecast_risk(
    crime_points: pl.DataFrame,
    cells: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known_through: datetime | None = None,
    degraded: str | None = None,
    threads: int = 2,
    progress: Progress = silent,
) -> RiskForecast:
    """Forecast the local days after the day of ``as_of``, and score the past months by rolling origin.

    Args:
        crime_points: ``marts.crime_points``: ``cell_id, category, occurrence_date, occurred_at, occurred_until,
            known_at, superseded_at``. Incidents in a cell that is not in ``cells`` (its centre is outside the region)
            are not ranked.
        cells: ``reference.cells`` of any grid; the risk grid is used.
        as_of: The instant (UTC) of issue.
        profile: Grid, time zone, run time, selected share of the area.
        known_through: Up to when (UTC) records are complete; days that end later are not read. None: ``as_of``.
        degraded: A reason written into every row, or None.
        threads: Categories that are processed in parallel.
        progress: Called after each origin of a category.
    """
    grid_cells = _risk_cells(cells, profile)
    edge = min(known_through or as_of, as_of)
    until = day_number(edge.astimezone(profile.zone).date())
    placed = _placed(nightly.with_slots(crime_points, profile), grid_cells, profile)
    past = _history(placed, grid_cells, until, profile)
    by_category = _ahead(past, until, profile.risk_area_share, threads, progress) if past.grid.size else []
    if not by_category:
        none = [empty(f"forecast.{table}") for table in ("risk", "risk_scores", "risk_curves", "risk_calibration")]
        return RiskForecast(none[0], none[1], none[2], none[3], nightly.NONE)
    listed = pl.concat(ranked for ranked, _ in by_category)
    issued = listed.hstack(grid_cells.select("cell_id")[listed["cell"]]).with_columns(
        pl.lit(as_of, _INSTANT).alias("reference_at"),
        pl.lit(profile.grid.cell_metres, pl.Int32).alias("cell_metres"),
        pl.lit(STACK).alias("model"),
        pl.lit(edge, _INSTANT).alias("data_as_of"),
        pl.lit(degraded, pl.String).alias("degraded_reason"),
    )
    today = as_of.astimezone(profile.zone).date()
    spans = [_span(issued, window, days, today, profile) for window, days in WINDOWS.items()]
    scored = pool([tried for _, tried in by_category], 1 / past.grid.size)
    shared = (
        pl.lit(as_of, _INSTANT).alias("reference_at"),
        pl.lit("backtest").alias("origin_kind"),
        pl.lit("month").alias("window"),
        (pl.col("model") == BEST_COUNT).alias("is_baseline"),
    )
    boosted = {backtest.category: backtest.boosted for _, (backtest, _) in by_category}
    known = nightly.Known(past, hours.times(placed), boosted, grid_cells["cell_id"], until, LEAD_DAYS)
    return RiskForecast(
        pl.concat(spans).select(*FORECAST_COLUMNS).sort("window", "category", "rank"),
        scored.scores.with_columns(*shared, **WITHOUT_PATROLS).select(*SCORE_COLUMNS),
        scored.curves.with_columns(shared).select(*CURVE_COLUMNS),
        scored.calibration.with_columns(shared).select(*CALIBRATION_COLUMNS),
        nightly.forecast_slots(known, as_of, edge, profile, degraded, threads),
    )


def _ahead(
    past: History, until: int, area_share: float, threads: int, progress: Progress
) -> list[tuple[pl.DataFrame, tuple[rolling.Backtest, pl.DataFrame]]]:
    """Return, per category, the issued list (`rolling.Backtest.ranked`), and the preceding backtest with its
    windows.
    """
    selected = cells_of_share(area_share, past.grid.size)
    # The issued list first: it is followed over all cells.
    depths = list(dict.fromkeys((selected, *(cells_of_share(share, past.grid.size) for share in AREA_SHARES))))
    windows = rolling.windows(past, until - LEAD_DAYS, WINDOW_DAYS, ORIGINS)

    def of(category: str) -> tuple[pl.DataFrame, tuple[rolling.Backtest, pl.DataFrame]]:
        backtest, scored, _ = rolling.run(past, category, windows, depths, progress, LEAD_DAYS)
        return backtest.ranked(until, selected), (backtest, scored)

    with ThreadPoolExecutor(threads) as workers:
        return list(workers.map(of, past.events))


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
    return (
        cells.filter(pl.col("cell_metres") == profile.grid.cell_metres).select("cell_id", "x_m", "y_m").sort("cell_id")
    )


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


def _history(placed: pl.DataFrame, cells: pl.DataFrame, until: int, profile: Profile) -> History:
    """Return the states of known days, by the day of occurrence."""
    day = pl.col("occurrence_date").cast(pl.Date).cast(pl.Int32).cast(pl.Int64)
    dated = placed.with_columns(day.alias("day")).filter(pl.col("day") < until)
    grid = Grid.of(cells["x_m"].to_numpy(), cells["y_m"].to_numpy(), profile.grid.cell_metres)
    return history(grid, dated.select("category", "cell", "day", "known_from", "known_until"))


_INSTANT: Final = pl.Datetime("us", "UTC")
