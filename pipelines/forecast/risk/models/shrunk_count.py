"""The plain count of a cell, what orders cells with equal counts, and the rate that a count implies.

The count is of all known incidents, older ones weighing less, in whole incidents: differences of less than one are not
evidence that one cell is riskier than another. On short or sparse records most cells are then equal. A finer rate
orders them: the mean of the densities of `linear_pool` with equal weights, which needs no training.

A count is not a rate: the cells with the highest counts were also lucky. Each cell's rate is therefore its posterior
mean under a gamma prior (Clayton and Kaldor 1987) whose mean is that of the smoothed densities around the cell and
whose shape is the one that makes all counts likeliest (negative binomial).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln

from pipelines.forecast.risk.history import Floats, History
from pipelines.forecast.risk.models import linear_pool
from pipelines.forecast.risk.models.counts import HALF_LIFE_DAYS, decayed

SHAPES: Final = 0.02 * 2.0 ** np.arange(11)
"""Candidates for the shape of the prior: from a few busy cells among empty ones to nearly equal cells."""

LEVEL_HALF_LIFE_DAYS: Final = 28.0
LONG_HALF_LIFE_DAYS: Final = 91.0
LEVEL_WEIGHT: Final = 20.0
"""Weight of the long-term level, as a number of incidents."""


@dataclass(frozen=True, slots=True, eq=False)
class ShrunkCount:
    """By cell: ``incidents`` (whole), ``finer`` and ``rate``, both in incidents a day and above 0 in every cell."""

    incidents: Floats
    finer: Floats
    rate: Floats


def shrunk_count(history: History, category: str, until: int) -> ShrunkCount:
    """Return the count of every cell by what was known at an origin: ``history`` as seen there."""
    parts = linear_pool.parts(history, category, until)
    days = history.decayed_days(category, until, HALF_LIFE_DAYS)
    counted = decayed(history, category, until) * days
    around = parts[linear_pool.smoothed(len(parts))].mean(axis=0)
    around *= max(counted.sum() / days, linear_pool.LEAST_LEVEL) / around.sum()
    return ShrunkCount(np.rint(counted), parts.mean(axis=0), posterior(counted, around, days))


def posterior(counted: Floats, around: Floats, days: float) -> Floats:
    """Return the posterior mean rate of every place from its count in so many days and the mean of its prior."""
    shape = max(SHAPES, key=lambda shape: _likelihood(counted, around * days, shape))
    return np.asarray((counted + shape) / (days + shape / around))


def _likelihood(counted: Floats, mean: Floats, shape: float) -> float:
    """Return the negative-binomial log likelihood, without the terms that have no shape in them."""
    fixed = gammaln(shape) - shape * np.log(shape)
    return float((gammaln(counted + shape) - (counted + shape) * np.log(shape + mean) - fixed).sum())


def level(history: History, category: str, until: int) -> float:
    """Return the expected incidents a day of a category, all cells together: the total of every forecast of it.

    It is the recent level, shrunk to that of a longer time: a gamma-Poisson posterior mean. At least `LEAST_LEVEL`.
    """
    usual = max(history.rate(category, until, LONG_HALF_LIFE_DAYS), linear_pool.LEAST_LEVEL)
    days = history.decayed_days(category, until, LEVEL_HALF_LIFE_DAYS)
    recent = history.rate(category, until, LEVEL_HALF_LIFE_DAYS) * days
    return (recent + LEVEL_WEIGHT) / (days + LEVEL_WEIGHT / usual)
