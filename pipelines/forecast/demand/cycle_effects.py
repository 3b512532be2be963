"""Effects of a cycle that the models do not know, such as a rota of eight days: how many times the usual a step has.

The usual is the mean of the slot of the week, at the level of the eight weeks. An effect is the ratio of calls to usual
calls of a step of the cycle, shrunk to 1 (empirical Bayes; Casella 1985 gives the idea) with a variance that is more
than chance, and 0 where it is not clear: a cycle that is not there changes nothing. As with named days
(`calendar_effects`), models read counts divided by their effect and their forecasts are multiplied by it, so that every
model knows the cycle next to the week (as MSTL does; Bandara, Hyndman and Bergmeir 2021).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.config.progress import Progress, silent
from pipelines.forecast.demand import series
from pipelines.forecast.demand.series import SEASON, STEP, Cycle, Frequency, History

BLOCK_DAYS: Final = 56
"""Days with one level; a longer cycle could not be distinguished from a change of level."""
PAST_DAYS: Final = 2 * 364
"""Days before an origin from which effects are estimated."""
LEAST_CYCLES: Final = 4
"""Whole cycles that a series needs."""
NAMED: Final = 5
"""Maximum number of series named in a note."""
ERRORS: Final = 3.0
"""Standard errors by which the variance between the steps of a cycle must exceed chance."""

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]


def usable(season: int | None, counts: pl.DataFrame, freq: Frequency, note: Progress = silent) -> int | None:
    """Return the length of a cycle that changes something, else None.

    Args:
        season: Length of the cycle in steps; none: no cycle.
        counts: ``unique_id, ds, y``, all that is known.
        freq: ``h`` or ``D``.
        note: Called with why the cycle changes nothing, in general or for some series.
    """
    if season is None:
        return None
    if SEASON[freq] % season == 0 or season > SEASON[freq] * BLOCK_DAYS // 7:
        known = "the week and its parts" if season <= SEASON[freq] else "the time of year"
        note(f"--season {season} changes nothing: the models know {known}")
        return None
    end = counts["ds"].max()
    assert isinstance(end, datetime)
    series_effects = effects(counts, end + STEP[freq], freq, season)
    clear = series_effects.filter(pl.col("effect") != 1)["unique_id"].unique().cast(pl.String)
    names = counts["unique_id"].unique().cast(pl.String).sort()
    if len(unclear := names.filter(~names.is_in(clear.implode()))):
        named = ", ".join(unclear[:NAMED]) + (", …" if len(unclear) > NAMED else "")
        note(
            f"--season {season} changes nothing in {len(unclear)} of {len(names)} series, where no such cycle is "
            f"clear: {named}"
        )
    return season


def judged(history: History, cutoffs: pl.Series, freq: Frequency, season: int) -> History:
    """Return the history with the effects of a cycle of ``season`` steps that each origin at ``cutoffs`` estimates."""
    parts = [
        effects(history.at(cutoff), cutoff, freq, season).with_columns(
            pl.lit(cutoff, pl.Datetime("us")).alias("cutoff")
        )
        for cutoff in cutoffs.unique().sort()
    ]
    return replace(history, cycle=Cycle(STEP[freq], season, pl.concat(parts)))


def effects(counts: pl.DataFrame, cutoff: datetime, freq: Frequency, season: int) -> pl.DataFrame:
    """Estimate the effect of every step of a cycle from the data before an origin.

    Args:
        counts: ``unique_id, ds, y``, as known at the origin.
        cutoff: The origin, local time; rows from it on are ignored.
        freq: ``h`` or ``D``.
        season: Length of the cycle in steps.

    Returns:
        ``unique_id, position, effect``, of the series with at least `LEAST_CYCLES` cycles.
    """
    first = cutoff - timedelta(days=PAST_DAYS)
    past = counts.filter(pl.col("ds").is_between(first, cutoff, closed="left"))
    least = STEP[freq] * season * LEAST_CYCLES
    past = past.filter(cutoff - pl.col("ds").min().over("unique_id") >= least)
    ids = past["unique_id"].unique().sort()
    rows = ids.search_sorted(past["unique_id"]).to_numpy().astype(np.int64)
    y, step = past["y"].to_numpy(), past.select(series.position(STEP[freq], season))["position"].to_numpy()
    expected = _expected(past, rows, cutoff, freq)
    calls, usual = (_sums(rows, step, values, ids.len(), season) for values in (y, expected))
    ratio = np.where(usual > 0, calls / np.maximum(usual, 1e-9), 1.0)
    information = usual / _noise(rows, y, expected * ratio[rows, step], ids.len(), season)[:, None]
    chance = (season - 1) + ERRORS * np.sqrt(2 * (season - 1))
    excess = (information * (ratio - 1) ** 2).sum(axis=1) - chance
    variance = np.maximum(excess, 0.0) / np.maximum(information.sum(axis=1), 1e-9)
    weight = variance[:, None] * information
    return pl.DataFrame(
        {
            "unique_id": ids.gather(np.repeat(np.arange(ids.len()), season)),
            "position": np.tile(np.arange(season), ids.len()),
            "effect": ((1 + weight * ratio) / (1 + weight)).ravel(),
        }
    )


def _expected(past: pl.DataFrame, rows: Places, cutoff: datetime, freq: Frequency) -> Doubles:
    """Return the usual count of each row: of its slot of the week, at the level of its block of days."""
    y, slot = past["y"].to_numpy(), past.select(series.slot(freq))["slot"].to_numpy().astype(np.int64)
    block = ((cutoff - past["ds"]).dt.total_days() // BLOCK_DAYS).to_numpy()
    count = int(rows.max(initial=-1)) + 1
    known = _sums(rows, slot, np.ones(len(y)), count, SEASON[freq])
    usual = (_sums(rows, slot, y, count, SEASON[freq]) / np.maximum(known, 1.0))[rows, slot]
    blocks = int(block.max(initial=0)) + 1
    level = _sums(rows, block, y, count, blocks) / np.maximum(_sums(rows, block, usual, count, blocks), 1e-9)
    return np.asarray(usual * level[rows, block])


def _noise(rows: Places, y: Doubles, fitted: Doubles, count: int, season: int) -> Doubles:
    """Return the variance of the counts of each series over their mean, 1 at least."""
    squares = np.where(fitted > 0, (y - fitted) ** 2 / np.maximum(fitted, 1e-9), 0.0)
    free = np.maximum(np.bincount(rows, minlength=count) - season, 1)
    return np.asarray(np.maximum(np.bincount(rows, squares, count) / free, 1.0))


def _sums(rows: Places, columns: Places, values: Doubles, count: int, width: int) -> Doubles:
    """Return the sums of values by row and column."""
    return np.asarray(np.bincount(rows * width + columns, values, count * width).reshape(count, width))
