"""Rolling origins of cell-slots: the forecast at an origin, the cell-slots it selects, and the observed incidents.

Two lists are compared. The baseline is what an analyst would do by hand: the simple count with the most hits at earlier
origins, times the region's table of hours. Our list uses the hours of `hours` and, for the cell, whichever of `RATES`
exceeds the decayed count by enough at earlier origins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.forecast.risk.cell_hours import hours
from pipelines.forecast.risk.cell_hours.hours import SLOTS, Level, Shares, Times
from pipelines.forecast.risk.evaluation.scoring import SMALLEST_RATE, log_likelihood
from pipelines.forecast.risk.history import ALWAYS, Floats, History, Ints
from pipelines.forecast.risk.models import stack
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.stack import BEST_COUNT, FIRST_COUNT, Trial
from pipelines.forecast.risk.ranking import Lots

MODEL: Final = "slots"
PLAIN: Final = "region"
"""Marks a list that uses the region's hours."""

SMOOTHED: Final = 0.2
SMOOTHED_CELLS: Final = 2.0
RATES: Final = (FIRST_COUNT, "smoothed", "boosting 1/2", "boosting")
"""Rates of a cell: the decayed count, the same with a fifth of it smoothed over two cells, and with boosting's."""
LEAN: Final = 0.5
"""Standard errors subtracted from a rate's gain over the decayed count before it may be selected."""

WINDOWS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "origin_day": pl.Int64, "category": pl.String, "model": pl.String, "cells": pl.Int64, "days": pl.Int64,
    "incidents": pl.Int64, "untimed_incidents": pl.Int64, "hits": pl.Int64, "most_hits": pl.Int64,
    "hit_cells": pl.Int64, "prior_incidents": pl.Int64, "prior_hits": pl.Int64, "log_score": pl.Float64,
    "area_share": pl.Float64,
}  # fmt: skip
"""As `rolling.WINDOWS`, where ``cells`` and ``area_share`` are of cell-slots and ``incidents`` have a known slot;
``prior_…`` are 0.
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """The selection from earlier origins: the baseline's count, our rate of a cell, and the number of origins.

    ``reason`` states why the decayed count is our rate regardless of earlier origins (`stack.reason`), or is empty.
    """

    count: str
    rate: str
    origins: int
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SlotRates:
    """The forecast at an origin: incidents a day by cell, and shares of slots, the cells' and the region's."""

    counts: Mapping[str, Floats]
    rates: Mapping[str, Floats]
    cell_hours: Shares
    plain: Shares
    levels: tuple[Level, ...]

    def best(self, lots: Lots) -> dict[str, Ints]:
        """Return the first cell-slots of every list, ties by lot."""
        plain = {
            f"{name} × {PLAIN}": lots.leading(rate.astype(np.float32), self.plain) for name, rate in self.counts.items()
        }
        return plain | {
            name: lots.leading(rate.astype(np.float32), self.cell_hours) for name, rate in self.rates.items()
        }

    def expected(self, name: str) -> Shares:
        """Return incidents a day with the cells' own hours."""
        return self.rates[name].astype(np.float32)[:, None] * self.cell_hours

    def baseline(self, name: str) -> Shares:
        """Return incidents a day with the region's hours."""
        return self.counts[name].astype(np.float32)[:, None] * self.plain


def slot_rates(history: History, times: Times, category: str, origin: int, boosted: Floats | None) -> SlotRates:
    """Return the forecast at an origin from what was known there.

    Args:
        history: The whole history.
        times: The same incidents with their slots.
        category: What is forecast.
        origin: The first unknown day.
        boosted: Boosting's incidents a day by cell at that origin, None if it was not trained.
    """
    seen = history.seen(origin)
    known = times.seen(origin, seen.first_day)
    counts = {name: count(seen, category, origin) for name, count in COUNTS.items()}
    decayed = counts[FIRST_COUNT]
    rates = {
        FIRST_COUNT: decayed,
        "smoothed": (1 - SMOOTHED) * decayed + SMOOTHED * history.grid.smooth(decayed, SMOOTHED_CELLS),
    }
    if boosted is not None:
        rates |= {"boosting 1/2": (decayed + _scaled(boosted, decayed.sum())) / 2, "boosting": boosted}
    levels = hours.learn(history.grid, known, origin)
    cell_hours = hours.shares(history.grid, known, origin, levels)
    return SlotRates(counts, rates, cell_hours, hours.region_share(known), levels)


def selected(size: int, share: float) -> int:
    """Return the number of cell-slots that make up a share of a grid of ``size`` cells."""
    return int(share * size * SLOTS + 1e-9)


def allowed(chosen: Choice, reason: str) -> Choice:
    """Return the selection, with the decayed count as our rate if there is a reason (`stack.reason`)."""
    return replace(chosen, rate=FIRST_COUNT, reason=reason) if reason else chosen


def choose(times: Times, origin: int, trials: Sequence[Trial]) -> Choice:
    """Select from trials whose windows have ended by ``origin``, by outcomes as known there.

    A rate must beat the decayed count by more than half a standard error of its gains, as in `stack`. It is compared on
    the trials that have it, because boosting's rates exist only where boosting was trained.
    """
    past = [trial for trial in trials if trial.end <= origin]
    if not past:
        return Choice(FIRST_COUNT, FIRST_COUNT, 0)
    known = times.seen(origin, 0).timed()
    pairs = [(known.within(trial.start, trial.end).place(), trial.best) for trial in past]

    def hits(name: str, rival: str) -> Ints:
        return np.array([_listed(places, best[name]).sum() for places, best in pairs if rival in best])

    def gain(name: str) -> float:
        gains = hits(name, name) - hits(FIRST_COUNT, name)
        return float(gains.mean() - LEAN * _error(gains)) if gains.size else -np.inf

    count = max(COUNTS, key=lambda name: hits(f"{name} × {PLAIN}", FIRST_COUNT).sum())
    return Choice(count, max(RATES, key=gain), len(past))


def score_window(
    rates: SlotRates, tried: Trial, chosen: Choice, times: Times, category: str, days: int
) -> pl.DataFrame:
    """Count the incidents of a window, ``times``, in the selected lists of a trial: a frame of `WINDOWS`."""
    known = times.where(times.known_until == ALWAYS)
    first, size = tried.best[chosen.rate].size, rates.cell_hours.size
    places, outcome = np.unique(known.timed().place(), return_counts=True)
    untimed = int((known.slot < 0).sum())
    most = int(np.sort(outcome)[::-1][:first].sum())
    rows = []
    for model, name, table in (
        (MODEL, chosen.rate, rates.expected(chosen.rate)),
        (BEST_COUNT, f"{chosen.count} × {PLAIN}", rates.baseline(chosen.count)),
    ):
        caught = outcome[_listed(places, tried.best[name])]
        rows.append(
            (
                tried.start, category, model, first, days, int(outcome.sum()), untimed, int(caught.sum()), most,
                caught.size, 0, 0, _log_score(places, outcome, table.ravel() * np.float32(days)), first / size,
            )
        )  # fmt: skip
    return pl.DataFrame(rows, schema=WINDOWS, orient="row")


def backtest(
    history: History,
    times: Times,
    category: str,
    windows: Sequence[tuple[int, int]],
    boosted: Mapping[int, Floats | None],
    share: float,
    lead: int = 0,
) -> tuple[list[Trial], pl.DataFrame]:
    """Try windows in order, selecting for each from those before it; return all trials, and `WINDOWS`.

    A window is given as (origin, days) and begins ``lead`` days after its origin.
    """
    first = selected(history.grid.size, share)
    trials: list[Trial] = []
    scored = [pl.DataFrame(schema=WINDOWS)]
    for origin, days in sorted(windows):
        forecast = slot_rates(history, times, category, origin, boosted[origin])
        # The next origin knows this window except its last days, as many as the lead.
        tried = Trial(
            origin + lead, origin + days, forecast.best(Lots.of(history.grid.size, SLOTS, first, category, origin))
        )
        span = (origin + lead, origin + lead + days)
        reason = stack.reason(history.seen(origin).known_days(category, origin), boosted[origin] is not None)
        chosen = allowed(choose(times, origin, trials), reason)
        scored.append(score_window(forecast, tried, chosen, times.within(*span), category, days))
        trials.append(tried)
    return trials, pl.concat(scored)


def _listed(places: Ints, best: Ints) -> NDArray[np.bool_]:
    """Return whether each place is in a list; by a table, because sorting the list takes ten times as long."""
    return np.isin(places, best, kind="table")


def _log_score(places: Ints, outcome: Ints, expected: Shares) -> float:
    """Return the mean Poisson log likelihood; for the many cell-slots without incidents it is minus the expectation."""
    some = expected[places].astype(float)
    empty = np.maximum(expected, SMALLEST_RATE).sum(dtype=float) - np.maximum(some, SMALLEST_RATE).sum()
    return float((log_likelihood(outcome, some).sum() - empty) / expected.size)


def _scaled(rate: Floats, total: float) -> Floats:
    current = rate.sum()
    return rate * (total / current) if current else rate


def _error(gain: Ints) -> float:
    return float(gain.std(ddof=1) / np.sqrt(gain.size)) if gain.size > 1 else float(np.abs(gain).sum())
