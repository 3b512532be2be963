"""The stack: a weighted mean of the log ranks of boosting and of the best simple count.

Boosting ranks the whole list well; a plain count is sometimes better among the very first cells. Their weights are
fixed: selecting among several mixtures on a dozen months picks noise. Earlier origins select, per category and area,
the count, and whether to use the mixture: if it lost to the count by more than a standard error of its (paired) losses,
the count is used alone.

The count's order is also used with less than `LEAST_HISTORY_DAYS` of history, where too few earlier origins exist to
reject the mixture, and if boosting was not trained. On short history most cells have the same count, zero; a finer rate
orders them: that of boosting, otherwise a kernel density.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from pipelines.forecast.risk.history import Floats, History, Ints
from pipelines.forecast.risk.models.boosting import BOOSTING
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.ranking import ranks

STACK: Final = "stack"
BEST_COUNT: Final = "best_count"
"""The count of `COUNTS` with the most hits at earlier origins: the baseline of the stack."""
FIRST_COUNT: Final = "count_decayed"
"""Used before there is any origin to select on."""

LEAN: Final = 1.0
"""Standard errors by which a loss on earlier origins must exceed zero for the count to be used alone."""

LEAST_HISTORY_DAYS: Final = 364
"""Known days of a category below which the count's order is used: a year of whole weeks."""
SHORT_HISTORY: Final = "under a year of history"
UNTRAINED: Final = "boosting did not train"

MIXTURE: Final = "boosting 3/4"
WEIGHTS: Final[Mapping[str, float]] = {BOOSTING: 0.75, BEST_COUNT: 0.25}


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One origin: its window [start, end) of days, and each count's and mixture's cells, best first, deep enough.

    ``best`` has no mixture if boosting was not trained.
    """

    start: int
    end: int
    best: Mapping[str, Ints]


@dataclass(frozen=True, slots=True)
class Choice:
    """The selection from earlier origins, the number of origins, and the mixture's result against the count there.

    ``mixture`` is `MIXTURE` or `BEST_COUNT`. ``gain`` is the mean of the mixture's hits minus the count's per window,
    whichever was selected, ``gain_error`` the standard error of that mean. The mixture is fixed and the count the best
    of several on the same windows, so the gain is not overstated. ``untrained`` origins are those without trained
    boosting: they are used to select the count, not the mixture. ``reason`` states why the count is used regardless of
    the mixture's gain; it is empty if the mixture is allowed.
    """

    count: str
    mixture: str
    origins: int
    gain: float
    gain_error: float
    untrained: int = 0
    reason: str = ""


def choose(history: History, category: str, origin: int, trials: Sequence[Trial], cells: int) -> Choice:
    """Select count and mixture for the first ``cells`` of the list, on trials whose windows have ended by ``origin``.

    Args:
        history: The whole history; outcomes are read as known at the origin.
        category: What is forecast.
        origin: The day of the selection.
        trials: Any; those that end after the origin are ignored.
        cells: Number of cells that can be covered.
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
    # A single bad month is a loss of exactly one standard error, which is not evidence against the mixture.
    is_worse = gain < -LEAN * error - 1e-9
    return Choice(count, BEST_COUNT if is_worse else MIXTURE, len(past), gain, error, untrained)


def allowed(chosen: Choice, reason: str) -> Choice:
    """Return the selection, or its count alone if there is a `reason`."""
    return replace(chosen, mixture=BEST_COUNT, reason=reason) if reason else chosen


def reason(known_days: int, is_trained: bool) -> str:
    """Return why the count's order is used regardless of earlier origins; empty if the mixture is allowed.

    Args:
        known_days: Days of history known at the origin.
        is_trained: Whether boosting trained at the origin.
    """
    reasons = {SHORT_HISTORY: known_days < LEAST_HISTORY_DAYS, UNTRAINED: not is_trained}
    return " and ".join(text for text, applies in reasons.items() if applies)


def method(choice: Choice) -> str:
    """Describe how the list was made, and the mixture's result on the months used."""
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
    """Return every model's rank of every cell; the seed words determine how ties are broken."""
    return {name: ranks(rate, *seed) for name, rate in rates.items()}


def leading(placed: Mapping[str, Ints], cells: int) -> dict[str, Ints]:
    """Return the first ``cells`` cells of every model and, if boosting was trained, of the mixture with each count."""
    lists = {name: np.argsort(rank, kind="stable")[:cells] for name, rank in placed.items()}
    mixtures = {_named(count): _mixed(placed, count, cells) for count in COUNTS} if BOOSTING in placed else {}
    return lists | mixtures


def order(placed: Mapping[str, Ints], choice: Choice) -> Ints:
    """Return all cells, best first, as selected."""
    if choice.mixture == BEST_COUNT:
        return np.argsort(placed[choice.count], kind="stable")
    return _mixed(placed, choice.count, placed[choice.count].size)


def count_order(count: Floats, finer: Ints) -> Ints:
    """Return all cells, best first, by a count.

    Cells with equal counts are ordered by their rank in a finer rate, which is unique.
    """
    return np.lexsort((finer, -count))


def expected(order: Ints, rate: Floats, level: float) -> Floats:
    """Return incidents a day per cell that never rise along the stack's order: a model's rates, summing to ``level``.

    A mean of ranks is not an expectation. Where the model's rates rise along the order, neighbours in it share their
    mean (isotonic regression by pooling adjacent violators, Ayer et al. 1955), so that every part of the list keeps the
    incidents that the model expects there.
    """
    fitted = np.empty(rate.size)
    fitted[order] = isotonic_regression(rate[order], increasing=False).x
    total = fitted.sum()
    return fitted * (level / total) if total else fitted


def _named(count: str) -> str:
    return f"{MIXTURE}, {count}"


def _mixed(placed: Mapping[str, Ints], count: str, cells: int) -> Ints:
    """Return the first ``cells`` cells of the mixture.

    Ties in the mean log rank are broken by boosting's unique ranks.
    """
    parts = [weight * np.log(placed[count if name == BEST_COUNT else name]) for name, weight in WEIGHTS.items()]
    mean = np.asarray(sum(parts))
    cells = min(cells, mean.size)
    first = np.flatnonzero(mean <= np.partition(mean, cells - 1)[cells - 1])
    return first[np.lexsort((placed[BOOSTING][first], mean[first]))][:cells]


def _error(gain: Floats) -> float:
    return float(gain.std(ddof=1) / np.sqrt(gain.size)) if gain.size > 1 else float(np.abs(gain).sum())
