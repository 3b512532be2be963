"""Rolling origins of risk: the list of an origin, selected on trials of the months before it, and its scores.

A list depends on its origin, the history known there and the lead only. So the list that is scored at a past origin is
the one that was, or would have been, issued there.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.forecast.risk.evaluation import calibration, curves
from pipelines.forecast.risk.evaluation.scoring import log_likelihood
from pipelines.forecast.risk.history import ALWAYS, Floats, History, Ints, last_due
from pipelines.forecast.risk.models import registry, stack
from pipelines.forecast.risk.models.boosting import BOOSTING, MIN_HISTORY_DAYS, WINDOW_DAYS, Around, Memo, boosting
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.shrunk_count import level, shrunk_count
from pipelines.forecast.risk.models.stack import BEST_COUNT, COUNT, MIXTURE, STACK, Choice, Trial
from pipelines.forecast.risk.ranking import cells_of_share, ranks

WINDOWS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "origin_day": pl.Int64,
    "category": pl.String,
    "model": pl.String,
    "cells": pl.Int64,
    "days": pl.Int64,
    "incidents": pl.Int64,
    "hits": pl.Int64,
    "most_hits": pl.Int64,
    "hit_cells": pl.Int64,
    "prior_incidents": pl.Int64,
    "prior_hits": pl.Int64,
    "log_score": pl.Float64,
}
"""One row per origin, model and number of selected cells. ``most_hits``: the hits of the best cells in hindsight;
``hit_cells``: selected cells with an incident; ``prior_…``: the same number of days before the origin; ``log_score``:
Poisson, over all cells, null for models without an expectation.
"""

PROSPECTIVE: Final = "prospective"
"""The near-repeat kernel that is reported next to stack and best count."""

MONTHS: Final = 12
"""Trials before an origin on which the stack is selected: the windows of four weeks that end on fixed dates."""
LEAST_TRIAL_DAYS: Final = 28
"""Days of history before a trial."""


class Listed(NamedTuple):
    """A list as issued: all cells, best first, incidents a day by cell, and the selection that made it."""

    order: Ints
    expected: Floats
    choice: Choice


class Tried(NamedTuple):
    """Scores of one category: `WINDOWS`, `curves.STEPS` and `calibration.COUNTED`."""

    windows: pl.DataFrame
    curves: pl.DataFrame
    bands: pl.DataFrame


def months(history: History, until: int, lead: int = 0) -> list[int]:
    """Return the origins of the trials before a day: of every night until the next month is due, the same ones."""
    due = last_due(until - lead, WINDOW_DAYS)
    origins = range(due - WINDOW_DAYS * MONTHS, due, WINDOW_DAYS)
    return [origin for origin in origins if origin - history.seen(origin).first_day >= LEAST_TRIAL_DAYS]


def due_windows(history: History, until: int, lead: int = 0) -> list[tuple[int, int]]:
    """Return the windows (origin, days) of `months` before which there was a history to train on."""
    return [
        (origin, WINDOW_DAYS)
        for origin in months(history, until, lead)
        if origin - history.seen(origin).first_day >= MIN_HISTORY_DAYS + WINDOW_DAYS
    ]


class CategoryLists:
    """The lists of one category at any origin, ``lead`` days after which the forecast window begins.

    Origins are best visited in their order.
    """

    def __init__(
        self,
        history: History,
        category: str,
        lead: int = 0,
        around: Around | None = None,
    ) -> None:
        self.history, self.category, self.lead = history, category, lead
        self.boosted: dict[int, Floats | None] = {}
        """Boosting's rates by origin, for `cell_hours` to continue from; None if boosting was not trained."""
        self.expected: dict[int, Floats] = {}
        """Incidents a day per cell of the list at each scored origin, for `patrol` to continue from."""
        self.trials: dict[int, Trial | None] = {}
        self._memo = Memo(around={} if around is None else around)

    def boosting(self, origin: int) -> Floats | None:
        """Return boosting's incidents a day per cell, None under a year of history or if it was not trained."""
        if origin not in self.boosted:
            known_days = self.history.seen(origin).known_days(self.category, origin)
            is_short = known_days < stack.LEAST_HISTORY_DAYS
            rates = None if is_short else boosting(self.history, self.category, origin, self._memo)
            self.boosted[origin] = rates
        return self.boosted[origin]

    def drop_tables(self) -> None:
        """Drop the features of past origins, by far the largest part; only further fits would read them."""
        self._memo.tables.clear()

    def trial(self, origin: int) -> Trial | None:
        """Return the lists of an origin, None without a history before it or with an unknown day in its window."""
        if origin not in self.trials:
            self.trials[origin] = self._trial(origin)
        return self.trials[origin]

    def listed(self, origin: int, chosen: Choice) -> Listed:
        """Return the list as issued at an origin: the count if `stack.reason` gives a reason."""
        seen = self.history.seen(origin)
        orders, rate = self._orders(seen, origin)
        reason = stack.reason(seen.known_days(self.category, origin), MIXTURE in orders)
        choice = stack.allowed(chosen, reason)
        order = orders[choice.list_name]
        return Listed(order, stack.expected(order, rate, choice.factors, level(seen, self.category, origin)), choice)

    def score(self, origin: int, days: int, chosen: Choice, depths: Sequence[int], actual: History) -> Tried:
        """Compare the list of an origin, and every model, with the incidents of its window.

        Args:
            origin: The first unknown day.
            days: Length of the window.
            chosen: The selection at the origin.
            depths: Numbers of cells to select.
            actual: The incidents as known now.
        """
        known = actual.events[self.category].where(actual.events[self.category].known_until == ALWAYS)
        size, first = self.history.grid.size, origin + self.lead
        outcome, prior = known.counts(size, first, first + days), known.counts(size, origin - days, origin)
        issued = self.listed(origin, chosen)
        self.expected[origin] = issued.expected
        boosted = self.boosting(origin)
        rates = registry.rates(self.history.seen(origin), self.category, origin)
        rates |= {} if boosted is None else {BOOSTING: boosted}
        orders = {name: self._order(rate, origin) for name, rate in rates.items()}
        baseline = issued.choice.baseline
        orders |= {BEST_COUNT: orders[baseline], STACK: issued.order}
        rates |= {BEST_COUNT: rates[baseline], STACK: issued.expected}
        followed = {name: orders[name] for name in (STACK, BEST_COUNT, PROSPECTIVE)}
        hoped = {name: rates[name] * days for name in (STACK, BEST_COUNT)}
        rows = [
            (
                origin, self.category, name, cells, days, int(outcome.sum()), int(outcome[order[:cells]].sum()),
                int(np.sort(outcome)[::-1][:cells].sum()), int((outcome[order[:cells]] > 0).sum()), int(prior.sum()),
                int(prior[order[:cells]].sum()), float(log_likelihood(outcome, rates[name] * days).mean()),
            )
            for cells in depths
            for name, order in orders.items()
        ]  # fmt: skip
        return Tried(
            pl.DataFrame(rows, schema=WINDOWS, orient="row"),
            curves.steps(origin, self.category, followed, outcome),
            calibration.bands(origin, self.category, followed, hoped, outcome),
        )

    def _orders(self, seen: History, origin: int) -> tuple[dict[str, Ints], Floats]:
        """Return all cells, best first, by the count and, if boosting was trained, by the mixture; and a rate."""
        counted = shrunk_count(seen, self.category, origin)
        boosted = self.boosting(origin)
        if boosted is None:
            finer = ranks(counted.finer, self.category, origin)
            return {COUNT: stack.count_order(counted.incidents, finer)}, counted.rate
        placed = ranks(boosted, self.category, origin)
        by_count = stack.count_order(counted.incidents, placed)
        position = np.empty(by_count.size, np.int64)
        position[by_count] = np.arange(1, by_count.size + 1)
        return {COUNT: by_count, MIXTURE: stack.mixture(placed, position)}, boosted

    def _order(self, rate: Floats, origin: int) -> Ints:
        """Return all cells, best first, equal rates by a draw."""
        return np.argsort(ranks(rate, self.category, origin), kind="stable")

    def _trial(self, origin: int) -> Trial | None:
        # The next origin knows this window except its last days, as many as the lead.
        start, end = origin + self.lead, origin + WINDOW_DAYS
        seen = self.history.seen(origin)
        is_known = self.history.is_known(self.category, start, end + self.lead)
        if not is_known or seen.known_days(self.category, origin) < LEAST_TRIAL_DAYS:
            return None
        orders, rate = self._orders(seen, origin)
        counts = {name: self._order(count(seen, self.category, origin), origin) for name, count in COUNTS.items()}
        depth = cells_of_share(stack.SHARES[-1], self.history.grid.size)
        best = {name: order[:depth].copy() for name, order in (counts | orders).items()}
        return Trial(start, end, best, {name: stack.banded(order, rate) for name, order in orders.items()})


class Lists:
    """The lists of all categories of a history, selected together: sparse categories borrow from the others."""

    def __init__(
        self, history: History, selected: int, lead: int = 0, threads: int = 1, progress: Progress = silent
    ) -> None:
        self.history, self.selected, self.lead = history, selected, lead
        self.threads, self.progress = threads, progress
        self._around: Around = {}
        self.categories = {name: CategoryLists(history, name, lead, self._around) for name in history.events}

    def prepare(self, origins: Sequence[int]) -> None:
        """Fit boosting and make the trials for the lists of these origins, in order, and one category at a time.

        Not needed, but the features of two categories at once are what there is memory for.
        """
        needed = {origin: months(self.history, origin, self.lead) for origin in origins}
        tried = {month for before in needed.values() for month in before}

        def prepared(category: str) -> None:
            lists = self.categories[category]
            for done, origin in enumerate(sorted(tried.union(origins)), 1):
                if origin in tried:
                    lists.trial(origin)
                if origin in needed:
                    lists.boosting(origin)
                self.progress(f"{category}: {done} of {len(tried.union(origins))} origins")
            lists.drop_tables()

        with ThreadPoolExecutor(self.threads) as workers:
            list(workers.map(prepared, self.categories))
        self._around.clear()

    def choose(self, until: int) -> dict[str, Choice]:
        """Select the list of every category at an origin, from the trials of the months before it."""
        origins = months(self.history, until, self.lead)
        trials = {
            name: [trial for origin in origins if (trial := lists.trial(origin)) is not None]
            for name, lists in self.categories.items()
        }
        known = last_due(until - self.lead, WINDOW_DAYS) + self.lead
        return stack.choose(self.history, known, trials)

    def issue(self, until: int, chosen: Mapping[str, Choice]) -> dict[str, pl.DataFrame]:
        """Return all cells of every category as issued at an origin, best first.

        Returns:
            By category ``cell`` (position), ``category``, ``expected`` and ``baseline_expected`` (incidents a day),
            ``rank``, ``is_selected``, ``ranking_method``, and ``gain``, ``gain_low``, ``gain_high``: the mixture's
            relative gain in hits over the count in the trials, with its 95 % interval, null without a trial.
        """

        def issued(category: str) -> pl.DataFrame:
            order, expected, choice = self.categories[category].listed(until, chosen[category])
            baseline = COUNTS[choice.baseline](self.history.seen(until), category, until)
            rank = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("rank")
            gains = dict(zip(("gain", "gain_low", "gain_high"), (choice.gain, *choice.interval), strict=True))
            return pl.DataFrame(
                {"cell": order, "expected": expected[order], "baseline_expected": baseline[order]}
            ).with_columns(
                rank,
                (rank <= self.selected).alias("is_selected"),
                pl.lit(category).alias("category"),
                pl.lit(stack.method(choice)).alias("ranking_method"),
                **{name: pl.lit(value, pl.Float64).fill_nan(None) for name, value in gains.items()},
            )

        with ThreadPoolExecutor(self.threads) as workers:
            return dict(zip(self.categories, workers.map(issued, self.categories), strict=True))

    def score(self, windows: Sequence[tuple[int, int]], depths: Sequence[int], actual: History) -> dict[str, Tried]:
        """Score windows (origin, days), each with the list of its origin; arguments as of `CategoryLists.score`.

        A window with an unknown day has no outcome, and one before the category's first known day no history: they are
        not scored.
        """
        self.prepare([origin for origin, _ in windows])
        chosen = {origin: self.choose(origin) for origin, _ in windows}

        def scored(category: str) -> Tried:
            lists, tried = self.categories[category], [NOTHING]
            for done, (origin, days) in enumerate(sorted(windows), 1):
                first = origin + self.lead
                seen = self.history.seen(origin)
                if seen.known_days(category, origin) and actual.is_known(category, first, first + days):
                    tried.append(lists.score(origin, days, chosen[origin][category], depths, actual))
                self.progress(f"{category}: {done} of {len(windows)} windows")
            return Tried(*(pl.concat(frames) for frames in zip(*tried, strict=True)))

        with ThreadPoolExecutor(self.threads) as workers:
            return dict(zip(self.categories, workers.map(scored, self.categories), strict=True))


NOTHING: Final = Tried(
    pl.DataFrame(schema=WINDOWS), pl.DataFrame(schema=curves.STEPS), pl.DataFrame(schema=calibration.COUNTED)
)
