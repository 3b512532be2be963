"""Units required by area, service and hour: the fewest for which hardly any call has to wait (Erlang C).

M/M/c: calls arrive at random, each keeps one unit busy for a random time, callers wait. In a small area the wait
depends on chance rather than on the mean, so units cannot be derived from calls × minutes alone. The forecast is itself
a distribution: its negative binomial is a random rate (gamma) with Poisson calls. Erlang C already includes the Poisson
part, so only the rate varies here; planning on a high quantile of calls would count chance twice and overstaff small
areas. Where the forecast's quantiles are recalibrated, the rate varies by as much as the recalibrated distribution
varies beyond chance. A call that takes several units takes them at once, so the queue is one of teams of that size.
"""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv

from pipelines.dispatch import queues
from pipelines.dispatch.workload import erlangs
from pipelines.forecast.demand.evaluation import calibration
from pipelines.forecast.demand.hierarchy.disclosure_safe import MEASURE
from pipelines.schema.dictionary import frame_schema

RATE_LEVELS: Final = tuple((i + 0.5) / 9 for i in range(9))
"""Equally likely slices of the forecast rate, each represented by its midpoint."""

NEGLIGIBLE: Final = 1e-10
"""Tail probability beyond which larger numbers of calls are ignored."""

STAFFING_COLUMNS: Final = frame_schema("dispatch.staffing")


def rates(mean: ArrayLike, dispersion: ArrayLike) -> NDArray[np.float64]:
    """Return equally likely rates of a negative-binomial forecast, one row each: gamma slices, rescaled to the mean."""
    means, spread = np.broadcast_arrays(np.asarray(mean, float), np.asarray(dispersion, float))
    shape = 1.0 / np.maximum(spread, 1e-6)
    sliced = gammaincinv(shape[:, None], np.asarray(RATE_LEVELS)[None, :]) / shape[:, None]
    return np.asarray(means[:, None] * sliced / sliced.mean(axis=1, keepdims=True))


def rate_dispersions(forecasts: pl.DataFrame) -> NDArray[np.float64]:
    """Return the dispersion of the rate of each forecast: its squared coefficient of variation.

    It is that of the negative binomial; for recalibrated quantiles, that of the negative binomial with the mean and
    variance of the recalibrated distribution, at least 0 (moment matching; both moments are sums of P(calls > n) over
    n).

    Args:
        forecasts: ``mean, dispersion, calibration_map``, as in ``forecast.demand``.
    """
    distributions = forecasts.select(pl.col("mean").alias("centre"), "dispersion", "calibration_map")
    distributions, curves = calibration.curves_in(distributions)
    variation = distributions["dispersion"].to_numpy(writable=True)
    is_recalibrated = (distributions["curve"] > 0) & (distributions["centre"] > 0)
    moved = distributions.filter(is_recalibrated).drop("calibration_map")
    mean, pairs, rows, count = np.zeros(moved.height), np.zeros(moved.height), np.arange(moved.height), 0
    while rows.size:
        more = 1 - calibration.probability(count, moved[rows], curves)
        mean[rows] += more
        pairs[rows] += 2 * count * more
        rows, count = rows[more > NEGLIGIBLE], count + 1
    variation[is_recalibrated.to_numpy()] = np.maximum(pairs / mean**2 - 1, 0)
    return variation


def units_required(loads: NDArray[np.float64], max_wait_probability: float) -> NDArray[np.int64]:
    """Return the fewest units for which at most ``max_wait_probability`` of calls wait; none without load.

    Args:
        loads: Erlangs, one row per plan; its columns are equally likely. Busy slices have more calls and weigh more.
        max_wait_probability: The target, between 0 and 1.
    """
    required = np.zeros(len(loads), dtype=np.int64)
    rows = np.flatnonzero(loads.sum(axis=1) > 0)
    blocked = np.ones((rows.size, loads.shape[1]))
    units = 0
    while rows.size:
        units += 1
        rest = loads[rows]
        blocked = queues.blocked_with_one_more(blocked, rest, units)
        enough = (queues.waiting(blocked, rest, units) * rest).sum(axis=1) <= max_wait_probability * rest.sum(axis=1)
        required[rows[enough]] = units
        rows, blocked = rows[~enough], blocked[~enough]
    return required


def staffing(forecasts: pl.DataFrame, minutes: pl.DataFrame, max_wait_probability: float) -> pl.DataFrame:
    """Plan units for hourly forecasts.

    Args:
        forecasts: ``forecast.demand``; only hourly rows of calls, all and disclosure-safe ones, of one
            ``reference_at`` are used: the published forecast, and the ``seasonal_naive`` baseline.
        minutes: ``service, service_minutes, units_per_call`` from ``workload.service_minutes``; a service without a
            row, or with 0 minutes (advice by telephone), needs no unit and is left out.
        max_wait_probability: Share of calls for which no unit may be free.

    Returns:
        ``dispatch.staffing``. ``workload_erlangs`` is for expected calls; ``units_required`` is for the whole
        distribution, with the recalibrated quantiles of ``method``; ``unit_hour_utilisation`` is workload over units.
        Areas are not additive: the region's row is planned as one area without borders, and hierarchies overlap.
    """
    keys = ["area_id", "service", "measure", "target_start"]
    hours = forecasts.filter(pl.col("frequency") == "h", pl.col("measure").is_in(["calls", MEASURE["calls"]]))
    baseline = hours.filter(pl.col("model") == "seasonal_naive").select(*keys, pl.col("mean").alias("baseline_calls"))
    planned = (
        hours.filter(~pl.col("is_baseline"))
        .join(minutes.filter(pl.col("service_minutes") > 0), on="service", how="inner")
        .join(baseline, on=keys, how="left")
        .with_columns(erlangs(pl.col("mean"), pl.col("service_minutes")).alias("teams_busy"))
        .with_columns((pl.col("teams_busy") * pl.col("units_per_call")).alias("workload_erlangs"))
    )
    busy = rates(planned["teams_busy"].to_numpy(), rate_dispersions(planned))
    teams = units_required(busy, max_wait_probability)
    # A team has this many units on average, so teams are rounded, but never below the number of busy units.
    size = planned["units_per_call"].to_numpy()
    needed = np.maximum(np.floor(teams * size + 0.5), np.ceil(planned["workload_erlangs"].to_numpy()))
    units = pl.Series("units_required", needed).cast(pl.Int32)
    return (
        planned.with_columns(units)
        .with_columns(
            pl.col("mean").alias("expected_calls"),
            pl.col("q0.1").alias("p10"),
            pl.col("q0.5").alias("p50"),
            pl.col("q0.9").alias("p90"),
            pl.col("q0.99").alias("p99"),
            pl.when(pl.col("units_required") > 0)
            .then(pl.col("workload_erlangs") / pl.col("units_required"))
            .alias("unit_hour_utilisation"),
        )
        .select(*STAFFING_COLUMNS)
        .sort("service", "area_id", "measure", "target_start")
    )
