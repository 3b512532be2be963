"""Gradient boosting for counts: a Poisson regression on past incidents in the cell and around it.

Features are counts of several windows, decayed counts and Gaussian means over several distances; for every other
category its count, that of its last year and Gaussian means. All are as known at an origin; targets are the incidents
of the window after it. Training origins are windows before the forecast one, so nothing after it is used. Places only:
no attribute of a person, no census.

Trees put cells into classes, so alone they rank the very first cells coarsely. They start from the log of a linear pool
of densities, which distinguishes those, and only correct it.

Trees and pool are fitted every `FIT_DAYS` days and used with the features of the day until the next fit: what changes
from month to month is where incidents were, not how they lead to others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.forecast.risk.history import Events, Floats, History, last_due
from pipelines.forecast.risk.models import linear_pool

if TYPE_CHECKING:
    from lightgbm import Booster

BOOSTING: Final = "boosting"

WINDOW_DAYS: Final = 28
FIT_DAYS: Final = 84
"""Days between fits, a multiple of the window: at most so old are trees and pool."""
TRAINING_WINDOWS: Final = 18
MIN_HISTORY_DAYS: Final = 182
EMPTY_CELLS: Final = 2_000
"""Maximum number of cells without an incident drawn per origin: time does not grow with the city."""
TREES: Final = 75
ONE_THREAD: Final = {"num_threads": 1, "verbosity": -1}
"""For every call into LightGBM. It keeps one number of threads for the whole process and sizes buffers by it, so
categories fitted in parallel must not change it. More threads do not speed up so small a fit.
"""
PARAMETERS: Final = {
    "objective": "poisson",
    "learning_rate": 0.1,
    "num_leaves": 8,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.3,
    "feature_fraction_seed": 2,
    "deterministic": True,
    "force_row_wise": True,
    **ONE_THREAD,
}

_COUNTED: Final = (28, 91, 182, 365, 730)
_HALF_LIVES: Final = (365, 1095)
_SIGMAS: Final = (1, 2, 4, 8)
_SEASON_DAYS: Final = 45
_YEAR: Final = 365.25

Features = NDArray[np.float32]
Around = dict[tuple[str, int], list[Features]]
"""Means around each cell over every distance of `_SIGMAS`, by category and day."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Features of all cells at one origin; ``rising`` states whether more means more risk (1) or less (-1).

    ``parts`` are those of the linear pool, incidents of a window.
    """

    values: Features
    rising: list[int]
    parts: Features


class Rows(NamedTuple):
    """Training set: features, incidents of the window, weight and log of the linear pool per row."""

    values: Features
    outcome: Floats
    weight: Floats
    start: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Trees, and the weights of the pool's parts that they start from."""

    trees: "Booster"
    mix: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Memo:
    """Tables and fits from earlier calls on the same history, by category and day: what was known never changes.

    No fit is None. Only tables of days on which a window of training may begin are read again, and kept.
    """

    tables: dict[tuple[str, int], Table] = field(default_factory=dict)
    fits: dict[tuple[str, int], Fit | None] = field(default_factory=dict)
    around: Around = field(default_factory=dict)
    """Means around the cells by category, to be shared by the memos of all categories of one history."""


def boosting(history: History, category: str, until: int, memo: Memo | None = None) -> Floats | None:
    """Return incidents a day per cell in the coming four weeks, or None if boosting was not trained.

    It is not trained without a training origin, without an incident after any of them, or with too few rows for a
    single split.

    Args:
        history: The whole history; only what was known at ``until`` is used.
        category: What is forecast.
        until: First unknown day.
        memo: From earlier calls on the same history, in the order of ``until``.
    """
    memo = Memo() if memo is None else memo
    fitted = _fit(history, category, last_due(until, FIT_DAYS), memo)
    if fitted is None:
        return None
    now = _table(history, category, until, memo)
    corrected = fitted.trees.predict(now.values, raw_score=True, num_threads=1)
    return np.asarray(np.exp(np.log(fitted.mix @ now.parts) + corrected) / WINDOW_DAYS)


def _fit(history: History, category: str, day: int, memo: Memo) -> Fit | None:
    """Return the trees fitted on a day, by what was known then."""
    if (category, day) not in memo.fits:
        memo.fits[category, day] = _fitted(history, category, day, memo)
        for older in [key for key in memo.tables if key[1] < day - WINDOW_DAYS * TRAINING_WINDOWS]:
            del memo.tables[older]
    return memo.fits[category, day]


def _fitted(history: History, category: str, day: int, memo: Memo) -> Fit | None:
    seen = history.seen(day)
    origins = list(_origins(seen, category, day))
    outcomes = [seen.events[category].counts(history.grid.size, origin, origin + WINDOW_DAYS) for origin in origins]
    if not any(outcome.any() for outcome in outcomes):
        return None
    tables = [_table(history, category, origin, memo) for origin in origins]
    mix = _mix(tables, outcomes)
    rows = [_rows(*trained, mix) for trained in zip(tables, outcomes, origins, strict=True)]
    trees = _trees(Rows(*(np.concatenate(column) for column in zip(*rows, strict=True))), tables[0].rising)
    return Fit(trees, mix) if trees.feature_importance("split").any() else None


def _trees(rows: Rows, rising: list[int]) -> "Booster":
    import lightgbm

    data = lightgbm.Dataset(rows.values, rows.outcome, weight=rows.weight, init_score=rows.start, params=ONE_THREAD)
    return lightgbm.train(PARAMETERS | {"monotone_constraints": rising}, data, TREES)


def _origins(history: History, category: str, until: int) -> Iterator[int]:
    """Yield the first days of the training windows, the last one first.

    Before its first incident a category has no history: what follows nothing teaches nothing that could be used later.
    """
    begun = int(history.events[category].day.min(initial=until))
    for window in range(1, TRAINING_WINDOWS + 1):
        origin = until - WINDOW_DAYS * window
        if history.days(category, begun, origin) < MIN_HISTORY_DAYS:
            return
        if history.is_known(category, origin, origin + WINDOW_DAYS):
            yield origin


def _mix(tables: Sequence[Table], outcomes: Sequence[Floats]) -> Floats:
    """Return weights of the pool's parts, from the incidents after the training origins."""
    hit = [np.flatnonzero(outcome) for outcome in outcomes]
    at = np.concatenate([table.parts[:, cells] for table, cells in zip(tables, hit, strict=True)], axis=1)
    return linear_pool.weights(
        at, np.concatenate([outcome[cells] for outcome, cells in zip(outcomes, hit, strict=True)])
    )


def _rows(table: Table, outcome: Floats, origin: int, mix: Floats) -> Rows:
    """Return training rows of one origin: every cell with an incident, and sampled others with inverse weights.

    Half of the draws are uniform, half go where the pool expects incidents: all of the likeliest cells are included.
    """
    expects = mix @ table.parts
    drawn = np.minimum(EMPTY_CELLS * (0.5 / outcome.size + 0.5 * expects / expects.sum()), 1.0)
    kept = (outcome > 0) | (np.random.default_rng(origin).random(outcome.size) < drawn)
    weight = np.where(outcome[kept] > 0, 1.0, 1 / drawn[kept])
    return Rows(table.values[kept], outcome[kept], weight, np.log(expects[kept]))


def _table(history: History, category: str, origin: int, memo: Memo) -> Table:
    if (category, origin) in memo.tables:
        return memo.tables[category, origin]
    is_kept = last_due(origin, WINDOW_DAYS) == origin
    table = features(history.seen(origin), category, origin, memo.around if is_kept else {})
    if is_kept:
        memo.tables[category, origin] = table
    return table


def features(history: History, category: str, until: int, around: Around) -> Table:
    """Return the features of every cell at an origin: ``history`` as seen there. Long counts are per year.

    ``around`` receives the means around the cells of each category, of which every other category's features have the
    same.
    """
    grid, years = history.grid, _years(history, category, until)
    columns: list[tuple[Floats | Features, int]] = []
    of_category = history.events[category]
    every = of_category.counts(grid.size, history.first_day, until)

    def last(days: int, name: str = category) -> Floats:
        return history.events[name].counts(grid.size, history.since(name, until, days), until)

    year = last(365)
    columns += [(last(days), 1) for days in _COUNTED]
    columns += [
        (every / years, 1),
        (_season(of_category, grid.size, until) / years, 0),
        (_since(of_category, grid.size, until), -1),
    ]
    columns += [
        (np.bincount(of_category.cell, np.exp2((of_category.day - until) / half), grid.size).astype(float), 1)
        for half in _HALF_LIVES
    ]
    means = _around(history, category, until, around)
    columns += [(mean, int(sigma == 1)) for sigma, mean in zip(_SIGMAS, means, strict=True)]
    columns += [(grid.smooth(year, sigma), 0) for sigma in _SIGMAS[1:]]
    columns += [(grid.smooth(last(56), sigma), 0) for sigma in (2, 8)]
    columns += [(grid.around(every, reach) / years, int(reach == 1)) for reach in (1, 2)]
    for name, other in history.events.items():
        if name != category:
            a_year = other.counts(grid.size, history.first_day, until) / _years(history, name, until)
            columns += [(a_year, 0), (last(365, name), 0)]
            columns += [(mean, 0) for mean in _around(history, name, until, around)]
    values = np.column_stack([column.astype(np.float32) for column, _ in columns])
    parts = (linear_pool.parts(history, category, until) * WINDOW_DAYS).astype(np.float32)
    return Table(values, [rising for _, rising in columns], parts)


def _around(history: History, name: str, until: int, known: Around) -> list[Features]:
    """Return incidents a year as means around each cell, over every distance of `_SIGMAS`."""
    if (name, until) not in known:
        every = history.events[name].counts(history.grid.size, history.first_day, until)
        a_year = every / _years(history, name, until)
        known[name, until] = [history.grid.smooth(a_year, sigma).astype(np.float32) for sigma in _SIGMAS]
    return known[name, until]


def _years(history: History, category: str, until: int) -> float:
    return max(history.known_days(category, until), 1) / _YEAR


def _season(events: Events, size: int, until: int) -> Floats:
    """Return incidents of any year within six weeks of the coming month's time of year."""
    middle = until + WINDOW_DAYS / 2
    distance = np.abs((events.day - middle + _YEAR / 2) % _YEAR - _YEAR / 2)
    return np.bincount(events.cell[distance <= _SEASON_DAYS], minlength=size).astype(float)


def _since(events: Events, size: int, until: int) -> Floats:
    """Return days since the cell's last incident, at most 3,000."""
    last = np.full(size, until - 3000.0)
    np.maximum.at(last, events.cell, events.day.astype(float))
    return until - last
