"""Standby: which post must not be left empty, and where the units that are idle should be, however many they are."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from pipelines.dispatch import posts
from pipelines.dispatch.posts import Bools, Counts, Floats, PlanError

LEAST_GAIN: Final = 1e-9
"""Share of the demand for which an exchange is worth while."""


@dataclass(frozen=True, slots=True)
class Regret:
    """What is lost if all units of a post (one element each) are away, as shares of the demand; 0 without units.

    ``lost``: the others stay where they are; ``lost_after_move``: one of them moves to the post, from ``move_from``, -1
    where no move helps.
    """

    lost: Floats
    lost_after_move: Floats
    move_from: Counts


def regrets(covers: Bools, weights: Floats, units: Counts, busy: float) -> Regret:
    """Return how much each post is missed.

    Args:
        covers: Whether a unit at the post (row) reaches the zone (column) in time.
        weights: Demand per zone.
        units: Per post.
        busy: Probability that a unit is busy.
    """
    share, count = weights / weights.sum(), units.size
    whole = posts.coverage(covers, weights, units, busy)
    lost, after = np.zeros(count), np.zeros(count)
    move_from = np.full(count, -1)
    for empty in np.flatnonzero(units):
        left = np.where(np.arange(count) == empty, 0, units)
        lost[empty] = after[empty] = whole - posts.coverage(covers, weights, left, busy)
        starts = np.flatnonzero(left)
        values = (1 - busy ** (left @ covers - covers[starts] + covers[empty])) @ share
        if starts.size and whole - values.max() < lost[empty] - LEAST_GAIN:
            after[empty], move_from[empty] = whole - values.max(), starts[values.argmax()]
    return Regret(lost, after, move_from)


def compliance(covers: Bools, weights: Floats, chances: Floats, busy: float, capacity: Counts) -> Counts:
    """Return the post of the first, second, … idle unit of a nested compliance table.

    With ``k`` idle units the first ``k`` posts are to be manned, so that a unit that becomes busy or idle causes one
    move at most. The sum over ``k`` of ``chances`` × expected coverage is improved greedily: the best post is added,
    then posts are exchanged until no replacement and no swap of two places gains. The optimum may be higher; see
    ``gaps``.

    Args:
        covers: Whether a unit at the post (row) reaches the zone (column) in time.
        weights: Demand per zone.
        chances: Of 1, 2, … idle units; its length is the number of units.
        busy: Probability that an idle unit is busy when the next call comes; 0 counts zones with any unit.
        capacity: Most units per post.

    Raises:
        PlanError: The posts have no room for the units.
    """
    units, share = chances.size, weights / weights.sum()
    if capacity.sum() < units:
        raise PlanError(f"{units} units do not fit: the posts have room for {capacity.sum()}")
    order, within = np.zeros(units, dtype=np.int64), np.zeros(weights.size, dtype=np.int64)
    for number in range(units):
        room = np.bincount(order[:number], minlength=capacity.size) < capacity
        gain = np.where(room, (1 - busy ** (within + covers)) @ share, -np.inf)
        order[number] = gain.argmax()
        within = within + covers[order[number]]
    value = _value(covers, share, order, chances, busy)
    while True:
        order, better = _exchanged(covers, share, order, chances, busy, capacity)
        if better <= value + LEAST_GAIN:
            return order
        value = better


def gaps(
    covers: Bools, weights: Floats, order: Counts, busy: float, capacity: Counts, names: list[str]
) -> pl.DataFrame:
    """Return what each row of a compliance table reaches, next to the best for as many units without nesting.

    Columns: ``idle_units, zone`` (of the post that is manned in addition), ``coverage, best_coverage, gap``: shares of
    the demand.
    """
    reached, best = [], []
    for number in range(1, order.size + 1):
        manned = np.bincount(order[:number], minlength=capacity.size)
        reached.append(posts.coverage(covers, weights, manned, busy))
        placed = posts.place(covers, weights, number, busy, capacity)
        best.append(posts.coverage(covers, weights, placed, busy))
    return pl.DataFrame(
        {
            "idle_units": np.arange(1, order.size + 1),
            "zone": [names[place] for place in order],
            "coverage": reached,
            "best_coverage": best,
        }
    ).with_columns((pl.col("best_coverage") - pl.col("coverage")).clip(0).alias("gap"))


def _value(covers: Bools, share: Floats, order: Counts, chances: Floats, busy: float) -> float:
    within = np.cumsum(covers[order], axis=0, dtype=np.int64)
    return float(chances @ ((1 - busy**within) @ share))


def _exchanged(
    covers: Bools, share: Floats, order: Counts, chances: Floats, busy: float, capacity: Counts
) -> tuple[Counts, float]:
    """Return the order after one round of replacements and swaps that gain, and its value."""
    order = order.copy()
    value = _value(covers, share, order, chances, busy)
    for place in range(order.size):
        room = np.flatnonzero(np.bincount(order, minlength=capacity.size) < capacity)
        trials = [(place, -1, int(post)) for post in room] + [
            (place, other, int(order[other])) for other in range(place + 1, order.size)
        ]
        for here, other, post in trials:
            changed = order.copy()
            if other >= 0:
                changed[other] = order[here]
            changed[here] = post
            better = _value(covers, share, changed, chances, busy)
            if better > value + LEAST_GAIN:
                order, value = changed, better
    return order, value
