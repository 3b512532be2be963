"""A linear pool: simple densities of what happened before, mixed as recent incidents were likeliest.

Counts that decay fast and slowly, of the category and of all others together, each cell alone and blurred over its
neighbours, and an even floor. The weights are those of a mixture fitted by expectation and maximisation to incidents
after earlier origins (linear pool: Stone 1961; fitted by likelihood: Hall and Mitchell 2007). Unlike trees it tells any
two cells apart, the very first ones too.
"""

from typing import Final

import numpy as np

from pipelines.forecast.risk.history import Floats, History

SLOW: Final = 1460.0
FAST: Final = 365.0
"""Half-lives in days."""
LEVEL_HALF_LIFE_DAYS: Final = 365.25
LEAST_LEVEL: Final = 0.001
"""Incidents a day where none is known yet: what begins later was not impossible before."""
ROUNDS: Final = 100
FLOOR: Final = 0.01
"""Least weight of the even part, so that an incident in a new place is not impossible."""


def parts(history: History, category: str, until: int) -> Floats:
    """The densities, one per row, the even one last; each known one adds up to the recent incidents a day."""
    grid, own = history.grid, [history.events[category]]
    others = [events for name, events in history.events.items() if name != category]
    rows = []
    for several, half_life, sigmas in ((own, SLOW, (0, 1, 4)), (own, FAST, (0, 1)), (others, SLOW, (0, 1))):
        if several:
            decayed = sum(np.bincount(one.cell, np.exp2((one.day - until) / half_life), grid.size) for one in several)
            rows += [grid.smooth(np.asarray(decayed), sigma) if sigma else decayed for sigma in sigmas]
    made = np.maximum(np.stack([*rows, np.ones(grid.size)]), 0.0)
    level = max(history.rate(category, until, LEVEL_HALF_LIFE_DAYS), LEAST_LEVEL)
    return np.asarray(made * (level / np.maximum(made.sum(axis=1, keepdims=True), 1e-9)))


def weights(at: Floats, incidents: Floats) -> Floats:
    """Weights of the parts, adding up to 1, under which incidents were likeliest.

    Args:
        at: Each part (row) in the cells (column) where something happened.
        incidents: How many there.
    """
    found = np.full(at.shape[0], 1 / at.shape[0])
    for _ in range(ROUNDS):
        told = found[:, None] * at
        found = (told / np.maximum(told.sum(axis=0), 1e-300)) @ incidents / incidents.sum()
    even = np.zeros(at.shape[0])
    even[-1] = 1
    return (1 - FLOOR) * found + FLOOR * even
