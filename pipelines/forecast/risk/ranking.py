"""Rank and select cells, with ties broken by seeded random numbers: array order would favour one corner of the map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.config.seeds import generator


def ranks(expected: NDArray[np.float64], *seed: object) -> NDArray[np.int64]:
    """Rank cells from 1 (most expected); the seed words (category, day …) determine how ties are broken."""
    tie = generator(*seed).random(expected.size)
    ranked = np.empty(expected.size, dtype=np.int64)
    ranked[np.lexsort((tie, -expected))] = np.arange(1, expected.size + 1)
    return ranked


@dataclass(frozen=True, slots=True, eq=False)
class Lots:
    """Tie-breakers among ``rows`` × ``columns`` positions, drawn once for many lists of the ``first`` of them."""

    tie: NDArray[np.float64]
    early: NDArray[np.int64]
    """Twice ``first`` positions with the lowest lots, in order: enough to fill up any list."""
    columns: int
    first: int

    @staticmethod
    def of(rows: int, columns: int, first: int, *seed: object) -> "Lots":
        """Return lots determined by the seed words."""
        tie = generator(*seed).random(rows * columns)
        enough = min(2 * first, tie.size)
        early = np.argpartition(tie, enough - 1)[:enough] if enough else np.empty(0, np.int64)
        return Lots(tie, early[np.argsort(tie[early])], columns, first)

    def leading(self, rate: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the positions that `ranks` ranks first by ``rate`` (of each row, not negative) × ``share`` (a row
        for each, or one for all), in this order.

        Only rows whose rate times their greatest share can be among the first are multiplied out.
        """
        share = np.broadcast_to(share, (rate.size, self.columns))
        peak = rate * share.max(axis=1)
        near = np.flatnonzero((peak > 0) & (peak >= self._floor(peak, rate, share)))
        table = rate[near, None] * share[near]
        some = np.nonzero(table)
        places = near[some[0]] * self.columns + some[1]
        leading_places = places[_leading(table[some], self.tie[places], min(self.first, places.size))]
        row, column = np.divmod(self.early, self.columns)
        nothing = self.early[rate[row] * share[row, column] == 0] if leading_places.size < self.first else self.early
        return np.concatenate([leading_places, nothing[: self.first - leading_places.size]])

    def _floor(self, peak: NDArray[np.float32], rate: NDArray[np.float32], share: NDArray[np.float32]) -> float:
        """Return a lower bound of the last selected value: its value among the rows with the highest peaks."""
        rows = min(4 * self.first // self.columns + 1, peak.size)
        if not self.first or rows * self.columns < self.first:
            return 0.0
        best = np.argpartition(peak, -rows)[-rows:]
        return float(np.partition((rate[best, None] * share[best]).ravel(), -self.first)[-self.first])


def _leading(expected: NDArray[np.floating], tie: NDArray[np.float64], first: int) -> NDArray[np.int64]:
    if first <= 0:
        return np.empty(0, np.int64)
    floor = np.partition(expected, -first)[-first]
    sure, even = np.flatnonzero(expected > floor), np.flatnonzero(expected == floor)
    drawn = even[np.argpartition(tie[even], first - sure.size - 1)[: first - sure.size]]
    positions = np.concatenate([sure, drawn])
    return positions[np.lexsort((tie[positions], -expected[positions]))]


def cells_within(area_km2: float, cell_m2: float) -> int:
    """Return how many cells of ``cell_m2`` sum to at most ``area_km2``."""
    # A small tolerance: 1 km² of 100 m cells is 100 cells, despite rounding.
    return int(np.floor(area_km2 * 1e6 / cell_m2 + 1e-9))


def cells_of_share(share: float, cells: float) -> int:
    """Return how many of ``cells`` make up at most a share of the area.

    At least one, because an empty list is useless.
    """
    return max(int(share * cells + 1e-9), 1) if cells else 0
