"""Simple counts as models of risk: the baseline for every other model, and what an analyst would compute by hand."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np

from pipelines.forecast.risk.history import Floats, History

HALF_LIFE_DAYS: Final = 1460.0


def count(history: History, category: str, until: int, days: int | None) -> Floats:
    """Return incidents a day per cell over the last ``days`` known days, or all of them."""
    first = history.first_day if days is None else history.since(category, until, days)
    counted = history.events[category].counts(history.grid.size, first, until)
    return counted / max(history.days(category, first, until), 1)


def decayed(history: History, category: str, until: int) -> Floats:
    """Return incidents a day per cell; an incident loses half its weight every four years."""
    events = history.events[category]
    weight = np.exp(-np.log(2) / HALF_LIFE_DAYS * (until - events.day))
    days = history.decayed_days(category, until, HALF_LIFE_DAYS)
    return np.asarray(np.bincount(events.cell, weight, history.grid.size) / days)


COUNTS: Final[Mapping[str, Callable[[History, str, int], Floats]]] = {
    "count_all": partial(count, days=None),
    "count_3y": partial(count, days=1096),
    "count_365": partial(count, days=365),
    "count_56": partial(count, days=56),
    "count_28": partial(count, days=28),
    "count_decayed": decayed,
}
"""(history as seen, category, first unknown day) → incidents per cell and day."""
