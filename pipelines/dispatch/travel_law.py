"""A law of travel time in distance, for places without a matrix of minutes: fitted to trips, with its error stated.

The median is that of a vehicle which accelerates, cruises and brakes, so that it grows with the square root of short
distances and in proportion to long ones (Kolesar, Walker and Hausner 1975), after a fixed time. Around it the logarithm
follows a Student t distribution whose scale falls with the median (Budge, Ingolfsson and Zerom 2010). The fixed time is
added here: crews enter their departure and arrival before and after the wheels turn.

A law is never used silently: it states which distance it takes, on how many trips it was fitted, and by how much it
missed trips that it had not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import t as student

from pipelines.dispatch.posts import PlanError

Floats = NDArray[np.float64]
LEAST_TRIPS: Final = 200
"""With fewer trips a setting has no law of its own."""
FOLDS: Final = 5
EXTREME: Final = 0.001
"""Draws are limited to the quantiles of this level and its opposite: the mean of the exponential of a t is infinite."""
URBAN_PER_KM2, TOWN_PER_KM2 = 1_500.0, 300.0
"""Inhabitants per km² of urban centres, and of towns and suburbs (degree of urbanisation, Eurostat 2021)."""
ALL: Final = "all"
EARTH_KM: Final = 6371.0088


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Error on trips that the law had not seen (cross-validated).

    ``absolute_seconds``: mean absolute error of the median; ``p50_ratio, p90_ratio``: median and 90th percentile of
    trips drawn from the law over those observed; ``below_p50, below_p90``: share of trips below the law's quantiles.
    """

    trips: int
    absolute_seconds: float
    p50_ratio: float
    p90_ratio: float
    below_p50: float
    below_p90: float


@dataclass(frozen=True, slots=True)
class Law:
    """Median = ``fixed_seconds`` + way with ``cruise_kmh`` and ``seconds_to_cruise``; scale² × median² = ``spread``.

    ``spread``: coefficients of 1, median and median² (seconds); ``freedom``: of the t distribution; ``distance``: what
    the law takes, in words; ``longest_km``: of the trips, beyond which it is extrapolated.
    """

    fixed_seconds: float
    cruise_kmh: float
    seconds_to_cruise: float
    spread: tuple[float, float, float]
    freedom: float
    distance: str
    trips: int
    longest_km: float
    error: HeldOut | None = None


def fit(trips: pl.DataFrame, distance: str, seed: int = 0) -> Law:
    """Fit a law, and measure its error on trips left out by incident.

    Args:
        trips: ``incident_id, km, seconds``. Rows with a missing value, or without a positive time, are left out.
        distance: What ``km`` is, for those who read the law: ``straight line between points rounded to 100 m``.
        seed: For the folds and the draws of the error.

    Raises:
        PlanError: Fewer than ``LEAST_TRIPS`` trips are left, or all of them are equally long.
    """
    used = _usable(trips)
    km, seconds = used["km"].to_numpy(), used["seconds"].to_numpy()
    if len(km) < LEAST_TRIPS or np.ptp(km) == 0:
        raise PlanError(f"{len(km)} trips of different length are too few for a law: give at least {LEAST_TRIPS}")
    rng = np.random.default_rng([seed, 1])
    ids = used["incident_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    fold = rng.integers(0, FOLDS, int(ids.max()) + 1)[ids]
    whole = _fitted(km, seconds, distance)
    median, drawn, high = np.zeros(len(km)), np.zeros(len(km)), np.zeros(len(km))
    for number in range(FOLDS):
        test = fold == number
        if test.any():
            law = _fitted(km[~test], seconds[~test], distance, whole)
            median[test], high[test] = quantile(law, km[test], 0.5), quantile(law, km[test], 0.9)
            drawn[test] = draw(law, km[test], rng)
    error = HeldOut(
        len(km),
        float(np.abs(seconds - median).mean()),
        float(np.median(drawn) / np.median(seconds)),
        float(np.quantile(drawn, 0.9) / np.quantile(seconds, 0.9)),
        float((seconds < median).mean()),
        float((seconds < high).mean()),
    )
    return replace(whole, error=error)


def fit_settings(trips: pl.DataFrame, distance: str, seed: int = 0) -> Mapping[str, Law]:
    """Fit a law per ``setting`` (a column of ``trips``) that has enough trips, and one for all, named ``ALL``."""
    laws = {ALL: fit(trips, distance, seed)}
    for (setting,), rows in trips.filter(pl.col("setting").is_not_null()).group_by("setting", maintain_order=True):
        if _usable(rows).height >= LEAST_TRIPS:
            laws[str(setting)] = fit(rows, distance, seed)
    return laws


def setting_of(inhabitants_per_km2: pl.Expr) -> pl.Expr:
    """Return urban, town or rural by density; null where it is unknown."""
    return (
        pl.when(inhabitants_per_km2 >= URBAN_PER_KM2).then(pl.lit("urban"))
        .when(inhabitants_per_km2 >= TOWN_PER_KM2).then(pl.lit("town"))
        .when(inhabitants_per_km2 >= 0).then(pl.lit("rural"))
    )  # fmt: skip


def median_seconds(law: Law, km: Floats) -> Floats:
    """Return the median travel time."""
    speed = law.cruise_kmh / 3600
    # At even acceleration the way to cruising speed and back to rest is speed × time to cruise.
    ramp = speed * law.seconds_to_cruise
    short = 2 * np.sqrt(np.maximum(km, 0) * law.seconds_to_cruise / speed)
    return np.asarray(law.fixed_seconds + np.where(km <= ramp, short, law.seconds_to_cruise + km / speed))


def scale(law: Law, km: Floats) -> Floats:
    """Return the scale of the logarithm: close to the coefficient of variation."""
    median = median_seconds(law, km)
    return np.asarray(np.sqrt(law.spread[0] + law.spread[1] * median + law.spread[2] * median**2) / median)


def quantile(law: Law, km: Floats, level: float) -> Floats:
    """Return a quantile of travel time in seconds."""
    return np.asarray(median_seconds(law, km) * np.exp(scale(law, km) * student.ppf(level, law.freedom)))


def draw(law: Law, km: Floats, rng: np.random.Generator) -> Floats:
    """Draw travel times in seconds."""
    levels = np.clip(rng.random(np.shape(km)), EXTREME, 1 - EXTREME)
    return np.asarray(median_seconds(law, km) * np.exp(scale(law, km) * student.ppf(levels, law.freedom)))


def arrival_probability(law: Law, km: Floats, target_seconds: float, before: Floats) -> Floats:
    """Return the chance to arrive within the target, at each distance (Ingolfsson, Budge and Erkut 2008).

    Args:
        law: Of travel.
        km: Distances, of any shape, in the law's kind of distance.
        target_seconds: From where ``before`` starts.
        before: Draws of the time before travel (handling, turnout), independent of it; ``[0]`` for travel alone.
    """
    left = target_seconds - np.asarray(before)
    with np.errstate(divide="ignore"):
        log = np.where(left > 0, np.log(np.maximum(left, 0)), -np.inf)
    flat = np.ravel(km)
    chance = [
        student.cdf((log - np.log(middle)) / width, law.freedom).mean()
        for middle, width in zip(median_seconds(law, flat), scale(law, flat), strict=True)
    ]
    return np.asarray(chance).reshape(np.shape(km))


def straight_km(lon: Floats, lat: Floats, to_lon: Floats, to_lat: Floats) -> Floats:
    """Return great-circle distances of points in degrees (haversine)."""
    a, b = np.radians(lat), np.radians(to_lat)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(np.subtract(to_lon, lon)) / 2) ** 2
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(half)))


def statement(law: Law) -> str:
    """Return the law, its input and its error as text."""
    text = (
        f"median travel {law.fixed_seconds:.0f} s + way at up to {law.cruise_kmh:.0f} km/h ({law.distance}; "
        f"{law.trips:,} trips up to {law.longest_km:.1f} km)"
    )
    if law.error is None:
        return text + "; error unknown"
    error = law.error
    return (
        f"{text}; on trips not seen: mean absolute error {error.absolute_seconds:.0f} s, median {error.p50_ratio:.2f} "
        f"and 90th percentile {error.p90_ratio:.2f} of the observed, {error.below_p90:.0%} below the law's 90 %"
    )


def _usable(trips: pl.DataFrame) -> pl.DataFrame:
    kept = trips.filter(pl.col("km").is_finite() & (pl.col("km") >= 0) & (pl.col("seconds") > 0))
    return kept.drop_nulls(["km", "seconds", "incident_id"])


def _fitted(km: Floats, seconds: Floats, distance: str, near: Law | None = None) -> Law:
    """Return the law of greatest likelihood; ``near``: where to begin the search."""
    log = np.log(seconds)

    def law_of(numbers: Floats) -> Law:
        fixed, speed, ramp, constant, linear, square, freedom = np.exp(numbers)
        spread = (float(constant), float(linear), float(square))
        return Law(float(fixed), float(speed), float(ramp), spread, float(freedom), distance, len(km), float(km.max()))

    def loss(numbers: Floats) -> float:
        law = law_of(numbers)
        width = scale(law, km)
        deviation = (log - np.log(median_seconds(law, km))) / width
        half = (law.freedom + 1) / 2
        constant = gammaln(half) - gammaln(law.freedom / 2) - np.log(law.freedom * np.pi) / 2
        return float((half * np.log1p(deviation**2 / law.freedom) + np.log(width)).mean() - constant)

    start = np.log([max(float(np.quantile(seconds, 0.05)), 1.0), 35.0, 20.0, 100.0, 3.0, 0.05, 6.0])
    if near is not None:
        start = np.log([near.fixed_seconds, near.cruise_kmh, near.seconds_to_cruise, *near.spread, near.freedom])
    # Few trips are long enough to show a cruising speed: without a limit the law has none, and extrapolates too fast.
    limits = np.log([(0.1, 3600), (3, 100), (0.1, 120), (1e-3, 1e6), (1e-5, 1e4), (1e-6, 10), (2, 100)]).tolist()
    best = minimize(loss, start, method="L-BFGS-B", bounds=limits, options={"ftol": 1e-7})
    return law_of(best.x)
