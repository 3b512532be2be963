"""Seeded random numbers: each is a function of the profile's seed, a purpose and a day.

Nothing depends on the day of the run or on earlier requests, so a day simulated alone equals the same day simulated
with others.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.str_]

DAY_SPREAD = 0.04
"""Relative standard deviation of a day's volume beyond Poisson: weather and events that affect a city at once."""


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """Return a generator for one purpose; the names of the purpose determine its numbers, on every machine."""
    text = "/".join([str(seed), *map(str, purpose)])
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


@dataclass(frozen=True, slots=True)
class Draws:
    """Events drawn for a range of days: one entry per event.

    ``day`` is the proleptic ordinal, ``order`` the running number within it, ``kind`` the column of the rates, ``u``
    one row of uniform numbers per event.
    """

    day: Integers
    order: Integers
    kind: Integers
    u: Floats


def draw(seed: int, purpose: str, days: Sequence[int], rates: Floats, width: int) -> Draws:
    """Draw the events of each day: counts around ``rates`` (days × kinds), and ``width`` uniform numbers for each."""
    numbers = [generator(seed, purpose, day) for day in days]
    shocks = np.array([rng.gamma(DAY_SPREAD**-2, DAY_SPREAD**2) for rng in numbers])
    counts = np.array([rng.poisson(rate * by) for rng, rate, by in zip(numbers, rates, shocks, strict=True)])
    counts = counts.reshape(len(days), -1)
    sizes = counts.sum(axis=1)
    ends = np.cumsum(sizes)
    u = np.empty((int(sizes.sum()), width))
    for rng, size, end in zip(numbers, sizes, ends, strict=True):
        rng.random(out=u[end - size : end])
    return Draws(
        day=np.repeat(np.asarray(days, dtype=np.int64), sizes),
        order=np.arange(len(u)) - np.repeat(ends - sizes, sizes),
        kind=np.repeat(np.tile(np.arange(counts.shape[1]), len(days)), counts.ravel()),
        u=u,
    )


def cumulated(weights: Floats) -> Floats:
    """Return row-wise cumulative shares, flattened so that `pick` can search all rows at once."""
    shares = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    return np.asarray((shares + np.arange(len(weights))[:, None]).ravel())


def pick(flat: Floats, width: int, row: Integers, u: Floats) -> Integers:
    """Pick a column of ``row`` for each uniform number, by the shares of `cumulated`."""
    column = np.searchsorted(flat, row + u, side="right")
    return np.asarray(np.clip(column - row * width, 0, width - 1))


def again(u: Floats, turn: Integers | int) -> Floats:
    """Return another uniform number from one already drawn, for its ``turn``-th use, from its lower digits.

    A different factor for each turn keeps the numbers of several turns uncorrelated.
    """
    fraction: Floats = np.asarray(np.modf(u * (7919.0 + 1009.0 * np.asarray(turn)))[0])
    return fraction
