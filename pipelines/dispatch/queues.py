"""Queues of units that serve one area: how often all are busy (Erlang B), and how often a call waits (Erlang C).

Calls arrive at random (Poisson), each keeps one unit busy; ``load`` is calls per hour × hours per call (Erlangs).
Erlang B holds for any distribution of the time on task, Erlang C for an exponential one. Both hold only where every
unit serves every call alike: a region, or a station area with its neighbours. For units at several places see
``hypercube``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def blocked_with_one_more(blocked: Floats, load: Floats, units: int) -> Floats:
    """Return Erlang B for ``units`` from that for one unit less; without units it is 1."""
    return np.asarray(load * blocked / (units + load * blocked))


def waiting(blocked: Floats, load: Floats, units: int) -> Floats:
    """Return Erlang C from Erlang B of as many units; 1 where units do not exceed the load."""
    is_stable = load < units
    return np.asarray(np.where(is_stable, blocked / np.where(is_stable, 1 - load / units * (1 - blocked), 1.0), 1.0))


def erlang_b(units: ArrayLike, load: ArrayLike) -> Floats:
    """Return the probability that all units are busy when calls do not wait, element by element."""
    return _erlang(units, load)[0]


def erlang_c(units: ArrayLike, load: ArrayLike) -> Floats:
    """Return the probability that a call waits, element by element; 0 without load."""
    return _erlang(units, load)[1]


def _erlang(units: ArrayLike, load: ArrayLike) -> tuple[Floats, Floats]:
    count, offered = np.broadcast_arrays(np.asarray(units, int), np.asarray(load, float))
    blocked = np.ones(offered.shape)
    lost, waits = (np.where(offered > 0, 1.0, 0.0) for _ in range(2))
    for number in range(1, int(count.max(initial=0)) + 1):
        blocked = blocked_with_one_more(blocked, offered, number)
        now = (count == number) & (offered > 0)
        lost = np.where(now, blocked, lost)
        waits = np.where(now, waiting(blocked, offered, number), waits)
    return lost, waits


def busy_counts(units: int, load: float, calls_wait: bool) -> Floats:
    """Return the probabilities that 0, 1, … all units are busy; with a queue, the last includes its states."""
    steps = load / np.arange(1, units + 1)
    relative = np.concatenate([[1.0], np.cumprod(steps)])
    if calls_wait:
        relative[-1] *= units / (units - load)
    return np.asarray(relative / relative.sum())


def all_of_first_busy(counts: Floats) -> Floats:
    """Return the probabilities that the first 0, 1, … all units of a random order are busy.

    Args:
        counts: Probabilities of the number of busy units, as from ``busy_counts``.
    """
    units = counts.size - 1
    number = np.arange(units + 1)
    result, share = np.zeros(units + 1), np.ones(units + 1)
    for first in range(units + 1):
        result[first] = counts @ share
        share = share * np.maximum(number - first, 0) / max(units - first, 1)
    return result


def correction_factors(units: int, utilisation: float) -> Floats:
    """Return Q(units, utilisation, j) for j = 0, 1, … of Larson (1975), for calls that wait.

    It corrects the probability that the first j units are busy and the next one is idle, computed as if units were busy
    independently of each other.
    """
    first = all_of_first_busy(busy_counts(units, utilisation * units, calls_wait=True))
    return np.asarray((first[:-1] - first[1:]) / (utilisation ** np.arange(units) * (1 - utilisation)))
