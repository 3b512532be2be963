"""The gridded self-exciting point process (Mohler et al. 2015): every incident raises its own cell's risk for a while.

λ(t) of a cell is a constant μ plus Σ θ ω exp(−ω (t − tᵢ)) over its incidents of *earlier* days: ties of one day would
drive ω to infinity where no time of day is known. Time goes by whole days, so the kernel is one too: what an incident
causes falls on the days k = 1, 2, 3 … after it with weights θ (1 − exp(−ω)) exp(−ω (k − 1)), which add up to θ. θ is
therefore the number of further incidents, those of its own day left out, that one incident causes in the mean, and
exp(−ω) what is left of its effect from one day to the next. The parameters are fitted by expectation and maximisation
over all cells at once; sums over earlier incidents are carried along each cell's days, so a round costs as much as
there are incidents.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.forecast.risk.history import Floats, History, Ints

ROUNDS: Final = 40
START: Final = (0.2, 1 / 14)
"""θ, and ω per day, before the first round."""
MOST_THETA: Final = 0.95
OMEGAS: Final = (1e-3, 2.0)
HORIZON_DAYS: Final = 28
"""The rate given is the mean over so many coming days."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """``base``: μ of every cell, a day; ``theta``, ``omega``; ``now``: λ of every cell on the first unknown day."""

    base: Floats
    theta: float
    omega: float
    now: Floats


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
    made = fit(history, category, until)
    # What is caused causes more: the expected rate falls back to its long mean more slowly than one incident fades.
    mean, fade = made.base / (1 - made.theta), -(1 - made.theta) * np.expm1(-made.omega)
    return np.asarray(mean + (made.now - mean) * (1 - (1 - fade) ** HORIZON_DAYS) / (HORIZON_DAYS * fade))


def fit(history: History, category: str, until: int) -> Fit:
    """Fit the process to what was seen on days before ``until``."""
    size, events = history.grid.size, history.events[category]
    theta, omega = START
    if not events.cell.size:
        return Fit(np.zeros(size), theta, omega, np.zeros(size))
    days, span = _days(events.cell, events.day), max(until - history.first_day, 1)
    base = np.bincount(days.cell, days.incidents, size) / span
    for _ in range(ROUNDS):
        excited, ages = _carried(days, omega)
        first = theta * np.expm1(omega)
        background, triggered = base[days.cell], first * excited
        share = days.incidents / (background + triggered)
        caused, waited = (share * triggered).sum(), (share * first * ages).sum()
        base = np.bincount(days.cell, share * background, size) / span
        # Of whole days of waiting the mean is 1 / (1 − exp(−ω)).
        omega = float(-np.log1p(-np.clip(caused / max(waited, 1e-9), *(-np.expm1(-end) for end in OMEGAS))))
        # What an incident near the end will still cause is not to be seen yet.
        observed = (days.incidents * -np.expm1(-omega * (until - 1 - days.day))).sum()
        theta = float(np.clip(caused / max(observed, 1e-9), 0.0, MOST_THETA))
    left = np.bincount(days.cell, days.incidents * np.exp(-omega * (until - days.day)), size)
    return Fit(base, theta, omega, base + theta * np.expm1(omega) * left)


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
