"""Rates per resident, raw and smoothed by Empirical Bayes (Marshall 1991).

Smoothed because rates of small places vary by chance.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

PER: Final = 10_000
"""Rates are per this many residents, the unit of Korean statistics."""

Floats = NDArray[np.float64]


def rates(incidents: Floats, population: Floats) -> tuple[Floats, Floats]:
    """Compute raw and Empirical-Bayes rates per ``PER`` residents.

    Each raw rate is shrunk towards the overall rate, the more the fewer residents it has, by the moments of Marshall
    (1991, "Mapping disease and mortality rates using empirical Bayes estimators", global form).

    Args:
        incidents: Incidents per place.
        population: Residents, or daytime population, per place; NaN or not positive if unknown.

    Returns:
        Two arrays; NaN if the population is unknown. Such places are excluded from the overall rate too. If the places
        differ no more than by chance, every Empirical-Bayes rate is the overall rate.
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
