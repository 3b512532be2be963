"""Risk on your own points: the same models and scores, without the pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import geopandas as gpd
import polars as pl
import shapely

from pipelines.config.progress import Progress, silent
from pipelines.forecast.risk import point_columns
from pipelines.forecast.risk.evaluation.rolling import Lists, Tried
from pipelines.forecast.risk.evaluation.summary import Scored, pool
from pipelines.forecast.risk.history import EPOCH, History, day_number
from pipelines.forecast.risk.own_grid import FREE, GRID, Place, Task, place
from pipelines.forecast.risk.placement import Free
from pipelines.forecast.risk.point_columns import PointsError

THREADS: Final = 2
STALE_DAYS: Final = 31
MOST_DAYS: Final = 36_525
"""Days from the first window to the end of the last: a century."""
FEWEST: Final = 50
"""Points of a category below which a note says how little they tell."""
FEWEST_DAYS: Final = 28
"""Days of points below which a note says that the rate is uncertain."""
HOW: Final = ("ranking_method", "gain", "gain_low", "gain_high")
FORMATS: Final = (".parquet", ".geojson", ".json")
"""Files that a forecast can be written to."""


@dataclass(frozen=True, slots=True)
class Risk:
    """A forecast, one row per cell and category; of squares placed freely, only those that are selected.

    ``cell_id, category, expected, rank, is_selected, ranking_method, gain, gain_low, gain_high, geometry`` (WKB in
    ``crs``): how the list was made, and by what share the mixture with boosting had more hits than the plain count in
    earlier months, with its 95 % interval; null without such a month.
    """

    frame: pl.DataFrame
    crs: str


def predict_points(
    points: pl.DataFrame, task: Task, start: date, days: int, progress: Progress = silent, note: Progress = silent
) -> Risk:
    """Forecast the expected count per cell from ``start``, from points before ``start``.

    The list is selected on the windows of four weeks before it, as far as the points reach back, and so is its
    placement, unless the task states it.

    Args:
        points: As for `own_grid.place`.
        task: Location and resolution.
        start: First day of the forecast; later points are ignored.
        days: Number of days.
        progress: Called after each window.
        note: Called with the number of points outside the boundary.

    Raises:
        PointsError: A column is missing, no point before ``start`` is inside the boundary, or the area is too small.
    """
    check_span(days)
    day = day_number(start)
    placed = place(points, task, note, day)
    past = placed.history
    check_known(past, day, placed.last_day, note)
    ((known_then, _),) = placed.at([day])
    lists = Lists(known_then, placed.selected, threads=THREADS, progress=progress)
    lists.prepare([day])
    issued = lists.issue(day, lists.choose(day))
    free = Free.of(placed, lists, day)
    selected = free.select(day) if free else None
    if selected and selected.note:
        note(selected.note)
    if free and selected and selected.placement == FREE:
        frames = [_freely(free, day, listed) for listed in issued.values()]
    else:
        places = placed.cells.select("cell_id", "geometry")
        frames = [listed.hstack(places[listed["cell"]]) for listed in issued.values()]
    columns = ("cell_id", "category", pl.col("expected") * days, "rank", "is_selected", *HOW, "geometry")
    return Risk(pl.concat(frame.select(columns) for frame in frames), placed.crs)


def _freely(free: Free, day: int, listed: pl.DataFrame) -> pl.DataFrame:
    """Return the free squares of one category in place of its cells as issued."""
    category = listed["category"][0]
    squares = free.squares(category, day, listed.sort("cell")["expected"].to_numpy())
    how = listed.select("category", *HOW).head(1)
    stated = (pl.col("ranking_method") + "; squares placed freely").alias("ranking_method")
    return free.frame(squares).join(how.with_columns(stated), how="cross")


def check_known(past: History, day: int, last_day: int, note: Progress) -> list[str]:
    """Return the categories with a point known before a day; note what may mislead about the points that are used.

    Args:
        past: All points inside the boundary.
        day: The first day of the forecast.
        last_day: That of the last point.
        note: Called with a sentence for each thing.

    Raises:
        PointsError: No point is known before the day.
    """
    start = EPOCH + timedelta(days=day)
    seen = past.seen(day)
    known = [category for category in past.events if seen.events[category].cell.size]
    if not known:
        raise PointsError(f"no point inside the boundary {_why_unknown(past, day)}")
    if (days_old := day - 1 - last_day) > STALE_DAYS:
        note(f"the points end {days_old} days before --start: what happened since is not in the forecast")
    if later := sum(int((events.day >= day).sum()) for events in past.events.values()):
        note(f"{later} points are on or after --start {start} and are not used")
    if late := sum(int(((events.day < day) & (events.known_from > day)).sum()) for events in past.events.values()):
        note(f"{late} points before --start {start} became known after it (known_at) and are not used")
    if few := [category for category in known if seen.events[category].cell.size < FEWEST]:
        note(f"fewer than {FEWEST} points: {', '.join(few[:5])}; their order of cells is mostly chance")
    if (known_days := day - seen.first_day) < FEWEST_DAYS:
        note(f"the points reach back only {known_days} days before --start: expected counts may be far off")
    return known


def check_end(points: pl.DataFrame, end: int) -> None:
    """Refuse points that end before the last window does; where a place has none on its last days, others show them."""
    last_day = int(point_columns.days(points)["day"].max())  # type: ignore[arg-type]
    if last_day + 1 < end:
        known = EPOCH + timedelta(days=last_day)
        raise PointsError(f"the points end on {known}, within the last window: use an earlier --start or fewer --days")


def check_span(days: int) -> None:
    """Refuse windows of more than a century."""
    if days > MOST_DAYS:
        raise PointsError("the windows span more than a century: use fewer --days or --origins, or a smaller --step")


def _why_unknown(past: History, day: int) -> str:
    """Return why no point is known before the first day of a forecast, and what to change."""
    start = EPOCH + timedelta(days=day)
    first = min(int(events.day.min()) for events in past.events.values() if events.day.size)
    if first < day:
        return f"was known (known_at) before --start {start}: use a later --start, or leave known_at out"
    begin = EPOCH + timedelta(days=first)
    return f"is before --start {start}: they begin on {begin}, so use a --start after it"


def backtest_points(
    points: pl.DataFrame,
    task: Task,
    start: date,
    days: int,
    origins: int,
    step: int,
    progress: Progress = silent,
    note: Progress = silent,
) -> Scored:
    """Score every model and the stack on windows that begin at ``start`` and every ``step`` days before it.

    Args:
        points: As for ``predict_points``; they must reach to the end of the last window.
        task: Location and resolution.
        start: First day of the last window.
        days: Length of a window.
        origins: Number of windows scored; each has the list that `predict_points` issues for it.
        step: Days between their starts.
        progress: Called after each window.
        note: Called with the number of points outside the boundary.

    Returns:
        Each window by its ``origin_date``, and all pooled. ``placement`` states where the squares of the stack are; its
        curve and calibration are those of the cells. Free squares have the area of ``cells``, and ``most_hits`` is that
        of the grid.
    """
    check_span(days + step * (origins - 1))
    last = day_number(start)
    placed = place(points, task, note, last + days)
    check_end(points, last + days)
    starts = [last - step * i for i in range(origins - 1, -1, -1)]
    windows = [(day, days) for day in starts if placed.history.seen(day).first_day < day]
    if not windows:
        raise PointsError(f"no point inside the boundary {_why_unknown(placed.history, last)}")
    if len(windows) < origins:
        note(f"{origins - len(windows)} of {origins} windows begin before any point is known and are not scored")
    result = scored(placed, windows, (placed.selected,), progress)
    if result.scores.is_empty():
        raise PointsError("no window has a score: all are without incidents or in an outage; use another --start")
    return result


def scored(
    placed: Place, windows: Sequence[tuple[int, int]], depths: Sequence[int], progress: Progress = silent
) -> Scored:
    """Score every model, and the list that `predict_points` issues at its start, on windows (first day, days).

    As `backtest_points`; the stack's list is the one of the first of ``depths``.
    """
    lengths = dict(windows)
    tried: list[Tried] = []
    freely: list[pl.DataFrame] = []
    for known_then, days in placed.at(list(lengths)):
        lists = Lists(known_then, depths[0], threads=THREADS, progress=progress)
        results = lists.score([(day, lengths[day]) for day in days], depths, placed.history)
        tried += results.values()
        if free := Free.of(placed, lists, max(days)):
            freely += _free_windows(free, results, lengths)
    if not tried:
        raise PointsError("the points begin after the first window: use a later --start or fewer --origins")
    pooled = pool([_replaced(part, freely) for part in tried], placed.cell_share)
    dated = (pl.lit(EPOCH) + pl.duration(days=pl.col("origin_day"))).cast(pl.Date).alias("origin_date")
    return pooled._replace(windows=pooled.windows.select(dated, pl.exclude("origin_day")))


def _free_windows(free: Free, results: Mapping[str, Tried], lengths: Mapping[int, int]) -> list[pl.DataFrame]:
    """Return the scores of the free squares at the scored origins whose list has them."""
    origins = {category: tried.windows["origin_day"].unique() for category, tried in results.items()}
    every = sorted({day for days in origins.values() for day in days})
    placements = {day: free.select(day).placement for day in every}
    return [
        free.score(category, day, lengths[day], free.lists.categories[category].expected[day])
        for category, days in origins.items()
        for day in days
        if placements[day] == FREE
    ]


def _replaced(tried: Tried, freely: Sequence[pl.DataFrame]) -> Tried:
    """Return the scores with ``placement``, and with those of free squares where the list has them."""
    windows = tried.windows.with_columns(placement=pl.lit(GRID))
    keys = ("origin_day", "category", "model", "cells")
    return tried._replace(windows=windows.update(pl.concat(freely), on=keys) if freely else windows)


def save(risk: Risk, path: Path) -> None:
    """Write a forecast as GeoParquet, or as GeoJSON in WGS84, which that format requires."""
    data = risk.frame.drop("geometry").to_pandas()
    frame = gpd.GeoDataFrame(data, geometry=shapely.from_wkb(risk.frame["geometry"].to_numpy()), crs=risk.crs)
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix.lower() in FORMATS:
        frame.to_crs(4326).to_file(path, driver="GeoJSON", index=False)
    else:
        raise PointsError(f"cannot write {path.name}: end the name in .parquet or .geojson")


__all__ = ["PointsError", "Risk", "Task", "backtest_points", "place", "predict_points", "save"]
