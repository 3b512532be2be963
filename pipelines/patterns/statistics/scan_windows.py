"""Circles of cells, and the cylinders that stand on them: where something happened, times the last 1 to 28 days."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MAX_DAYS: Final = 28
MIN_INCIDENTS: Final = 3
"""A cylinder with fewer is no cluster, whatever its p-value."""
_CENTRES_AT_ONCE: Final = 512

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Circles:
    """All circles around each cell, smallest first: rings of cells at one distance are added together.

    ``first``: where each cell's entries begin. Per entry: the ``cell`` that is added and the ``ring`` it belongs to.
    Per ring: its ``centre``, its ``radius`` and how many incidents of the whole span lie ``inside`` up to it.
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
    """All circles of up to ``max_radius`` (the unit of ``x, y``) around each cell, in cells' own order."""
    tree = cKDTree(np.column_stack([x, y]))
    near = tree.sparse_distance_matrix(tree, max_radius * (1 + 1e-9), output_type="ndarray")
    # Distances on a grid come in many equal ones that arithmetic tells apart in the last digit.
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
    """How many incidents anywhere lie in the last 1, 2 … 28 days."""
    return np.cumsum(np.bincount(age[age < MAX_DAYS], minlength=MAX_DAYS)).astype(float)


def cylinders(made: Circles, cell: Integers, age: Integers, of_window: Floats, total: int) -> Cylinders:
    """All cylinders with more incidents than expected, and at least three.

    Args:
        made: The circles.
        cell: Cells of the incidents of the last days.
        age: Their ages in days, 0 for the last day.
        of_window: See `windows`.
        total: Incidents of the whole span.
    """
    order = np.argsort(cell, kind="stable")
    age = age[order]
    per_cell = np.bincount(cell, minlength=made.first.size - 1)
    begin = np.cumsum(per_cell) - per_cell
    centres = np.flatnonzero(per_cell)
    blocks = [
        _block(made, centres[at : at + _CENTRES_AT_ONCE], per_cell, begin, age, of_window / max(total, 1))
        for at in range(0, centres.size, _CENTRES_AT_ONCE)
    ]
    ring, days, count, expected = (
        np.concatenate([block[part] for block in blocks] or [np.empty(0)]) for part in range(4)
    )
    return Cylinders(ring.astype(np.int64), days.astype(np.int64), count, expected, log_ratio(count, expected, total))


def _block(
    made: Circles, centres: Integers, per_cell: Integers, begin: Integers, age: Integers, share: Floats
) -> tuple[Integers, Integers, Floats, Floats]:
    """Ring, days, incidents and expected of some centres' cylinders."""
    entry, _ = _runs(made.first[centres], made.first[centres + 1] - made.first[centres])
    entry = entry[per_cell[made.cell[entry]] > 0]
    added = made.cell[entry]
    incident, of_entry = _runs(begin[added], per_cell[added])
    ring = made.ring[entry][of_entry]
    # Rings that nothing was added to only hold more of what is expected: their circles cannot be the best.
    row = np.cumsum(np.append(0, ring[1:] != ring[:-1]))
    rings = ring[np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))]
    held = np.bincount(row * MAX_DAYS + age[incident], minlength=rings.size * MAX_DAYS).astype(np.int32)
    held = held.reshape(-1, MAX_DAYS).cumsum(axis=1, dtype=np.int32).cumsum(axis=0, dtype=np.int32)
    new = np.append(True, np.diff(made.centre[rings]) != 0)
    before = np.vstack([np.zeros((1, MAX_DAYS), np.int32), held[np.flatnonzero(new)[1:] - 1]])
    held -= before[np.cumsum(new) - 1]
    at = np.flatnonzero((held >= MIN_INCIDENTS) & (held > np.outer(made.inside[rings], share)))
    which, day = np.divmod(at, MAX_DAYS)
    found = rings[which].astype(np.int64)
    return found, day + 1, held.ravel()[at].astype(np.float64), made.inside[found] * share[day]


def _runs(begin: Integers, length: Integers) -> tuple[Integers, Integers]:
    """The numbers begin, begin + 1 … of each run, one run after another, and which run each belongs to."""
    run = np.repeat(np.arange(length.size), length)
    return begin[run] + np.arange(run.size) - (np.cumsum(length) - length)[run], run


def log_ratio(count: Floats, expected: Floats, total: int) -> Floats:
    """Log of the likelihood ratio of cylinders with more than expected (the paper's Poisson approximation)."""
    outside = total - count
    rest = np.log(np.divide(outside, total - expected, out=np.ones_like(count), where=outside > 0))
    return np.asarray(count * np.log(count / expected) + outside * rest)


def separate(found: Cylinders, made: Circles, x: Floats, y: Floats, most: int) -> Integers:
    """The most likely cylinder, then the next that shares no cell with a likelier one, and so on; at most ``most``."""
    # Of equals the one that needs the smallest circle, then the shortest time.
    order = np.lexsort((found.ring, found.days, made.radius[found.ring], -np.round(found.ratio, 9)))
    chosen: list[int] = []
    while order.size and len(chosen) < most:
        best = order[0]
        chosen.append(int(best))
        here, there = made.centre[found.ring[best]], made.centre[found.ring[order]]
        apart = np.hypot(x[there] - x[here], y[there] - y[here])
        order = order[apart > made.radius[found.ring[best]] + made.radius[found.ring[order]] + 1e-3]
    return np.array(chosen, dtype=np.int64)
