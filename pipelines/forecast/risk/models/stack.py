"""The stack: the plain count, and a mixture of it with boosting where earlier months show that to be better.

It starts at the count (`shrunk_count`). The mixture is the mean of the log ranks of boosting (three quarters) and of
the count. Trials at earlier origins decide by category, for every area alike, whether the list moves to it: at each,
its gain is the hits it had more than the count, relative to the count's, as a mean over several areas, because hits of
one small area are mostly chance. The mean gain of a category's trials is shrunk to that of all categories (random
effects: DerSimonian and Laird 1986), so that sparse categories borrow. The mixture is used if the shrunk gain exceeds
zero by `LEAN` standard errors on at least `LEAST_TRIALS` origins at which boosting was trained.

With less than `LEAST_HISTORY_DAYS` of history boosting is not used at all, not even to order cells with equal counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from pipelines.forecast.risk.history import Floats, History, Ints
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.ranking import cells_of_share

STACK: Final = "stack"
BEST_COUNT: Final = "best_count"
"""The count of `COUNTS` with the most hits at earlier origins: the baseline of the stack."""
FIRST_COUNT: Final = "count_decayed"
"""The baseline before there is any origin to select on."""

COUNT: Final = "count"
MIXTURE: Final = "boosting 3/4"
WEIGHT: Final = 0.75
"""Weight of boosting's log rank in the mixture."""
SHARES: Final = (0.0025, 0.005, 0.01, 0.02, 0.05)
"""Shares of the cells over which the gain of a trial is averaged."""
LEAN: Final = 0.5
LEAST_TRIALS: Final = 6
FEWEST_HITS: Final = 0.5
"""Mean hits of the count, at least, that gains are relative to."""
SMALLEST_VARIANCE: Final = 1e-6
"""Of a mean gain: equal gains of a few trials do not make a certainty."""

LEAST_HISTORY_DAYS: Final = 364
"""Known days of a category from which boosting is used: a year of whole weeks."""
SHORT_HISTORY: Final = "under a year of history"
UNTRAINED: Final = "boosting did not train"

BANDS: Final = 10
FACTOR_WEIGHT: Final = 30.0
"""Weight, as a number of incidents, of a band's expectation against what was observed at earlier origins."""


class Banded(NamedTuple):
    """A list's bands of equal expectation: that of each cell, and the expected incidents of each band in the window."""

    band: NDArray[np.int8]
    expected: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One origin: its window [start, end) of days, and each list's cells, best first, deep enough for every area.

    ``best`` has the lists of `COUNTS`, `COUNT` and, if boosting was trained, `MIXTURE`; ``bands`` the last two.
    """

    start: int
    end: int
    best: Mapping[str, Ints]
    bands: Mapping[str, Banded] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """The selection from earlier origins, their number, and the mixture's gain over the count there.

    ``list_name`` is `MIXTURE` or `COUNT`, ``baseline`` one of `COUNTS`. ``gain`` is the shrunk mean of the mixture's
    relative gain in hits, ``gain_error`` its standard error, both NaN without any trained trial. ``untrained`` origins
    are those without trained boosting. ``reason`` states why the count is used regardless of the gain; it is empty if
    the mixture is allowed. ``factors`` correct the expectation of each band, by list.
    """

    baseline: str
    list_name: str
    origins: int
    gain: float = float("nan")
    gain_error: float = float("nan")
    untrained: int = 0
    reason: str = ""
    count_factors: list[float] = field(default_factory=lambda: [1.0] * BANDS)
    mixture_factors: list[float] = field(default_factory=lambda: [1.0] * BANDS)

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the gain."""
        return self.gain - 1.96 * self.gain_error, self.gain + 1.96 * self.gain_error

    @property
    def factors(self) -> Floats:
        """Return the factors of the list that is used."""
        return np.array(self.mixture_factors if self.list_name == MIXTURE else self.count_factors)


_Pair = tuple[Trial, Floats]
"""A trial and the incidents of its window by cell."""


def choose(history: History, origin: int, trials: Mapping[str, Sequence[Trial]]) -> dict[str, Choice]:
    """Select the list of every category on trials whose windows have ended by ``origin``.

    Args:
        history: The whole history; outcomes are read as known at the origin.
        origin: The day of the selection.
        trials: Any, by category; those that end after the origin are ignored.
    """
    seen = history.seen(origin)
    past = {name: [trial for trial in several if trial.end <= origin] for name, several in trials.items()}
    outcomes = {
        name: [seen.events[name].counts(history.grid.size, trial.start, trial.end) for trial in several]
        for name, several in past.items()
    }
    pairs = {name: list(zip(past[name], outcomes[name], strict=True)) for name in past}
    gains = {name: _gains(tried) for name, tried in pairs.items()}
    pooled = shrunk({name: gain for name, gain in gains.items() if gain.size})
    return {name: _choice(tried, gains[name].size, pooled.get(name)) for name, tried in pairs.items()}


def allowed(chosen: Choice, reason: str) -> Choice:
    """Return the selection, or the count if there is a `reason`."""
    return replace(chosen, list_name=COUNT, reason=reason) if reason else chosen


def reason(known_days: int, is_trained: bool) -> str:
    """Return why the count is used regardless of earlier origins; empty if the mixture is allowed.

    Args:
        known_days: Days of history known at the origin.
        is_trained: Whether boosting trained at the origin.
    """
    if known_days < LEAST_HISTORY_DAYS:
        return SHORT_HISTORY
    return "" if is_trained else UNTRAINED


def method(choice: Choice) -> str:
    """Describe how the list was made, and the mixture's result in the months used."""
    tried = choice.origins - choice.untrained
    months = f"{tried} earlier month{'s' * (tried != 1)}"
    if choice.reason:
        return f"{COUNT}; {choice.reason}"
    if tried < LEAST_TRIALS:
        return f"{COUNT}; boosting was tried in {months}, fewer than {LEAST_TRIALS}"
    low, high = choice.interval
    result = f"{choice.gain:+.1%} hits (95 % {low:+.1%} to {high:+.1%})"
    if choice.list_name == COUNT:
        return f"{COUNT}; in {months} {MIXTURE}, rest {COUNT}, had {result} against it"
    return f"{MIXTURE}, rest {COUNT}; in {months} {result} against the {COUNT}"


def mixture(boosting: Ints, count: Ints) -> Ints:
    """Return all cells, best first, by the mean of log ranks; equal means are ordered by boosting's unique ranks."""
    return np.lexsort((boosting, WEIGHT * np.log(boosting) + (1 - WEIGHT) * np.log(count)))


def count_order(incidents: Floats, finer: Ints) -> Ints:
    """Return all cells, best first, by a count.

    Cells with equal counts are ordered by their rank in a finer rate, which is unique.
    """
    return np.lexsort((finer, -incidents))


def expected(order: Ints, rate: Floats, factors: Floats, level: float) -> Floats:
    """Return incidents a day per cell that never rise along a list and sum to ``level``.

    A mean of ranks is not an expectation. Where a model's rates rise along the list, neighbours in it share their mean
    (isotonic regression by pooling adjacent violators, Ayer et al. 1955). Each band of the result is then multiplied by
    the ratio of observed to expected incidents that its band had at earlier origins, shrunk to 1 (`factors`).
    """
    falling = isotonic_regression(rate[order], increasing=False).x
    corrected = isotonic_regression(falling * factors[bands(falling)], increasing=False).x
    fitted = np.empty(rate.size)
    fitted[order] = corrected * (level / corrected.sum())
    return fitted


def banded(order: Ints, rate: Floats) -> Banded:
    """Return the bands of a list before any correction."""
    falling = isotonic_regression(rate[order], increasing=False).x
    band = np.empty(rate.size, np.int8)
    band[order] = bands(falling)
    return Banded(band, np.bincount(bands(falling), falling, BANDS).astype(float))


def bands(expected: Floats) -> NDArray[np.int8]:
    """Return the band, from 0, of cells in falling order of expectation: each has a tenth of the whole.

    A cell is in the band of its middle: one with a fifth of the total expectation is not split.
    """
    middle = expected.cumsum() - expected / 2
    return np.asarray(np.minimum(BANDS * middle / expected.sum(), BANDS - 1), np.int8)


def shrunk(gains: Mapping[str, Floats]) -> dict[str, tuple[float, float]]:
    """Return the mean gain of each category and its standard error, both shrunk to the mean of all categories.

    Categories differ by the variance that their means have beyond chance (DerSimonian and Laird 1986).
    """
    if not gains:
        return {}
    mean = np.array([gain.mean() for gain in gains.values()])
    variance = np.array([_variance(gain) for gain in gains.values()])
    weight = 1 / variance
    excess = (weight * (mean - (weight * mean).sum() / weight.sum()) ** 2).sum() - (mean.size - 1)
    spread = weight.sum() - (weight**2).sum() / weight.sum()
    between = max(excess / spread, 0.0) if mean.size > 1 else np.inf
    weight = 1 / (variance + between) if mean.size > 1 else weight
    whole, kept = (weight * mean).sum() / weight.sum(), 1 - variance / (variance + between)
    error = np.sqrt(kept * variance + (1 - kept) ** 2 / weight.sum())
    return dict(zip(gains, zip((kept * mean + (1 - kept) * whole).tolist(), error.tolist(), strict=True), strict=True))


def _choice(pairs: Sequence[_Pair], trained: int, pooled: tuple[float, float] | None) -> Choice:
    gain, error = pooled or (float("nan"), float("nan"))
    is_better = trained >= LEAST_TRIALS and gain > LEAN * error
    return Choice(
        _baseline(pairs),
        MIXTURE if is_better else COUNT,
        len(pairs),
        gain,
        error,
        len(pairs) - trained,
        "",
        _factors(pairs, COUNT),
        _factors(pairs, MIXTURE),
    )


def _baseline(pairs: Sequence[_Pair]) -> str:
    """Return the count with the most hits, in relation to those of `FIRST_COUNT`, as a mean over `SHARES`."""
    if not pairs:
        return FIRST_COUNT
    hits = {name: _hits(pairs, name).sum(axis=0) for name in COUNTS}
    usual = np.maximum(hits[FIRST_COUNT], FEWEST_HITS)
    return max(COUNTS, key=lambda name: float((hits[name] / usual).sum()))


def _gains(pairs: Sequence[_Pair]) -> Floats:
    """Return the relative gain of the mixture at every trained trial, as a mean over `SHARES`."""
    trained = [(trial, outcome) for trial, outcome in pairs if MIXTURE in trial.best]
    if not trained:
        return np.empty(0)
    count, mixed = (_hits(trained, name) for name in (COUNT, MIXTURE))
    return np.asarray(((mixed - count) / np.maximum(count.mean(axis=0), FEWEST_HITS)).mean(axis=1))


def _hits(pairs: Sequence[_Pair], name: str) -> Floats:
    """Return the incidents in the first cells of a list, by trial (row) and share of the cells (column)."""
    ends = np.array([cells_of_share(share, pairs[0][1].size) for share in SHARES]) - 1
    return np.array([outcome[trial.best[name]].cumsum()[ends] for trial, outcome in pairs])


def _variance(gain: Floats) -> float:
    return float(gain.var(ddof=1) / gain.size + SMALLEST_VARIANCE) if gain.size > 1 else 1.0


def _factors(pairs: Sequence[_Pair], name: str) -> list[float]:
    """Return observed over expected of each band, as if the level had been right, shrunk to 1."""
    tried = [(trial.bands[name], outcome) for trial, outcome in pairs if name in trial.bands]
    observed, hoped = np.zeros(BANDS), np.zeros(BANDS)
    for (band, expectation), outcome in tried:
        observed += np.bincount(band, outcome, BANDS)
        hoped += expectation * (outcome.sum() / expectation.sum())
    # Gamma-Poisson: the prior has mean 1 and the shape `FACTOR_WEIGHT`.
    return [float(factor) for factor in (observed + FACTOR_WEIGHT) / (hoped + FACTOR_WEIGHT)]
