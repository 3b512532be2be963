"""Gradient boosting for counts: a Poisson regression on what happened before, in the cell and around it.

Features are counts of several windows, decayed counts and Gaussian means over several distances; of every other
category its count, that of its last year and Gaussian means. All are as known at an origin; targets are the incidents
of the window after it. Training origins are the windows just before the one that is forecast, so nothing after it is
seen. Places only: no attribute of a person, no census.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.forecast.risk.history import Events, Floats, History

WINDOW_DAYS: Final = 28
TRAINING_WINDOWS: Final = 18
MIN_HISTORY_DAYS: Final = 182
EMPTY_SHARE: Final = 0.1
"""Share of the cells without an incident that are trained on, each counting so many times more."""
TREES: Final = 150
SEEDS: Final = (1, 2)
PARAMETERS: Final = {
    "objective": "poisson",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.3,
    "deterministic": True,
    "force_row_wise": True,
    # Threads of so small a fit wait for each other more than they work, the more so on a busy machine.
    "num_threads": 1,
    "verbosity": -1,
}

_COUNTED: Final = (28, 91, 182, 365, 730)
_HALF_LIVES: Final = (365, 1095)
_SIGMAS: Final = (1, 2, 4, 8)
_SEASON_DAYS: Final = 45
_YEAR: Final = 365.25

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Features of all cells at one origin; ``rising`` tells where more can only mean more risk (1), less (-1)."""

    values: Features
    rising: list[int]


def boosting(history: History, category: str, until: int, memo: dict[tuple[str, int], Table] | None = None) -> Floats:
    """Incidents a day per cell in the coming four weeks.

    Args:
        history: All of it; nothing that was not known at ``until`` is looked at.
        category: What is forecast.
        until: First day that is not known.
        memo: Tables made by earlier calls on the same history: what was known at an origin never changes.
    """
    import lightgbm

    memo, seen = {} if memo is None else memo, history.seen(until)
    origins = list(_origins(seen, until))
    if not origins:
        return _even(seen, category, until)
    rows = [_rows(seen, category, origin, _table(history, category, origin, memo)) for origin in origins]
    features, targets, weights = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    if not targets.any():
        return _even(seen, category, until)
    now = _table(history, category, until, memo)
    logs = np.zeros(history.grid.size)
    data = lightgbm.Dataset(features, targets, weight=weights, params={"verbosity": -1}, free_raw_data=False)
    for seed in SEEDS:
        chosen = PARAMETERS | {
            "feature_fraction_seed": seed,
            "monotone_constraints": now.rising,
        }
        logs += np.log(lightgbm.train(chosen, data, TREES).predict(now.values))
    return np.exp(logs / len(SEEDS)) / WINDOW_DAYS


def _even(history: History, category: str, until: int) -> Floats:
    """The same everywhere: where there is nothing to learn from."""
    return np.full(history.grid.size, history.rate(category, until, _YEAR) / max(history.grid.size, 1))


def _origins(history: History, until: int) -> Iterator[int]:
    for window in range(1, TRAINING_WINDOWS + 1):
        origin = until - WINDOW_DAYS * window
        if origin - history.first_day < MIN_HISTORY_DAYS:
            return
        yield origin


def _rows(
    history: History, category: str, origin: int, table: Table
) -> tuple[Features, NDArray[np.float32], NDArray[np.float32]]:
    """Training rows of one origin: every cell with an incident and a tenth of the others, as many times heavier."""
    outcome = history.events[category].counts(history.grid.size, origin, origin + WINDOW_DAYS)
    drawn = np.random.default_rng(origin).random(outcome.size) < EMPTY_SHARE
    kept = (outcome > 0) | drawn
    weights = np.where(outcome[kept] > 0, 1.0, 1 / EMPTY_SHARE)
    return table.values[kept], outcome[kept].astype(np.float32), weights.astype(np.float32)


def _table(history: History, category: str, origin: int, memo: dict[tuple[str, int], Table]) -> Table:
    if (category, origin) not in memo:
        memo[category, origin] = features(history.seen(origin), category, origin)
    return memo[category, origin]


def features(history: History, category: str, until: int) -> Table:
    """What is told of every cell at an origin: ``history`` as seen there. Long counts are per year."""
    grid, years = history.grid, max(until - history.first_day, 1) / _YEAR
    columns: list[tuple[Floats, int]] = []
    own = history.events[category]
    every = own.counts(grid.size, history.first_day, until)
    year = own.counts(grid.size, until - 365, until)
    columns += [(own.counts(grid.size, until - days, until), 1) for days in _COUNTED]
    columns += [(every / years, 1), (_season(own, grid.size, until) / years, 0), (_since(own, grid.size, until), -1)]
    columns += [
        (np.bincount(own.cell, np.exp2((own.day - until) / half), grid.size).astype(float), 1) for half in _HALF_LIVES
    ]
    columns += [(grid.smooth(every, sigma) / years, int(sigma == 1)) for sigma in _SIGMAS]
    columns += [(grid.smooth(year, sigma), 0) for sigma in _SIGMAS[1:]]
    columns += [(grid.smooth(own.counts(grid.size, until - 56, until), sigma), 0) for sigma in (2, 8)]
    columns += [(grid.around(every, reach) / years, int(reach == 1)) for reach in (1, 2)]
    for name, other in history.events.items():
        if name != category:
            seen = other.counts(grid.size, history.first_day, until)
            columns += [(seen / years, 0), (other.counts(grid.size, until - 365, until), 0)]
            columns += [(grid.smooth(seen, sigma) / years, 0) for sigma in _SIGMAS]
    return Table(np.column_stack([values.astype(np.float32) for values, _ in columns]), [sign for _, sign in columns])


def _season(events: Events, size: int, until: int) -> Floats:
    """Incidents of any year within six weeks of the coming month's time of year."""
    middle = until + WINDOW_DAYS / 2
    apart = np.abs((events.day - middle + _YEAR / 2) % _YEAR - _YEAR / 2)
    return np.bincount(events.cell[apart <= _SEASON_DAYS], minlength=size).astype(float)


def _since(events: Events, size: int, until: int) -> Floats:
    """Days since the cell's last incident, at most 3,000."""
    last = np.full(size, until - 3000.0)
    np.maximum.at(last, events.cell, events.day.astype(float))
    return until - last
