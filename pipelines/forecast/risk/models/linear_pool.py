"""A linear pool: simple densities of past incidents, mixed by the likelihood of recent incidents.

Fast and slowly decaying counts, of the category and of all others together, each cell alone and smoothed over its
neighbours, and a uniform floor. The weights are those of a mixture fitted by expectation maximisation to incidents
after earlier origins (linear pool: Stone 1961; fitted by likelihood: Hall and Mitchell 2007). Unlike trees it
distinguishes any two cells, the very first ones too.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipelines.forecast.risk.history import Events, Floats, Grid, History

SLOW: Final = 1460.0
FAST: Final = 365.0
"""Half-lives in days."""
LEVEL_HALF_LIFE_DAYS: Final = 365.25
LEAST_LEVEL: Final = 0.001
"""Incidents a day if none is known yet: a later start was not impossible before."""
ROUNDS: Final = 100
FLOOR: Final = 0.01
"""Minimum weight of the uniform part, so that an incident in a new place is not impossible."""


OWN: Final = ((SLOW, 0), (SLOW, 1), (SLOW, 4), (FAST, 0), (FAST, 1))
OTHERS: Final = ((SLOW, 0), (SLOW, 1))
"""Half-life and standard deviation, in cells (0: each cell alone), of the parts of a category and of all others."""


def smoothed(rows: int) -> list[int]:
    """Return which of so many parts are smoothed or uniform: what they say of a cell comes mostly from around it."""
    sigmas = [sigma for _, sigma in (*OWN, *OTHERS)][: rows - 1]
    return [row for row, sigma in enumerate(sigmas) if sigma] + [rows - 1]


def parts(history: History, category: str, until: int) -> Floats:
    """Return the densities, one per row, the uniform one last; each sums to the recent incidents a day."""
    grid, of_category = history.grid, [history.events[category]]
    others = [events for name, events in history.events.items() if name != category]
    rows = [
        _density(grid, several, until, *part)
        for several, parts in ((of_category, OWN), (others, OTHERS if others else ()))
        for part in parts
    ]
    densities = np.maximum(np.stack([*rows, np.ones(grid.size)]), 0.0)
    level = max(history.rate(category, until, LEVEL_HALF_LIFE_DAYS), LEAST_LEVEL)
    return np.asarray(densities * (level / np.maximum(densities.sum(axis=1, keepdims=True), 1e-9)))


def _density(grid: Grid, several: Sequence[Events], until: int, half_life: float, sigma: int) -> Floats:
    weights = (
        np.bincount(events.cell, np.exp2((events.day - until) / half_life), grid.size).astype(float)
        for events in several
    )
    decayed = np.sum(list(weights), axis=0)
    return grid.smooth(decayed, sigma) if sigma else np.asarray(decayed)


def weights(at: Floats, incidents: Floats) -> Floats:
    """Return the maximum-likelihood weights of the parts, which sum to 1.

    Args:
        at: Each part (row) in the cells (column) with incidents.
        incidents: The number of incidents there.
    """
    mixture = np.full(at.shape[0], 1 / at.shape[0])
    for _ in range(ROUNDS):
        joint = mixture[:, None] * at
        mixture = (joint / np.maximum(joint.sum(axis=0), 1e-300)) @ incidents / incidents.sum()
    even = np.zeros(at.shape[0])
    even[-1] = 1
    return (1 - FLOOR) * mixture + FLOOR * even
