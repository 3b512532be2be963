"""Kernel models of risk: prospective hot spots, and a space-time density with bandwidths selected by likelihood."""

from itertools import product
from typing import Final

import numpy as np

from pipelines.forecast.risk.history import Events, Floats, History

REACH_M: Final = 400.0
WEEKS: Final = 8

SIGMAS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
HALF_LIVES: Final = (91.0, 365.0, 1460.0)
HELD_OUT_DAYS: Final = 91
FLOOR: Final = 0.05
"""Share of the density that is uniform over all cells, so that an incident in a new place is not impossible."""


def prospective(history: History, category: str, until: int) -> Floats:
    """Return prospective hot spots.

    An incident of the last eight weeks raises risk within 400 m, less with distance and age.

    Weight 1/(1 + distance in half cells) × 1/(1 + age in weeks) (Bowers, Johnson and Pease 2004). Scaled to the
    incidents of those weeks.
    """
    grid, events = history.grid, history.events[category]
    recent = events.where(events.day >= until - 7 * WEEKS)
    weight = 1 / (1 + (until - 1 - recent.day) // 7)
    reach = int(REACH_M // grid.metres)
    offsets = np.arange(-reach, reach + 1)
    distance = np.hypot(*np.meshgrid(offsets, offsets)) * grid.metres
    kernel = np.where(distance <= REACH_M, 1 / (1 + distance / (grid.metres / 2)), 0.0)
    raised = grid.convolve(np.bincount(recent.cell, weight, grid.size), kernel)
    total = raised.sum()
    return raised * (recent.cell.size / (7 * WEEKS) / total) if total else raised


def density(history: History, category: str, until: int) -> Floats:
    """Return a space-time kernel density: Gaussian in space, exponential in age.

    Both bandwidths maximise the likelihood of the last quarter, given the time before it (Hu et al. 2018 also select
    theirs by likelihood); incidents a day per cell, at the recent level.
    """
    events = history.events[category]
    split = until - HELD_OUT_DAYS
    before, held_out = events.where(events.day < split), events.where(events.day >= split)
    choices = list(product(SIGMAS, HALF_LIVES))
    best = max(choices, key=lambda choice: _likelihood(history, before, held_out, split, *choice))
    return _density(history, events, until, *best) * history.rate(category, until, HELD_OUT_DAYS)


def _density(history: History, events: Events, until: int, sigma: float, half_life: float) -> Floats:
    """Return the probability per cell."""
    grid = history.grid
    weight = np.exp2(-(until - events.day) / half_life)
    smooth = grid.smooth(np.bincount(events.cell, weight, grid.size), sigma)
    total = smooth.sum()
    even = np.full(grid.size, 1 / max(grid.size, 1))
    return (1 - FLOOR) * smooth / total + FLOOR * even if total else even


def _likelihood(
    history: History, before: Events, held_out: Events, split: int, sigma: float, half_life: float
) -> float:
    return float(np.log(_density(history, before, split, sigma, half_life)[held_out.cell]).sum())
