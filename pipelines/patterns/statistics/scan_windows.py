"""Circles of cells, and the cylinders on them: cells with incidents, times the last 1 to 28 days."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MAX_DAYS: Final = 28
MIN_INCIDENTS: Final = 3
"""A cylinder with fewer incidents is not a cluster, whatever its p-value."""
_CENTRES_AT_ONCE: Final = 512

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Circles:
    """All circles around each cell, smallest first: rings of cells at one distance are added together.

    ``first``: where each cell's entries begin. Per entry: the ``cell`` that is added and the ``ring`` it belongs to.
    Per ring: its ``centre``, its ``radius`` and the number of incidents of the whole span ``inside`` up to it.
    """

    first: Integers
    cell: NDArray[np.int32]
    ring: NDArray[np.int32]
    centre: NDArray[np.int32]
    radius: Floats
    inside: Floats


@dataclass(frozen=True, slots=True)
class Cylinders:
    """Cylinders with more incidents than expected: ring, days before the end, incidents, expected, log ratio."""

    ring: Integers
    days: Integers
    count: Floats
    expected: Floats
    ratio: Floats


def circles(x: Floats, y: Floats, counts: NDArray[np.integer], max_radius: float) -> Circles:
    """Return all circles of up to ``max_radius`` (the unit of ``x, y``) around each cell, in the order of cells."""
    tree = cKDTree(np.column_stack([x, y]))
    near = tree.sparse_distance_matrix(tree, max_radius * (1 + 1e-9), output_type="ndarray")
    # Distances on a grid have many equal values that differ only by rounding.
    centre, cell, distance = near["i"], near["j"], np.round(near["v"], 3)
    order = np.lexsort((cell, distance, centre))
    centre, cell, distance = centre[order], cell[order], distance[order]
    first = np.searchsorted(centre, np.arange(x.size + 1))
    is_last = np.append((np.diff(centre) != 0) | (np.diff(distance) != 0), True)[: centre.size]
    ring = np.cumsum(is_last) - is_last
    total = np.append(0, np.cumsum(counts[cell]))
    ends = np.flatnonzero(is_last)
    return Circles(
        first=first,
        cell=cell.astype(np.int32),
        ring=ring.astype(np.int32),
        centre=centre[ends].astype(np.int32),
        radius=distance[ends],
        inside=(total[ends + 1] - total[first[centre[ends]]]).astype(float),
    )


def windows(age: Integers) -> Floats:
    """Return the number of incidents anywhere in the last 1, 2 … 28 days."""
    return np.cumsum(np.bincount(age[age < MAX_DAYS], minlength=MAX_DAYS)).astype(float)


def cylinders(discs: Circles, cell: Integers, age: Integers, of_window: Floats, total: int) -> Cylinders:
    """Return all cylinders with more incidents than expected, and at least three.

    Args:
        discs: The circles.
        cell: Cells of the incidents of the last days.
        age: Their ages in days, 0 for the last day.
        of_window: See `windows`.
        total: Incidents of the whole span.
    """
    order = np.argsort(cell, kind="stable")
    age = age[order]
    per_cell = np.bincount(cell, minlength=discs.first.size - 1)
    begin = np.cumsum(per_cell) - per_cell
    centres = np.flatnonzero(per_cell)
    blocks = [
        _block(discs, centres[at : at + _CENTRES_AT_ONCE], per_cell, begin, age, of_window / max(total, 1))
        for at in range(0, centres.size, _CENTRES_AT_ONCE)
    ]
    ring, days, count, expected = (
        np.concatenate([block[part] for block in blocks] or [np.empty(0)]) for part in range(4)
    )
    return Cylinders(ring.astype(np.int64), days.astype(np.int64), count, expected, log_ratio(count, expected, total))


def _block(
    discs: Circles, centres: Integers, per_cell: Integers, begin: Integers, age: Integers, share: Floats
) -> tuple[Integers, Integers, Floats, Floats]:
    """Return ring, days, incidents and expected of some centres' cylinders."""
    entry, _ = _runs(discs.first[centres], discs.first[centres + 1] - discs.first[centres])
    entry = entry[per_cell[discs.cell[entry]] > 0]
    added = discs.cell[entry]
    incident, of_entry = _runs(begin[added], per_cell[added])
    ring = discs.ring[entry][of_entry]
    # Rings without additional incidents only add to the expected number: their circles cannot be the best.
    row = np.cumsum(np.append(0, ring[1:] != ring[:-1]))
    rings = ring[np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))]
    inside = np.bincount(row * MAX_DAYS + age[incident], minlength=rings.size * MAX_DAYS).astype(np.int32)
    inside = inside.reshape(-1, MAX_DAYS).cumsum(axis=1, dtype=np.int32).cumsum(axis=0, dtype=np.int32)
    new = np.append(True, np.diff(discs.centre[rings]) != 0)
    before = np.vstack([np.zeros((1, MAX_DAYS), np.int32), inside[np.flatnonzero(new)[1:] - 1]])
    inside -= before[np.cumsum(new) - 1]
    at = np.flatnonzero((inside >= MIN_INCIDENTS) & (inside > np.outer(discs.inside[rings], share)))
    which, day = np.divmod(at, MAX_DAYS)
    with_ring = rings[which].astype(np.int64)
    return with_ring, day + 1, inside.ravel()[at].astype(np.float64), discs.inside[with_ring] * share[day]


def _runs(begin: Integers, length: Integers) -> tuple[Integers, Integers]:
    """Return the numbers begin, begin + 1 … of each run, one run after another, and the run of each."""
    run = np.repeat(np.arange(length.size), length)
    return begin[run] + np.arange(run.size) - (np.cumsum(length) - length)[run], run


def log_ratio(count: Floats, expected: Floats, total: int) -> Floats:
    """Return the log likelihood ratio of cylinders with more than expected (the paper's Poisson approximation)."""
    outside = total - count
    rest = np.log(np.divide(outside, total - expected, out=np.ones_like(count), where=outside > 0))
    return np.asarray(count * np.log(count / expected) + outside * rest)


def separate(candidates: Cylinders, discs: Circles, x: Floats, y: Floats, most: int) -> Integers:
    """Return the most likely cylinders, which share no cell; up to ``most``.

    First the most likely one, then the next that shares no cell with a likelier one, and so on.
    """
    # Among equals, the one with the smallest circle, then the shortest time.
    order = np.lexsort(
        (candidates.ring, candidates.days, discs.radius[candidates.ring], -np.round(candidates.ratio, 9))
    )
    chosen: list[int] = []
    while order.size and len(chosen) < most:
        best = order[0]
        chosen.append(int(best))
        centre, centres = discs.centre[candidates.ring[best]], discs.centre[candidates.ring[order]]
        distance = np.hypot(x[centres] - x[centre], y[centres] - y[centre])
        order = order[distance > discs.radius[candidates.ring[best]] + discs.radius[candidates.ring[order]] + 1e-3]
    return np.array(chosen, dtype=np.int64)
