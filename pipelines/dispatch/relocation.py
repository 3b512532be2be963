"""Relocation of units that become idle to the post where they help most: DMEXCLP.

Jagtenberg, Bhulai and van der Mei (2015): the post with the largest gain of expected coverage, given where the other
idle units are or go. A unit moves only when it becomes idle, so crews that wait are never sent elsewhere.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.dispatch.posts import Bools, Floats, PlanError
from pipelines.dispatch.way_home import Ints


@dataclass(frozen=True, slots=True)
class Relocation:
    """``posts``: their zones; ``covers``: whether a unit at the post (row) reaches the zone (column) in time.

    ``weights``: demand per zone; ``busy``: probability that a unit is busy.
    """

    posts: Ints
    covers: Bools
    weights: Floats
    busy: float

    def posts_of(self, homes: Ints) -> Ints:
        """Return the number of the post in each unit's home.

        Raises:
            PlanError: A home has no post.
        """
        number = {int(zone): place for place, zone in enumerate(self.posts)}
        if any(int(home) not in number for home in homes):
            raise PlanError("a unit's home is not among the posts for relocation; add it to them")
        return np.array([number[int(home)] for home in homes])

    def best(self, within: Ints) -> Ints:
        """Return the post with the largest gain, the first of several, for each row of idle units within reach."""
        return np.asarray(((self.weights * self.busy**within) @ self.covers.T).argmax(axis=1))
