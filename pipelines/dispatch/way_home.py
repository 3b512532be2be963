"""The way home of an idle unit: how long it takes, and in which zone the unit is on it.

With coordinates the unit moves evenly along a straight line and is in the zone whose point is nearest, as in ELASPY
(Dieleman and Jagtenberg 2024). Without, it is in the zone that best divides the minutes: as far from where it left, and
as far from home, as the unit is.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WITHOUT_SIREN: Final = 0.95
"""Speed of the way home over that with siren (ELASPY)."""


@dataclass(frozen=True, slots=True)
class Way:
    """``minutes``: from zone (row) to zone; ``points``: x and y of each zone in any unit of length, None if unknown.

    ``speed``: of the way home over that of other ways.
    """

    minutes: Floats
    points: Floats | None = None
    speed: float = WITHOUT_SIREN
    _centred: Floats = field(init=False, repr=False)
    _squares: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = np.zeros((0, 2)) if self.points is None else self.points - self.points.mean(axis=0)
        object.__setattr__(self, "_centred", points)
        object.__setattr__(self, "_squares", (points**2).sum(axis=1))

    def home_minutes(self, left: Ints, home: Ints) -> Floats:
        """Return the minutes of the way home."""
        return np.asarray(self.minutes[left, home] / self.speed)

    def place(self, left: Ints, home: Ints, since: Floats, total: Floats) -> Ints:
        """Return the zones in which units are ``since`` minutes after they left, of ``total`` minutes of their way."""
        share = since / total
        if self.points is None:
            gone = share * self.minutes[left, home]
            from_left = np.abs(self.minutes[left] - gone[:, None])
            to_home = np.abs(self.minutes[:, home].T - (self.minutes[left, home] - gone)[:, None])
            return np.asarray((from_left + to_home).argmin(axis=1))
        at = (1 - share)[:, None] * self._centred[left] + share[:, None] * self._centred[home]
        # The nearest point has the smallest |x|² - 2 x·p.
        return np.asarray((self._squares - 2 * (at @ self._centred.T)).argmin(axis=1))
