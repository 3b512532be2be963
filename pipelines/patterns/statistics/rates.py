"""Rates per resident, raw and steadied by Empirical Bayes: a small place's rate is mostly luck (Marshall 1991)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

PER: Final = 10_000
"""Rates are per so many residents, the unit of the Korean statistics."""

Floats = NDArray[np.float64]


def rates(incidents: Floats, population: Floats) -> tuple[Floats, Floats]:
    """Raw and Empirical-Bayes rates per ``PER`` residents.

    Each raw rate is drawn towards the rate of all places together, the more the fewer residents it stands on, by the
    moments of Marshall (1991, "Mapping disease and mortality rates using empirical Bayes estimators", global form).

    Args:
        incidents: Incidents per place.
        population: Residents, or people by day, per place; not a number or not positive where unknown.

    Returns:
        Two arrays; not a number where the population is unknown. Such places do not enter the common rate either.
        Where the places differ no more than chance makes them, every Empirical-Bayes rate is the common one.
    """
    known = np.isfinite(population) & (population > 0)
    raw, steadied = np.full(incidents.size, np.nan), np.full(incidents.size, np.nan)
    if not known.any():
        return raw, steadied
    events, people = incidents[known], population[known]
    rate, common = events / people, events.sum() / people.sum()
    between = max(float((people * (rate - common) ** 2).sum() / people.sum() - common / people.mean()), 0.0)
    weight = between / (between + common / people) if between > 0 else np.zeros(people.size)
    raw[known] = PER * rate
    steadied[known] = PER * (weight * rate + (1 - weight) * common)
    return raw, steadied
