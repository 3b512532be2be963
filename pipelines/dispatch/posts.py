"""Posts: where units should wait so that an idle unit reaches as much of the demand as possible in time.

MCLP (Church and ReVelle 1974) chooses sites: a zone counts if any chosen site reaches it. MEXCLP (Daskin 1983) places
units that are busy with the same probability, independently: a zone that ``k`` units reach counts as ``1 - busy**k``.
Both are one integer programme, in which the k-th unit that reaches a zone has a gain: 1, 0, 0, … or
``(1 - busy) * busy**(k - 1)``. It is solved to optimality (HiGHS); only with very many sites, each within reach of many
zones, the search ends before that, and the distance to the optimum is stated.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, eye_array, hstack, kron

from pipelines.config.errors import BongsuError

NEGLIGIBLE: Final = 1e-9
"""Share of the demand that no placement is changed for."""
SCALE: Final = 1e4
"""The solver's absolute tolerance is 1e-6; gains of a total of this much make it ``NEGLIGIBLE``."""

MOST_NODES: Final = 200
"""Nodes of the search tree; a limit of time would give other posts on another machine. Cities needed one so far."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]


class PlanError(BongsuError, ValueError):
    """Report that a plan cannot be made from what was given; the message states what to change."""


def gains_of(units: int, busy: float) -> Floats:
    """Return the share of a zone's demand that the first, second, … unit within reach adds; 0 for ``busy`` is MCLP."""
    gains = (1 - busy) * busy ** np.arange(units, dtype=float)
    kept = max(1, int(np.sum(gains > NEGLIGIBLE)))
    return np.asarray(gains[:kept])


def coverage(covers: Bools, weights: Floats, units: Counts, busy: float = 0.0) -> float:
    """Return the expected share of the demand that an idle unit reaches in time.

    Args:
        covers: Whether a unit at the post (row) reaches the zone (column) in time.
        weights: Demand per zone, at least one above 0.
        units: Units per post.
        busy: Probability that a unit is busy; 0 for the share that has any unit within reach.
    """
    within = units @ covers
    return float(np.sum(weights * (1 - busy**within)) / np.sum(weights))


def place(covers: Bools, weights: Floats, units: int, busy: float, capacity: Counts) -> Counts:
    """Return units per post with the largest expected coverage; see ``best_placement``."""
    return best_placement(covers, weights, units, busy, capacity)[0]


def best_placement(covers: Bools, weights: Floats, units: int, busy: float, capacity: Counts) -> tuple[Counts, float]:
    """Return units per post with the largest expected coverage, and a bound that no placement can exceed.

    The bound is the coverage itself where the optimum was found, which is the rule.

    Of several best placements, one is returned in which no unit can be at an earlier post without loss: the result
    depends on the order of posts, not on the solver.

    Args:
        covers: As in ``coverage``.
        weights: Demand per zone, at least one above 0.
        units: Number of units to place; all are placed.
        busy: Probability that a unit is busy, from 0 up to but not including 1.
        capacity: Most units per post.

    Raises:
        PlanError: The posts have no room for the units.
    """
    if capacity.sum() < units:
        raise PlanError(f"{units} units do not fit: the posts have room for {capacity.sum()}")
    patterns, merged = _merged(covers, weights)
    gains = gains_of(units, busy)
    zones, posts = patterns.shape[1], patterns.shape[0]
    # Variables: units per post, then per zone whether the first, second, … unit is within reach. Because gains fall,
    # the latter are whole numbers by themselves.
    reached = kron(eye_array(zones), np.ones((1, gains.size)))
    within = hstack([csr_array(patterns.T.astype(float)), -reached], format="csr")
    total = np.concatenate([np.ones(posts), np.zeros(zones * gains.size)])[None, :]
    solved = milp(
        np.concatenate([np.zeros(posts), -SCALE * np.outer(merged / merged.sum(), gains).ravel()]),
        constraints=[LinearConstraint(within, 0, np.inf), LinearConstraint(total, units, units)],
        integrality=np.concatenate([np.ones(posts), np.zeros(zones * gains.size)]),
        bounds=Bounds(0, np.concatenate([np.minimum(capacity, units), np.ones(zones * gains.size)])),
        options={"mip_rel_gap": 0, "node_limit": MOST_NODES},
    )
    if solved.x is None:
        raise PlanError(f"no placement was found: {solved.message}")
    placed = np.rint(solved.x[:posts]).astype(np.int64)
    if solved.status != 0:
        placed = _exchanged(patterns, merged, placed, busy, capacity)
    placed = _earliest(patterns, merged, placed, busy, capacity)
    reached = coverage(covers, weights, placed, busy)
    if solved.status == 0:
        return placed, reached
    possible = -solved.mip_dual_bound / SCALE * merged.sum() / weights.sum()
    return placed, max(reached, float(possible))


def choose(covers: Bools, weights: Floats, count: int, capacity: Counts | None = None) -> Counts:
    """Return 1 for each of ``count`` posts that together reach the most demand (MCLP), else 0; ties as in ``place``.

    Args:
        covers: As in ``coverage``.
        weights: Demand per zone, at least one above 0.
        count: Number of sites to choose.
        capacity: Sites at each post, if not 1.

    Raises:
        PlanError: There are fewer sites than ``count``.
    """
    return best_choice(covers, weights, count, capacity)[0]


def best_choice(covers: Bools, weights: Floats, count: int, capacity: Counts | None = None) -> tuple[Counts, float]:
    """Return the same and a bound, as ``best_placement``."""
    sites = np.ones(covers.shape[0], dtype=np.int64) if capacity is None else capacity
    if sites.sum() < count:
        raise PlanError(f"{count} sites cannot be chosen from {sites.sum()}")
    return best_placement(covers, weights, count, 0.0, sites)


def _merged(covers: Bools, weights: Floats) -> tuple[Bools, Floats]:
    """Merge zones that the same posts reach, and drop those that none reaches or that have no demand."""
    counted = covers.any(axis=0) & (weights > 0)
    if not counted.any():
        return covers[:, :1], np.ones(1)
    patterns, which = np.unique(covers[:, counted], axis=1, return_inverse=True)
    return patterns, np.bincount(which.ravel(), weights[counted], patterns.shape[1]).astype(np.float64)


def _exchanged(covers: Bools, weights: Floats, units: Counts, busy: float, capacity: Counts) -> Counts:
    """Move single units to where they add most, as long as that gains."""
    placed, share = units.copy(), weights / weights.sum()
    value = coverage(covers, weights, placed, busy)
    while True:
        before = value
        for start in np.flatnonzero(placed):
            left = placed.copy()
            left[start] -= 1
            values = np.where(left < capacity, 1 - (busy ** (left @ covers + covers)) @ share, -np.inf)
            if values.max() > value + NEGLIGIBLE:
                left[values.argmax()] += 1
                placed, value = left, float(values.max())
        if value == before:
            return placed


def _earliest(covers: Bools, weights: Floats, units: Counts, busy: float, capacity: Counts) -> Counts:
    """Move units to earlier posts as long as nothing is lost."""
    placed = units.copy()
    value = coverage(covers, weights, placed, busy)
    share = weights / weights.sum()
    moved = True
    while moved:
        moved = False
        for late in range(placed.size - 1, 0, -1):
            room = np.flatnonzero((placed < capacity)[:late])
            if not placed[late] or not room.size:
                continue
            left = placed @ covers - covers[late]
            values = 1 - (busy ** (left + covers[room])) @ share
            equal = np.flatnonzero(values >= value - NEGLIGIBLE)
            if equal.size:
                placed[late] -= 1
                placed[room[equal[0]]] += 1
                moved = True
    return placed
