"""When each version of a record is written: the basis of both services' exports of changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.simulator.seeds import Flags, Integers

NEVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Turns:
    """Versions by the instant they were written, then by record.

    ``touched`` marks the records with any version; ``place`` is each version's record among those; ``turn`` the number
    of the version; ``updated`` when it was written.
    """

    touched: Flags
    place: Integers
    turn: Integers
    updated: Integers


def turns(written: Sequence[tuple[Flags, Integers]], window: tuple[int, int] | None) -> Turns:
    """Return the versions written in a half-open window of instants, or all of them.

    Args:
        written: For each turn, which records have such a version, and when it is written.
        window: UTC seconds.
    """
    start, end = window or (0, NEVER)
    rows = [np.flatnonzero(mask & (at >= start) & (at < end)) for mask, at in written]
    row = np.concatenate(rows)
    turn = np.repeat(np.arange(len(written)), [len(r) for r in rows])
    updated = np.concatenate([at[r] for r, (_, at) in zip(rows, written, strict=True)])
    order = np.lexsort((row, updated))
    touched = np.zeros(len(written[0][0]), dtype=bool)
    touched[row] = True
    return Turns(touched, np.cumsum(touched)[row[order]] - 1, turn[order], updated[order])
