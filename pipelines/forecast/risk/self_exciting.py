"""The gridded self-exciting point process (Mohler et al. 2015): every incident raises its own cell's risk for a while.

λ(t) of a cell is a constant μ plus Σ θ ω exp(−ω (t − tᵢ)) over its earlier incidents. The parameters are fitted by
expectation and maximisation over all cells at once; sums over earlier incidents are carried along each cell's days, so
a round costs as much as there are incidents. Only incidents of *earlier* days excite: ties of one day would drive ω to
infinity where no time of day is known.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.forecast.risk.history import Floats, History, Ints

ROUNDS: Final = 40
START: Final = (0.2, 1 / 14)
"""θ, incidents that one incident causes in the mean, and ω, per day, before the first round."""
HORIZON_DAYS: Final = 28
"""The rate given is the mean over so many coming days."""


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """The distinct days with incidents per cell, in order of turn, then cell; ``back`` is the turn before (or -1)."""

    cell: Ints
    day: Ints
    incidents: Floats
    turn_starts: Ints
    back: Ints


def self_exciting(history: History, category: str, until: int) -> Floats:
    """Incidents a day per cell over the next four weeks."""
    grid, events = history.grid, history.events[category]
    inside = events.where(events.day >= history.first_day)
    if not inside.cell.size:
        return np.zeros(grid.size)
    days, span = _days(inside.cell, inside.day), max(until - history.first_day, 1)
    base = np.bincount(days.cell, days.incidents, grid.size) / span
    theta, omega = START
    for _ in range(ROUNDS):
        excited, ages = _carried(days, omega)
        background = base[days.cell]
        triggered = theta * omega * excited
        share = days.incidents / (background + triggered)
        caused = (share * triggered).sum()
        waited = (share * theta * omega * ages).sum()
        base = np.bincount(days.cell, share * background, grid.size) / span
        omega = float(np.clip(caused / max(waited, 1e-9), 1e-3, 2.0))
        # What an incident near the end will still cause is not to be seen yet.
        observed = (days.incidents * -np.expm1(-omega * (until - days.day))).sum()
        theta = float(np.clip(caused / max(observed, 1e-9), 0.0, 0.95))
    now = base + theta * omega * np.bincount(days.cell, days.incidents * np.exp(-omega * (until - days.day)), grid.size)
    # What is caused causes more: the expected rate falls back to its long mean more slowly than one incident fades.
    mean, fade = base / (1 - theta), omega * (1 - theta) * HORIZON_DAYS
    return np.asarray(mean + (now - mean) * -np.expm1(-fade) / fade)


def _days(cell: Ints, day: Ints) -> _Days:
    pairs, incidents = np.unique(np.stack([cell, day]), axis=1, return_counts=True)
    cells, days = pairs
    starts = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    turn = np.arange(cells.size) - np.repeat(starts, np.diff(np.r_[starts, cells.size]))
    order = np.argsort(turn, kind="stable")
    place = np.empty(cells.size, np.int64)
    place[order] = np.arange(cells.size)
    back = np.where(turn[order] > 0, place[np.maximum(order - 1, 0)], -1)
    turn_starts = np.searchsorted(turn[order], np.arange(turn.max() + 2))
    return _Days(cells[order], days[order], incidents[order].astype(float), turn_starts, back)


def _carried(days: _Days, omega: float) -> tuple[Floats, Floats]:
    """Σ exp(−ω age) over each day's earlier incidents, and the same weighted by age."""
    excited, ages = np.zeros(days.cell.size), np.zeros(days.cell.size)
    for begin, end in zip(days.turn_starts[1:-1], days.turn_starts[2:], strict=True):
        before = days.back[begin:end]
        gap = (days.day[begin:end] - days.day[before]).astype(float)
        fading = np.exp(-omega * gap)
        held = excited[before] + days.incidents[before]
        excited[begin:end] = fading * held
        ages[begin:end] = fading * (ages[before] + gap * held)
    return excited, ages
