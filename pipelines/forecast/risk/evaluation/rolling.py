"""Rolling origins of risk models: each model's forecast at an origin, its selected cells, and the observed
incidents.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.forecast.risk.evaluation import calibration, curves
from pipelines.forecast.risk.evaluation.scoring import log_likelihood
from pipelines.forecast.risk.history import ALWAYS, Floats, History, Ints
from pipelines.forecast.risk.models import registry, stack
from pipelines.forecast.risk.models.boosting import BOOSTING, MIN_HISTORY_DAYS, PLAIN, WINDOW_DAYS, Table
from pipelines.forecast.risk.models.registry import DENSITY
from pipelines.forecast.risk.models.stack import Choice, Trial

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

CHOICES: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "origin_day": pl.Int64,
    "category": pl.String,
    "cells": pl.Int64,
    "count": pl.String,
    "mixture": pl.String,
    "origins": pl.Int64,
    "gain": pl.Float64,
    "gain_error": pl.Float64,
}


PROSPECTIVE: Final = "prospective"
"""The near-repeat kernel that is reported next to stack and best count."""


class Backtest:
    """The trials of one category, in the order of their origins; each selects from the earlier ones.

    ``depths`` are numbers of cells to select; the first is that of the issued list, which ``curves`` (`curves.STEPS`)
    and ``bands`` (`calibration.COUNTED`) follow over all cells, one frame per window.

    ``lead`` days are between an origin, the first unknown day, and the forecast window.
    """

    def __init__(self, history: History, category: str, depths: Sequence[int], lead: int = 0) -> None:
        self.history, self.category, self.depths, self.lead = history, category, tuple(depths), lead
        self.trials: list[Trial] = []
        self.curves: list[pl.DataFrame] = []
        self.bands: list[pl.DataFrame] = []
        self.boosted: dict[int, Floats | None] = {}
        """Boosting's rates at each origin, for `cell_hours` to continue from; None if boosting was not trained."""
        self.expected: dict[int, Floats] = {}
        """The stack's incidents a day per cell at each past origin, for `patrol` to continue from."""
        self._memo: dict[tuple[str, int], Table] = {}

    def rates(self, origin: int) -> dict[str, Floats]:
        """Return incidents a day per cell after an origin, by every model; without boosting if it was not trained."""
        rates = registry.rates(self.history, self.category, origin, self._memo)
        self.boosted[origin] = rates.get(BOOSTING)
        return rates

    def drop_tables(self) -> None:
        """Drop the features of past origins, by far the largest part; only further origins would read them."""
        self._memo.clear()

    def placed(self, origin: int, rates: Mapping[str, Floats]) -> dict[str, Ints]:
        """Return every model's rank of every cell."""
        return stack.placed(rates, self.category, origin)

    def chosen(self, origin: int, cells: int) -> Choice:
        """Select for this many cells from the trials before an origin."""
        return stack.choose(self.history, self.category, origin, self.trials, cells)

    def allowed(self, chosen: Choice, origin: int, is_trained: bool) -> Choice:
        """Return a selection as issued at an origin: with the count alone if `stack.reason` gives a reason."""
        return stack.allowed(
            chosen, stack.reason(self.history.seen(origin).known_days(self.category, origin), is_trained)
        )

    def listed(
        self, origin: int, rates: Mapping[str, Floats], placed: Mapping[str, Ints], choice: Choice
    ) -> tuple[Ints, Floats]:
        """Return all cells, best first, as issued at an origin and as scored, and every cell's expected incidents a
        day.
        """
        finer = PLAIN if PLAIN in rates else DENSITY
        best = stack.count_order(rates[choice.count], placed[finer]) if choice.reason else stack.order(placed, choice)
        level = self.history.seen(origin).rate(self.category, origin, LEVEL_HALF_LIFE_DAYS)
        return best, stack.expected(best, rates[finer], level)

    def ranked(self, origin: int, selected: int, chosen: Choice | None = None) -> pl.DataFrame:
        """Return all cells as issued at an origin, best first, by the stack selected from earlier trials, or before.

        Returns:
            ``cell`` (position), ``category``, ``expected`` and ``baseline_expected`` (incidents a day), ``rank``,
            ``is_selected`` and ``ranking_method``.
        """
        rates = self.rates(origin)
        choice = self.allowed(chosen or self.chosen(origin, selected), origin, BOOSTING in rates)
        best, expected = self.listed(origin, rates, self.placed(origin, rates), choice)
        rank = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("rank")
        return pl.DataFrame(
            {"cell": best, "expected": expected[best], "baseline_expected": rates[choice.count][best]}
        ).with_columns(
            rank,
            (rank <= selected).alias("is_selected"),
            pl.lit(self.category).alias("category"),
            pl.lit(stack.method(choice)).alias("ranking_method"),
        )

    def try_window(self, origin: int, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Run every model at an origin, select the stack from earlier trials, and count the incidents after the lead.

        Returns frames of `WINDOWS` and `CHOICES`.
        """
        rates = self.rates(origin)
        placed = self.placed(origin, rates)
        lists = stack.leading(placed, max(self.depths))
        known = self.history.events[self.category].where(self.history.events[self.category].known_until == ALWAYS)
        size = self.history.grid.size
        first = origin + self.lead
        outcome, prior = known.counts(size, first, first + days), known.counts(size, origin - days, origin)
        rows, choices = [], []
        for cells in self.depths:
            chosen = self.allowed(self.chosen(origin, cells), origin, BOOSTING in rates)
            choices.append((origin, self.category, cells, *_choice(chosen)))
            best, expected = self.listed(origin, rates, placed, chosen)
            lists_and_counts = {name: (lists[name], rate * days) for name, rate in rates.items()}
            lists_and_counts[stack.BEST_COUNT] = lists_and_counts[chosen.count]
            lists_and_counts[stack.STACK] = best, expected * days
            if cells == self.depths[0]:
                self.expected[origin] = expected
                compared = {stack.BEST_COUNT: placed[chosen.count], PROSPECTIVE: placed[PROSPECTIVE]}
                orders = {name: np.argsort(rank, kind="stable") for name, rank in compared.items()}
                expectations = {name: lists_and_counts[name][1] for name in (stack.STACK, stack.BEST_COUNT)}
                self._follow(origin, {stack.STACK: best} | orders, expectations, outcome)
            most = int(np.sort(outcome)[::-1][:cells].sum())
            for name, (order, counts) in lists_and_counts.items():
                selected = order[:cells]
                rows.append(
                    (
                        origin, self.category, name, cells, days, int(outcome.sum()), int(outcome[selected].sum()),
                        most, int((outcome[selected] > 0).sum()), int(prior.sum()), int(prior[selected].sum()),
                        float(log_likelihood(outcome, counts).mean()),
                    )
                )  # fmt: skip
        # The next origin knows this window except its last days, as many as the lead.
        self.trials.append(Trial(first, origin + days, lists))
        return pl.DataFrame(rows, schema=WINDOWS, orient="row"), pl.DataFrame(choices, schema=CHOICES, orient="row")

    def _follow(self, origin: int, orders: Mapping[str, Ints], expected: Mapping[str, Floats], outcome: Floats) -> None:
        """Record the issued list over all cells, with the best count and prospective hot spots."""
        self.curves.append(curves.steps(origin, self.category, orders, outcome))
        self.bands.append(calibration.bands(origin, self.category, orders, expected, outcome))


LEVEL_HALF_LIFE_DAYS: Final = 91.0


def windows(history: History, until: int, days: int, most: int) -> list[tuple[int, int]]:
    """Return consecutive windows (origin, days) up to a day, as far as there was a history to train on."""
    starts = (until - days * back for back in range(most, 0, -1))
    return [
        (start, days) for start in starts if start - history.seen(start).first_day >= MIN_HISTORY_DAYS + WINDOW_DAYS
    ]


def run(
    history: History,
    category: str,
    windows: Sequence[tuple[int, int]],
    depths: Sequence[int],
    progress: Progress = silent,
    lead: int = 0,
) -> tuple[Backtest, pl.DataFrame, pl.DataFrame]:
    """Try windows (origin, days) in order; return the backtest, to continue from, and `WINDOWS`, `CHOICES` frames.

    A window with an unknown day has no outcome, and one before the category's first known day no history: they are not
    tried.
    """
    backtest = Backtest(history, category, depths, lead)
    windows = [
        (origin, days)
        for origin, days in windows
        if history.seen(origin).known_days(category, origin)
        and history.is_known(category, origin + lead, origin + lead + days)
    ]
    scored, choices = [pl.DataFrame(schema=WINDOWS)], [pl.DataFrame(schema=CHOICES)]
    for done, (window, chosen) in enumerate(_tried(backtest, windows), 1):
        scored.append(window)
        choices.append(chosen)
        progress(f"{category}: {done} of {len(windows)} windows")
    return backtest, pl.concat(scored), pl.concat(choices)


def _tried(backtest: Backtest, windows: Sequence[tuple[int, int]]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    return (backtest.try_window(origin, days) for origin, days in sorted(windows))


def _choice(chosen: Choice) -> tuple[str, str, int, float | None, float | None]:
    gain, error = (None if np.isnan(value) else value for value in (chosen.gain, chosen.gain_error))
    return chosen.count, chosen.mixture, chosen.origins, gain, error
