"""The stack: a weighted mean of the log ranks of boosting and of the best simple count.

Boosting ranks well over the whole list, a plain count sometimes better among the very first cells. Their weights are
fixed: a choice among several mixtures on a dozen months picks noise. What earlier origins choose, per category and
area, is the count, and whether they speak against the mixture: where it lost to the count by more than a standard
error of its (paired) losses, the count stands alone.

The count's order is also used on less than `LEAST_HISTORY_DAYS` of history, where too few earlier origins exist to
reject the mixture, and where boosting did not train. On short history most cells have the same count, none; a finer
rate orders them: that of boosting, else a kernel density.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from pipelines.forecast.risk.history import Floats, History, Ints
from pipelines.forecast.risk.models.boosting import BOOSTING
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.ranking import ranks

STACK: Final = "stack"
BEST_COUNT: Final = "best_count"
"""The count of `COUNTS` that caught most at earlier origins: what the stack is held against."""
FIRST_COUNT: Final = "count_decayed"
"""What is used before there is any origin to choose on."""

LEAN: Final = 1.0
"""Standard errors by which a loss on earlier origins must exceed nothing for the count to stand alone."""

LEAST_HISTORY_DAYS: Final = 364
"""Days of history, over all categories, below which the count's order is used: a year, in the spans of four weeks by
which `reach` finds where records begin. Of exactly 365 or 366 days it leaves out the first one or two."""
SHORT_HISTORY: Final = "under a year of history"
UNTRAINED: Final = "boosting did not train"

MIXTURE: Final = "boosting 3/4"
WEIGHTS: Final[Mapping[str, float]] = {BOOSTING: 0.75, BEST_COUNT: 0.25}


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One origin: its window [start, end) of days, and each count's and mixture's cells, best first, deep enough.

    ``best`` has no mixture where boosting did not train.
    """

    start: int
    end: int
    best: Mapping[str, Ints]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen on earlier origins, how many there were, and how the mixture did against the count there.

    ``mixture`` is `MIXTURE` or `BEST_COUNT`. ``gain`` is the mean of the mixture's hits less the count's per window,
    whichever was chosen, ``gain_error`` the standard error of that mean. The mixture is fixed and the count the best of
    several on the same windows, so the gain is not told too high. ``untrained`` origins are those on which boosting did
    not train: they count for the choice of the count, not for the mixture. ``reason`` says why the count is used
    whatever the mixture gained; it is empty where nothing forbids the mixture.
    """

    count: str
    mixture: str
    origins: int
    gain: float
    gain_error: float
    untrained: int = 0
    reason: str = ""


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
    outcomes = [events.counts(history.grid.size, trial.start, trial.end) for trial in past]
    pairs = list(zip(past, outcomes, strict=True))

    def hits(name: str) -> Floats:
        return np.array([outcome[trial.best[name][:cells]].sum() for trial, outcome in pairs if name in trial.best])

    count = max(COUNTS, key=lambda name: hits(name).sum())
    is_trained = np.array([_named(count) in trial.best for trial in past])
    untrained = int((~is_trained).sum())
    if untrained == len(past):
        reason = f"{UNTRAINED} in any earlier month"
        return Choice(count, BEST_COUNT, len(past), float("nan"), float("nan"), untrained, reason)
    gains = hits(_named(count)) - hits(count)[is_trained]
    gain, error = float(gains.mean()), _error(gains)
    # A single bad month is a loss of one standard error exactly, and speaks against nothing.
    is_worse = gain < -LEAN * error - 1e-9
    return Choice(count, BEST_COUNT if is_worse else MIXTURE, len(past), gain, error, untrained)


def reason(known_days: int, is_trained: bool) -> str:
    """Why the count's order is used whatever earlier origins say; empty where nothing forbids the mixture.

    Args:
        known_days: Days of history known at the origin.
        is_trained: Whether boosting trained at the origin.
    """
    reasons = {SHORT_HISTORY: known_days < LEAST_HISTORY_DAYS, UNTRAINED: not is_trained}
    return " and ".join(text for text, applies in reasons.items() if applies)


def method(choice: Choice) -> str:
    """How the list was made, in words, and how the mixture did on the months that had a say."""
    if choice.reason:
        months = "month" if choice.origins == 1 else "months"
        basis = f"chosen on {choice.origins} earlier {months}" if choice.origins else "no earlier month to choose on"
        return f"{choice.count}; {choice.reason}; {basis}"
    if not choice.origins:
        return f"{choice.count}; no earlier month to choose on"
    mixed, tried = f"{MIXTURE}, rest {choice.count}", f"on {choice.origins - choice.untrained} earlier months"
    if choice.mixture == BEST_COUNT:
        return f"{choice.count}; {tried} {mixed}, had {choice.gain:+.1f} hits each against it"
    return f"{mixed}; {tried} {choice.gain:+.1f} hits each against {choice.count}"


def placed(rates: Mapping[str, Floats], *seed: object) -> dict[str, Ints]:
    """Every model's rank of every cell; the seed words alone decide how ties fall."""
    return {name: ranks(rate, *seed) for name, rate in rates.items()}


def leading(placed: Mapping[str, Ints], cells: int) -> dict[str, Ints]:
    """The first ``cells`` cells of every model and, where boosting trained, of the mixture with each count in turn."""
    lists = {name: np.argsort(rank, kind="stable")[:cells] for name, rank in placed.items()}
    mixtures = {_named(count): _mixed(placed, count, cells) for count in COUNTS} if BOOSTING in placed else {}
    return lists | mixtures


def order(placed: Mapping[str, Ints], choice: Choice) -> Ints:
    """All cells, best first, as chosen."""
    if choice.mixture == BEST_COUNT:
        return np.argsort(placed[choice.count], kind="stable")
    return _mixed(placed, choice.count, placed[choice.count].size)


def count_order(count: Floats, finer: Ints) -> Ints:
    """All cells, best first, by a count; cells with equal counts by their rank in a finer rate, which is unique."""
    return np.lexsort((finer, -count))


def expected(order: Ints, rate: Floats, level: float) -> Floats:
    """Incidents a day per cell that never rise along the stack's order: a model's rates, adding up to ``level``.

    A mean of ranks is no expectation. Where the model's rates rise along the order, neighbours in it share their mean
    (isotonic regression by pooling adjacent violators, Ayer et al. 1955), so that every stretch of the list keeps the
    incidents that the model expects there.
    """
    fitted = np.empty(rate.size)
    fitted[order] = isotonic_regression(rate[order], increasing=False).x
    total = fitted.sum()
    return fitted * (level / total) if total else fitted


def _named(count: str) -> str:
    return f"{MIXTURE}, {count}"


def _mixed(placed: Mapping[str, Ints], count: str, cells: int) -> Ints:
    """The first ``cells`` cells of the mixture; among equal mean log ranks boosting's, which are unique, decide."""
    parts = [weight * np.log(placed[count if name == BEST_COUNT else name]) for name, weight in WEIGHTS.items()]
    mean = np.asarray(sum(parts))
    cells = min(cells, mean.size)
    first = np.flatnonzero(mean <= np.partition(mean, cells - 1)[cells - 1])
    return first[np.lexsort((placed[BOOSTING][first], mean[first]))][:cells]


def _error(gain: Floats) -> float:
    return float(gain.std(ddof=1) / np.sqrt(gain.size)) if gain.size > 1 else float(np.abs(gain).sum())
