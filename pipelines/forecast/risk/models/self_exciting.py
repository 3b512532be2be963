"""The gridded self-exciting point process (Mohler et al. 2015): every incident raises its cell's risk for some time.

λ(t) of a cell is a constant μ plus Σ θ ω exp(−ω (t − tᵢ)) over its incidents of *earlier* days: ties within one day
would drive ω to infinity if no time of day is known. Time is in whole days, so the kernel is discrete: what an incident
causes falls on the days k = 1, 2, 3 … after it with weights θ (1 − exp(−ω)) exp(−ω (k − 1)), which sum to θ. θ is
therefore the mean number of further incidents, excluding those of its own day, that one incident causes, and exp(−ω)
the fraction of its effect that remains from one day to the next. The parameters are fitted by expectation maximisation
over all cells at once; sums over earlier incidents are carried along each cell's days, so an iteration is linear in the
number of incidents.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.forecast.risk.history import Floats, History, Ints

ROUNDS: Final = 40
START: Final = (0.2, 1 / 14)
"""θ, and ω per day, before the first iteration."""
MOST_THETA: Final = 0.95
OMEGAS: Final = (1e-3, 2.0)
HORIZON_DAYS: Final = 28
"""The rate is the mean over this many coming days."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """``base``: μ of every cell, a day; ``theta``, ``omega``; ``now``: λ of every cell on the first unknown day."""

    base: Floats
    theta: float
    omega: float
    now: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """The distinct days with incidents per cell, in order of turn, then cell; ``back`` is the previous turn (or -1)."""

    cell: Ints
    day: Ints
    incidents: Floats
    turn_starts: Ints
    back: Ints


def self_exciting(history: History, category: str, until: int) -> Floats:
    """Return incidents a day per cell over the next four weeks."""
    fitted = fit(history, category, until)
    # Caused incidents cause more: the expected rate returns to its long-term mean more slowly than one incident fades.
    mean, fade = fitted.base / (1 - fitted.theta), -(1 - fitted.theta) * np.expm1(-fitted.omega)
    return np.asarray(mean + (fitted.now - mean) * (1 - (1 - fade) ** HORIZON_DAYS) / (HORIZON_DAYS * fade))


def fit(history: History, category: str, until: int) -> Fit:
    """Fit the process to the incidents on days before ``until``."""
    size, events = history.grid.size, history.events[category]
    theta, omega = START
    if not events.cell.size:
        return Fit(np.zeros(size), theta, omega, np.zeros(size))
    days, span = _days(events.cell, events.day), max(history.known_days(category, until), 1)
    base = np.bincount(days.cell, days.incidents, size) / span
    for _ in range(ROUNDS):
        excited, ages = _carried(days, omega)
        first = theta * np.expm1(omega)
        background, triggered = base[days.cell], first * excited
        share = days.incidents / (background + triggered)
        caused, waited = (share * triggered).sum(), (share * first * ages).sum()
        base = np.bincount(days.cell, share * background, size) / span
        # The mean of whole days of waiting is 1 / (1 − exp(−ω)).
        omega = float(-np.log1p(-np.clip(caused / max(waited, 1e-9), *(-np.expm1(-end) for end in OMEGAS))))
        # The future effect of an incident near the end is not observed yet.
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
    """Return Σ exp(−ω age) over each day's earlier incidents, and the same weighted by age."""
    excited, ages = np.zeros(days.cell.size), np.zeros(days.cell.size)
    for begin, end in zip(days.turn_starts[1:-1], days.turn_starts[2:], strict=True):
        before = days.back[begin:end]
        gap = (days.day[begin:end] - days.day[before]).astype(float)
        fading = np.exp(-omega * gap)
        carried = excited[before] + days.incidents[before]
        excited[begin:end] = fading * carried
        ages[begin:end] = fading * (ages[before] + gap * carried)
    return excited, ages
