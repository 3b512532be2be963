"""The stack: a mean of the models' log ranks, whose members and weights are chosen on earlier origins only.

Boosting ranks well over the whole list, a plain count often better among the very first cells; which mixture of both
catches most depends on the kind of crime and on the area that can be covered. The choice is made by rolling origin, per
category and area, and leans to the simple: a mixture must beat the best count by more than half a standard error of its
gains, else the count stands (Breiman et al. 1984 choose so among trees, by a whole one; gains here are paired).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.forecast.risk.counts import COUNTS
from pipelines.forecast.risk.history import Floats, History, Ints
from pipelines.forecast.risk.selection import ranks

STACK: Final = "stack"
BEST_COUNT: Final = "best_count"
"""The count of `COUNTS` that caught most at earlier origins: what the stack is held against."""
FIRST_COUNT: Final = "count_decayed"
"""What is used before there is any origin to choose on."""

LEAN: Final = 0.5
"""Standard errors by which a gain must exceed nothing."""

MIXTURES: Final[Mapping[str, Mapping[str, float]]] = {
    "boosting 1/4": {"boosting": 0.25, BEST_COUNT: 0.75},
    "boosting 1/2": {"boosting": 0.5, BEST_COUNT: 0.5},
    "boosting 3/4": {"boosting": 0.75, BEST_COUNT: 0.25},
    "boosting": {"boosting": 1.0},
    "boosting 1/2, density 1/4": {"boosting": 0.5, "density": 0.25, BEST_COUNT: 0.25},
}


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One origin: its window [start, end) of days, and each model's and mixture's cells, best first, deep enough."""

    start: int
    end: int
    best: Mapping[str, Ints]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen on earlier origins, how many there were, and how the mixture did against the count there.

    ``gain`` is the mean of its hits less the count's per window, ``gain_error`` the standard error of that mean.
    """

    count: str
    mixture: str
    origins: int
    gain: float
    gain_error: float


def choose(history: History, category: str, origin: int, trials: Sequence[Trial], cells: int) -> Choice:
    """Choose count and mixture for the first ``cells`` of the list, on trials whose windows have ended by ``origin``.

    Args:
        history: All of it; outcomes are read as known at the origin.
        category: What is forecast.
        origin: The day of the choice.
        trials: Any; those that end after the origin are not looked at.
        cells: How many cells can be covered.
    """
    past = [trial for trial in trials if trial.end <= origin]
    if not past:
        return Choice(FIRST_COUNT, BEST_COUNT, 0, float("nan"), float("nan"))
    events = history.seen(origin).events[category]
    fell = [events.counts(history.grid.size, trial.start, trial.end) for trial in past]
    hits = {
        name: np.array([outcome[trial.best[name][:cells]].sum() for trial, outcome in zip(past, fell, strict=True)])
        for name in past[0].best
    }
    count = max(COUNTS, key=lambda name: hits[name].sum())
    gains = {name: hits[_named(name, count)] - hits[count] for name in MIXTURES}
    errors = {name: _error(gain) for name, gain in gains.items()}
    mixture = max(MIXTURES, key=lambda name: gains[name].mean() - LEAN * errors[name])
    is_better = gains[mixture].mean() > LEAN * errors[mixture]
    return Choice(count, mixture if is_better else BEST_COUNT, len(past), float(gains[mixture].mean()), errors[mixture])


def placed(rates: Mapping[str, Floats], *seed: object) -> dict[str, Ints]:
    """Every model's rank of every cell; the seed words alone decide how ties fall."""
    return {name: ranks(rate, *seed) for name, rate in rates.items()}


def leading(placed: Mapping[str, Ints], cells: int) -> dict[str, Ints]:
    """The first ``cells`` cells of every model and of every mixture, made with each count in turn."""
    lists = {name: np.argsort(rank, kind="stable")[:cells] for name, rank in placed.items()}
    for name, weights in MIXTURES.items():
        for count in COUNTS if BEST_COUNT in weights else (FIRST_COUNT,):
            mixed = _mixed(placed, weights, count)
            first = np.sort(np.argpartition(mixed, min(cells, mixed.size) - 1)[:cells])
            lists[_named(name, count)] = first[np.argsort(mixed[first], kind="stable")]
    return lists


def order(placed: Mapping[str, Ints], choice: Choice) -> Ints:
    """All cells, best first, as chosen."""
    if choice.mixture == BEST_COUNT:
        return np.argsort(placed[choice.count], kind="stable")
    return np.argsort(_mixed(placed, MIXTURES[choice.mixture], choice.count), kind="stable")


def expected(order: Ints, rate: Floats, level: float) -> Floats:
    """Incidents a day per cell: a model's rates laid along the stack's order, adding up to ``level``.

    A mean of ranks is no expectation; the best cell is given the highest rate, the second the next, and so on.
    """
    laid = np.empty(rate.size)
    laid[order] = np.sort(rate)[::-1]
    total = laid.sum()
    return laid * (level / total) if total else laid


def _named(mixture: str, count: str) -> str:
    return f"{mixture}, {count}" if BEST_COUNT in MIXTURES[mixture] else mixture


def _mixed(placed: Mapping[str, Ints], weights: Mapping[str, float], count: str) -> Floats:
    parts = [weight * np.log(placed[count if name == BEST_COUNT else name]) for name, weight in weights.items()]
    return np.asarray(sum(parts))


def _error(gain: Floats) -> float:
    return float(gain.std(ddof=1) / np.sqrt(gain.size)) if gain.size > 1 else float(np.abs(gain).sum())
