"""Ranges from past errors: a dispersion that grows with the horizon, then quantiles recalibrated by past coverage.

First the negative binomial around a mean gets the dispersion of the mean's own errors in a backtest, which grows with
the horizon. Then the randomised probability integral transform (PIT) of past outcomes gives the actual coverage of each
level, and levels are recalibrated accordingly (Kuleshov, Fenner and Ermon 2018; PIT of counts by Czado, Gneiting and
Held 2009). Recalibrated levels use the same negative binomial, so every quantile stays an integer, non-negative count.
Everything is estimated from outcomes before each row's own cutoff.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from pipelines.forecast.demand.evaluation import negative_binomial
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS, Floats

BLOCK_ENDS: Final = (1, 7, 42)
"""Days ahead at which a horizon block ends."""

FLOOR: Final = 1e-3
"""Blocks are compared from this dispersion on: below it they are all Poisson."""

GRID: Final = np.array([0, 0.005, 0.01, 0.025, *np.arange(0.05, 0.951, 0.05), 0.975, 0.99, 0.995, 1.0])
"""Levels at which a calibration map is estimated; between them it is linear."""
MIDDLE: Final = GRID.size // 2
IDENTITY: Final = GRID[None, :]
"""The calibration map of forecasts that are not recalibrated."""

USUAL_MISS: Final = 0.03
"""Prior standard deviation of the difference between a level and its coverage: with few origins the estimate has less
weight than this.
"""
MOST_TRUST: Final = 0.95

KEYS: Final = ["model", "level", "hours"]


def block() -> pl.Expr:
    """Return the horizon block 0 to 3 of ``ds`` relative to ``cutoff``: how many of ``BLOCK_ENDS`` it is past."""
    days = (pl.col("ds") - pl.col("cutoff")).dt.total_days()
    return pl.sum_horizontal(*[(days >= end).cast(pl.Int8) for end in BLOCK_ENDS]).cast(pl.Int8).alias("block")


def dispersed(predictions: pl.DataFrame, naive: str) -> pl.DataFrame:
    """Add ``block``, ``dispersion`` and ``is_calibrated``, estimated from outcomes before each row's own cutoff.

    A dispersion is that of the series and model times the factor of its horizon block; factors are estimated for the
    pool and never fall. A series is shrunk towards its ``pool`` (such as the same service in other districts), over
    every model except the ``naive`` one, whose errors differ; a model without any outcome yet uses the pool's. Before
    there is any outcome the dispersion is 0, which is Poisson, and ``is_calibrated`` is false.

    Args:
        predictions: ``unique_id, pool, cutoff, ds, y`` (null: not known), ``model, mean``.
        naive: The model with a separate pool.
    """
    by, pool = ["model", "unique_id"], ["family", "pool"]
    blocked = predictions.with_columns(block(), (pl.col("model") == naive).alias("family"))
    age = (pl.col("ds") - pl.col("cutoff")).dt.total_days().alias("age")
    known = blocked.filter(pl.col("y").is_not_null(), pl.col("mean").is_not_null())
    keys = [*by, *pool, "block", "cutoff"]
    # By day: hours have no outcome before a later cutoff that their whole day lacks.
    daily = negative_binomial.moments(
        known.select(*keys, age, "ds", "y", "mean"), [*keys, "age"], pl.col("ds").max().alias("last")
    )
    cutoffs = blocked["cutoff"].unique().sort()
    outcomes = _learnt_together(daily, cutoffs)
    factors, parameters, wide = [], [], []
    for place, cutoff in enumerate(cutoffs):
        before = outcomes.filter(pl.col("learnt") <= place, pl.col("cutoff") < cutoff)
        if before.height:
            stamp = _stamp(cutoff)
            factor = _horizon_factors(before, pool)
            scaled = before.join(factor, on=[*pool, "block"], how="left", maintain_order="left")
            factors.append(factor.with_columns(stamp))
            parameters.append(
                negative_binomial.dispersions(scaled, [*by, *pool], pool).drop("information").with_columns(stamp)
            )
            wide.append(negative_binomial.dispersions(scaled, pool, pool).drop("information").with_columns(stamp))
    if not parameters:
        return blocked.with_columns(dispersion=pl.lit(0.0), is_calibrated=pl.lit(False))
    learnt = (
        blocked.join(pl.concat(parameters), on=[*by, *pool, "cutoff"], how="left", maintain_order="left")
        .join(pl.concat(wide), on=[*pool, "cutoff"], how="left", maintain_order="left", suffix="_pool")
        .join(pl.concat(factors), on=[*pool, "block", "cutoff"], how="left", maintain_order="left")
    )
    spread = pl.coalesce("dispersion", "dispersion_pool")
    # A block without outcomes yet is assumed to equal the furthest block with outcomes.
    furthest = pl.col("factor").max().over([*pool, "cutoff"])
    return learnt.with_columns(
        spread.is_not_null().alias("is_calibrated"),
        (spread * pl.coalesce("factor", furthest, pl.lit(1.0))).fill_null(0.0).alias("dispersion"),
    ).drop("dispersion_pool", "factor")


def _learnt_together(daily: pl.DataFrame, cutoffs: pl.Series) -> pl.DataFrame:
    """Return the moments of the days that the same first cutoff knows, by ``learnt``, its place among the cutoffs."""
    learnt = pl.Series("learnt", cutoffs.search_sorted(daily["last"], side="right"))
    sums = pl.selectors.matches("^(excess|mean_[1-4])$")
    keys = pl.selectors.exclude(sums | pl.selectors.by_name("age", "last"))
    return daily.with_columns(learnt).group_by(keys, maintain_order=True).agg(sums.sum())


def _horizon_factors(before: pl.DataFrame, pool: Sequence[str]) -> pl.DataFrame:
    """Return ``pool, block, factor``: each block's dispersion over the nearest block's, never falling with the
    horizon.
    """
    from scipy.optimize import isotonic_regression

    calibrated = negative_binomial.dispersions(before, [*pool, "block"], pool).sort(*pool, "block")
    parts = []
    for part in calibrated.partition_by(pool, maintain_order=True):
        seen, weight = part["dispersion"].clip(FLOOR).to_numpy(), part["information"].clip(1e-9).to_numpy()
        rising = isotonic_regression(seen, weights=weight).x
        parts.append(part.select(*pool, "block", pl.Series("factor", rising / rising[0])))
    return pl.concat(parts)


def recalibrated(predictions: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """Estimate per model, area level and six hours of the day how far ranges were too narrow or wide before each
    cutoff.

    Args:
        predictions: The result of ``dispersed``, with ``centre``; without a ``level`` (of the area hierarchy) it is one
            for all. ``unique_id`` is an integer.

    Returns:
        ``predictions`` with ``curve``, and the calibration maps: row ``curve`` is the calibrated probability of
        ``GRID``. Map 0 is the identity. With few origins, and with correlated errors after one, a map is close to the
        identity.
    """
    level = pl.col("level") if "level" in predictions.columns else pl.lit("all")
    keyed = predictions.with_columns(level.alias("level"), (pl.col("ds").dt.hour() // 6).alias("hours"))
    if keyed.is_empty():
        return keyed.drop("hours").with_columns(curve=pl.lit(0, pl.UInt32)), IDENTITY
    daily = _kept(keyed)
    calibrated = [
        _curves(daily.filter(pl.col("cutoff") < cutoff, pl.col("last") < cutoff)).with_columns(_stamp(cutoff))
        for cutoff in keyed["cutoff"].unique().sort()
    ]
    curves = pl.concat(calibrated).with_row_index("curve", offset=1)
    keys = [*KEYS, "cutoff"]
    joined = keyed.join(curves.select(*keys, "curve"), on=keys, how="left", maintain_order="left")
    stacked = np.vstack([IDENTITY, curves.select(_names()).to_numpy()])
    return joined.with_columns(pl.col("curve").fill_null(0)).drop("hours"), stacked


def stacked(parts: Sequence[tuple[pl.DataFrame, Floats]]) -> tuple[pl.DataFrame, Floats]:
    """Combine several recalibrated frames, each with its calibration maps."""
    frames, curves = renumbered(parts)
    return pl.concat(frames, how="diagonal_relaxed"), curves


def renumbered(parts: Sequence[tuple[pl.DataFrame, Floats]]) -> tuple[list[pl.DataFrame], Floats]:
    """Return recalibrated frames, each given with its calibration maps, with ``curve`` in the maps of all."""
    frames, curves = [], [IDENTITY]
    for frame, parameters in parts:
        before = sum(len(curve_set) for curve_set in curves) - 1
        place = pl.when(pl.col("curve") > 0).then(pl.col("curve") + before).otherwise(0)
        frames.append(frame.with_columns(place.cast(pl.UInt32).alias("curve")))
        curves.append(parameters[1:])
    return frames, np.vstack(curves)


def pit(forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> Floats:
    """Return the randomised PIT of each row's ``y``: uniform between 0 and 1 if the forecast is calibrated.

    The random number depends on series, cutoff and time only.
    """
    y = forecasts["y"].to_numpy()
    upper, lower = probability(y, forecasts, curves), probability(y - 1, forecasts, curves)
    return lower + _draws(forecasts) * (upper - lower)


def probability(count: ArrayLike, forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> Floats:
    """Return P(demand <= count) of each row's calibrated distribution.

    Args:
        count: One per row, or one for all.
        forecasts: ``centre, dispersion`` and, if recalibrated, ``curve``.
        curves: As from ``recalibrated``.
    """
    plain = negative_binomial.cumulative(count, forecasts["centre"].to_numpy(), forecasts["dispersion"].to_numpy())
    return moved(plain, forecasts, curves)


def moved(plain: Floats, forecasts: pl.DataFrame, curves: Floats) -> Floats:
    """Return probabilities of each row's negative binomial, adjusted by its calibration map ``curve`` if it has one."""
    calibrated = plain.copy()
    for curve, rows in _by_curve(forecasts):
        calibrated[rows] = np.interp(plain[rows], GRID, curves[curve])
    return calibrated


def counts(uniforms: Floats, forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> Floats:
    """Return counts at given levels of each row's calibrated distribution: samples, if the levels are uniform draws.

    Args:
        uniforms: In (0, 1), one row per forecast, any number of columns.
        forecasts: ``centre, dispersion`` and, if recalibrated, ``curve``.
        curves: As from ``recalibrated``.

    Returns:
        Integers, not negative, in the shape of ``uniforms``; never falling as the level rises.
    """
    levels = np.array(uniforms, float)
    for curve, rows in _by_curve(forecasts):
        levels[rows] = np.interp(levels[rows], curves[curve], GRID)
    return negative_binomial.quantiles(forecasts["centre"].to_numpy(), forecasts["dispersion"].to_numpy(), levels)


def with_quantiles(forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> pl.DataFrame:
    """Add ``q0.05`` … ``q0.99`` of each row's calibrated distribution."""
    values = counts(np.tile(LEVELS, (forecasts.height, 1)), forecasts, curves)
    return forecasts.with_columns(pl.Series(name, values[:, i]) for i, name in enumerate(COLUMNS))


def maps(forecasts: pl.DataFrame, curves: Floats) -> pl.Series:
    """Return ``calibration_map``: how often outcomes were below each level under a half; null: not recalibrated."""
    lists = [None, *([round(float(share), 4) for share in curve[1:MIDDLE]] for curve in curves[1:])]
    return pl.Series("calibration_map", lists, dtype=pl.List(pl.Float64)).gather(forecasts["curve"])


def curves_in(forecasts: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """Return ``forecasts`` with ``curve``, and the curves, from their ``calibration_map``."""
    key = pl.col("calibration_map").cast(pl.List(pl.String)).list.join(" ").alias("_key")
    keyed = forecasts.with_columns(key)
    known = keyed.select("_key", "calibration_map").drop_nulls().unique("_key").sort("_key")
    known = known.with_row_index("curve", offset=1)
    lower = np.array([[0.0, *shares] for shares in known["calibration_map"]]).reshape(known.height, MIDDLE)
    curves = np.hstack([lower, np.full((known.height, 1), 0.5), 1 - lower[:, ::-1]])
    joined = keyed.join(known.drop("calibration_map"), on="_key", how="left", maintain_order="left")
    return joined.drop("_key").with_columns(pl.col("curve").fill_null(0)), np.vstack([IDENTITY, curves])


def _kept(keyed: pl.DataFrame) -> pl.DataFrame:
    """Return, per key, cutoff and day, the number of outcomes, the last one, and the PITs at or below each level."""
    known = keyed.filter(pl.col("y").is_not_null(), pl.col("centre").is_not_null())
    calibrated = known.select(*KEYS, "cutoff", "ds").with_columns(
        pl.Series("pit", pit(known), pl.Float64), pl.col("ds").dt.truncate("1d").alias("day")
    )
    below = [(pl.col("pit") <= level).sum().cast(pl.Float64).alias(name) for level, name in _grid()]
    return calibrated.group_by(*KEYS, "cutoff", "day", maintain_order=True).agg(
        pl.len().cast(pl.Float64).alias("n"), pl.col("ds").max().alias("last"), *below
    )


def _curves(daily: pl.DataFrame) -> pl.DataFrame:
    """Return one calibration map per key: the coverage of each level, shrunk towards the level itself."""
    names = _names()
    origins = daily.group_by(*KEYS, "cutoff", maintain_order=True).agg(pl.col("n", *names).sum())
    total = pl.col("n").sum().over(KEYS)
    shares = origins.with_columns(
        total.alias("total"),
        pl.len().over(KEYS).alias("origins"),
        *[(pl.col(name).sum().over(KEYS) / total).alias(f"share {name}") for name in names],
    )
    # Outcomes after one origin share the error of its level: origins, not outcomes, are independent.
    misses = [((pl.col(name) - pl.col(f"share {name}") * pl.col("n")) ** 2).sum().alias(name) for name in names]
    first = [pl.col("total", "origins").first(), *[pl.col(f"share {name}").first() for name in names]]
    calibrated = shares.group_by(KEYS, maintain_order=True).agg(*misses, *first).filter(pl.col("origins") > 1)
    clustered = pl.mean_horizontal(*names) / pl.col("total") ** 2 * pl.col("origins") / (pl.col("origins") - 1)
    noise = pl.max_horizontal(clustered, 1 / (6 * pl.col("total")))
    trust = (USUAL_MISS**2 / (USUAL_MISS**2 + noise)).clip(upper_bound=MOST_TRUST)
    moved = []
    for (level, name), mirror in zip(_grid(), names[::-1], strict=True):
        # Symmetric: ranges that are too narrow stay so, but a past bias changes with the season and the model.
        share = (pl.col(f"share {name}") + 1 - pl.col(f"share {mirror}")) / 2
        moved.append((level + trust * (share - level)).alias(name))
    return calibrated.select(*KEYS, *moved)


def _grid() -> list[tuple[float, str]]:
    return list(zip(GRID.tolist(), _names(), strict=True))


def _names() -> list[str]:
    return [f"p{level:g}" for level in GRID.round(3)]


def _by_curve(forecasts: pl.DataFrame) -> list[tuple[int, NDArray[np.int64]]]:
    """Return each calibration map other than the identity, with its rows."""
    if "curve" not in forecasts.columns:
        return []
    served = forecasts["curve"].to_numpy()
    return [(int(curve), np.flatnonzero(served == curve)) for curve in np.unique(served) if curve > 0]


def _draws(forecasts: pl.DataFrame) -> Floats:
    """Return a number in (0, 1) per row from series, cutoff and time (finaliser of SplitMix64, Steele et al. 2014)."""
    state = np.zeros(forecasts.height, dtype=np.uint64)
    for name in ("unique_id", "cutoff", "ds"):
        state = (state ^ forecasts[name].to_physical().cast(pl.Int64).to_numpy().view(np.uint64)) + np.uint64(
            0x9E3779B97F4A7C15
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return ((state >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53


def _stamp(cutoff: datetime) -> pl.Expr:
    return pl.lit(cutoff, pl.Datetime("us")).alias("cutoff")
