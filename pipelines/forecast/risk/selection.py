"""Ranks and selection of cells, ties broken at random with a seed: array order would favour one corner of the map."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def ranks(expected: NDArray[np.float64], *seed: object) -> NDArray[np.int64]:
    """Rank cells from 1 (most expected); the seed words (category, day …) alone decide how ties fall."""
    tie = _ties(expected.size, *seed)
    ranked = np.empty(expected.size, dtype=np.int64)
    ranked[np.lexsort((tie, -expected))] = np.arange(1, expected.size + 1)
    return ranked


def leading(expected: NDArray[np.floating], first: int, *seed: object) -> NDArray[np.int64]:
    """The positions that `ranks` ranks 1 to ``first``, in this order, without ranking millions of others."""
    if first <= 0:
        return np.empty(0, np.int64)
    tie = _ties(expected.size, *seed)
    floor = np.partition(expected, -first)[-first]
    sure, even = np.flatnonzero(expected > floor), np.flatnonzero(expected == floor)
    drawn = even[np.argpartition(tie[even], first - sure.size - 1)[: first - sure.size]]
    found = np.concatenate([sure, drawn])
    return found[np.lexsort((tie[found], -expected[found]))]


def _ties(size: int, *seed: object) -> NDArray[np.float64]:
    digest = hashlib.blake2b("|".join(map(str, seed)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big")).random(size)


def cells_within(area_km2: float, cell_m2: float) -> int:
    """How many cells of ``cell_m2`` add up to at most ``area_km2``."""
    # A hair of tolerance: 1 km² of 100 m cells is 100 cells, whatever the division says.
    return int(np.floor(area_km2 * 1e6 / cell_m2 + 1e-9))


def cells_of_share(share: float, cells: float) -> int:
    """How many of ``cells`` make up at most a share of the area; one at least, for a list of none helps nobody."""
    return max(int(share * cells + 1e-9), 1) if cells else 0
