"""Ranges learnt from what was missed: a dispersion that grows with the horizon, then levels moved to where they held.

First the negative binomial around a mean gets the dispersion of the mean's own misses in a backtest, larger the further
ahead. Then the randomised probability integral transform (PIT) of past outcomes tells how often each level was really
kept, and levels are moved accordingly (recalibration, Kuleshov, Fenner and Ermon 2018; PIT of counts by Czado, Gneiting
and Held 2009). Moved levels go through the same negative binomial, so every quantile stays a whole, non-negative count.
Everything is learnt from outcomes before each row's own cutoff.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from pipelines.forecast.demand.evaluation import negative_binomial
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS, Floats

BLOCK_ENDS: Final = (1, 7, 42)
"""Days ahead at which a horizon block ends."""
BLOCKS: Final = ("day 1", "days 2-7", "days 8-42", "days 43-84")

FLOOR: Final = 1e-3
"""Blocks are compared from this dispersion on: below it they are Poisson all alike."""

GRID: Final = np.array([0, 0.005, 0.01, 0.025, *np.arange(0.05, 0.951, 0.05), 0.975, 0.99, 0.995, 1.0])
"""Levels at which a curve is learnt; between them it is straight."""
MIDDLE: Final = GRID.size // 2
IDENTITY: Final = GRID[None, :]
"""The curves of forecasts whose levels stay where they are."""

USUAL_MISS: Final = 0.03
"""How far the kept share of a level usually lies from the level (prior standard deviation): what few origins tell
weighs less than this."""
MOST_TRUST: Final = 0.95

KEYS: Final = ["model", "level", "hours"]


def block() -> pl.Expr:
    """The horizon block 0 to 3 (``BLOCKS``) of ``ds`` as seen from ``cutoff``."""
    days = (pl.col("ds") - pl.col("cutoff")).dt.total_days()
    return pl.sum_horizontal(*[(days >= end).cast(pl.Int8) for end in BLOCK_ENDS]).cast(pl.Int8).alias("block")


def dispersed(said: pl.DataFrame, naive: str) -> pl.DataFrame:
    """Add ``block``, ``dispersion`` and ``is_calibrated``, learnt from outcomes before each row's own cutoff.

    A dispersion is that of the series and model times the factor of its horizon block; factors are the pool's and never
    fall. A series leans on its ``pool`` (the same service in other districts, say) and there on every model but the
    ``naive`` one, whose misses are of another kind; a model without any outcome of its own yet takes the pool's. Before
    there is any outcome at all the dispersion is 0, which is Poisson, and ``is_calibrated`` is false.

    Args:
        said: ``unique_id, pool, cutoff, ds, y`` (null: not known), ``model, mean``.
        naive: The model that has a pool of its own.
    """
    by, pool = ["model", "unique_id"], ["family", "pool"]
    blocked = said.with_columns(block(), (pl.col("model") == naive).alias("family"))
    age = (pl.col("ds") - pl.col("cutoff")).dt.total_days().alias("age")
    known = blocked.filter(pl.col("y").is_not_null(), pl.col("mean").is_not_null()).with_columns(age)
    # By the day: hours have no outcome before a later cutoff that their whole day has not.
    daily = negative_binomial.moments(known, [*by, *pool, "block", "cutoff", "age"], pl.col("ds").max().alias("last"))
    factors, own, wide = [], [], []
    for cutoff in blocked["cutoff"].unique().sort():
        before = daily.filter(pl.col("last") < cutoff, pl.col("cutoff") < cutoff)
        if before.height:
            stamp = _stamp(cutoff)
            factor = _horizon_factors(before, pool)
            scaled = before.join(factor, on=[*pool, "block"], how="left", maintain_order="left")
            factors.append(factor.with_columns(stamp))
            own.append(
                negative_binomial.dispersions(scaled, [*by, *pool], pool).drop("information").with_columns(stamp)
            )
            wide.append(negative_binomial.dispersions(scaled, pool, pool).drop("information").with_columns(stamp))
    if not own:
        return blocked.with_columns(dispersion=pl.lit(0.0), is_calibrated=pl.lit(False))
    learnt = (
        blocked.join(pl.concat(own), on=[*by, *pool, "cutoff"], how="left", maintain_order="left")
        .join(pl.concat(wide), on=[*pool, "cutoff"], how="left", maintain_order="left", suffix="_pool")
        .join(pl.concat(factors), on=[*pool, "block", "cutoff"], how="left", maintain_order="left")
    )
    spread = pl.coalesce("dispersion", "dispersion_pool")
    # A block that no outcome has reached yet is taken to be like the furthest that one has.
    furthest = pl.col("factor").max().over([*pool, "cutoff"])
    return learnt.with_columns(
        spread.is_not_null().alias("is_calibrated"),
        (spread * pl.coalesce("factor", furthest, pl.lit(1.0))).fill_null(0.0).alias("dispersion"),
    ).drop("dispersion_pool", "factor")


def _horizon_factors(before: pl.DataFrame, pool: Sequence[str]) -> pl.DataFrame:
    """``pool, block, factor``: each block's dispersion over the nearest block's, never falling with the horizon."""
    found = negative_binomial.dispersions(before, [*pool, "block"], pool).sort(*pool, "block")
    parts = []
    for part in found.partition_by(pool, maintain_order=True):
        seen, weight = part["dispersion"].clip(FLOOR).to_numpy(), part["information"].clip(1e-9).to_numpy()
        rising = isotonic_regression(seen, weights=weight).x
        parts.append(part.select(*pool, "block", pl.Series("factor", rising / rising[0])))
    return pl.concat(parts)


def recalibrated(said: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """Learn per model, area level and six hours of the day how far ranges were too narrow or wide before each cutoff.

    Args:
        said: What ``dispersed`` returns, with ``centre``; ``level`` (of the area tree) is one for all where it is
            missing. ``unique_id`` is an integer.

    Returns:
        ``said`` with ``curve``, and the curves: row ``curve`` gives the calibrated probability of ``GRID``. Curve 0
        moves nothing. The fewer origins, and the more alike the misses after one, the nearer a curve is to that one.
    """
    level = pl.col("level") if "level" in said.columns else pl.lit("all")
    keyed = said.with_columns(level.alias("level"), (pl.col("ds").dt.hour() // 6).alias("hours"))
    if keyed.is_empty():
        return keyed.drop("hours").with_columns(curve=pl.lit(0, pl.UInt32)), IDENTITY
    daily = _kept(keyed)
    found = [
        _curves(daily.filter(pl.col("cutoff") < cutoff, pl.col("last") < cutoff)).with_columns(_stamp(cutoff))
        for cutoff in keyed["cutoff"].unique().sort()
    ]
    curves = pl.concat(found).with_row_index("curve", offset=1)
    keys = [*KEYS, "cutoff"]
    joined = keyed.join(curves.select(*keys, "curve"), on=keys, how="left", maintain_order="left")
    stacked = np.vstack([IDENTITY, curves.select(_names()).to_numpy()])
    return joined.with_columns(pl.col("curve").fill_null(0)).drop("hours"), stacked


def stacked(parts: Sequence[tuple[pl.DataFrame, Floats]]) -> tuple[pl.DataFrame, Floats]:
    """Several recalibrated frames, each with its curves, as one."""
    frames, curves = [], [IDENTITY]
    for frame, own in parts:
        before = sum(len(one) for one in curves) - 1
        place = pl.when(pl.col("curve") > 0).then(pl.col("curve") + before).otherwise(0)
        frames.append(frame.with_columns(place.cast(pl.UInt32).alias("curve")))
        curves.append(own[1:])
    return pl.concat(frames, how="diagonal_relaxed"), np.vstack(curves)


def pit(forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> Floats:
    """The randomised PIT of each row's ``y``: uniform between 0 and 1 where the forecast is calibrated.

    The draw depends on series, cutoff and time alone.
    """
    y = forecasts["y"].to_numpy()
    upper, lower = probability(y, forecasts, curves), probability(y - 1, forecasts, curves)
    return lower + _draws(forecasts) * (upper - lower)


def probability(count: ArrayLike, forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> Floats:
    """P(demand <= count) of each row's calibrated distribution.

    Args:
        count: One per row, or one for all.
        forecasts: ``centre, dispersion`` and, where levels were moved, ``curve``.
        curves: As ``recalibrated`` gives.
    """
    plain = negative_binomial.cumulative(count, forecasts["centre"].to_numpy(), forecasts["dispersion"].to_numpy())
    return moved(plain, forecasts, curves)


def moved(plain: Floats, forecasts: pl.DataFrame, curves: Floats) -> Floats:
    """Probabilities of each row's negative binomial as its ``curve``, if it has one, calibrates them."""
    found = plain.copy()
    for curve, rows in _by_curve(forecasts):
        found[rows] = np.interp(plain[rows], GRID, curves[curve])
    return found


def counts(uniforms: Floats, forecasts: pl.DataFrame, curves: Floats = IDENTITY) -> Floats:
    """Counts at given levels of each row's calibrated distribution: samples, where the levels are uniform draws.

    Args:
        uniforms: In (0, 1), one row per forecast, any number of columns.
        forecasts: ``centre, dispersion`` and, where levels were moved, ``curve``.
        curves: As ``recalibrated`` gives.

    Returns:
        Whole, non-negative numbers in the shape of ``uniforms``; never falling as the level rises.
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
    """Per key, cutoff and day: how many outcomes, the last of them, and how many PITs lie at or below each level."""
    known = keyed.filter(pl.col("y").is_not_null(), pl.col("centre").is_not_null())
    found = known.with_columns(pl.Series("pit", pit(known), pl.Float64), pl.col("ds").dt.truncate("1d").alias("day"))
    below = [(pl.col("pit") <= level).sum().cast(pl.Float64).alias(name) for level, name in _grid()]
    return found.group_by(*KEYS, "cutoff", "day", maintain_order=True).agg(
        pl.len().cast(pl.Float64).alias("n"), pl.col("ds").max().alias("last"), *below
    )


def _curves(daily: pl.DataFrame) -> pl.DataFrame:
    """One curve per key: the kept share of each level, leaning on the level itself."""
    names = _names()
    origins = daily.group_by(*KEYS, "cutoff", maintain_order=True).agg(pl.col("n", *names).sum())
    total = pl.col("n").sum().over(KEYS)
    shares = origins.with_columns(
        total.alias("total"),
        pl.len().over(KEYS).alias("origins"),
        *[(pl.col(name).sum().over(KEYS) / total).alias(f"share {name}") for name in names],
    )
    # Outcomes after one origin share the error of its level: origins, not outcomes, are what is independent.
    misses = [((pl.col(name) - pl.col(f"share {name}") * pl.col("n")) ** 2).sum().alias(name) for name in names]
    first = [pl.col("total", "origins").first(), *[pl.col(f"share {name}").first() for name in names]]
    found = shares.group_by(KEYS, maintain_order=True).agg(*misses, *first).filter(pl.col("origins") > 1)
    clustered = pl.mean_horizontal(*names) / pl.col("total") ** 2 * pl.col("origins") / (pl.col("origins") - 1)
    noise = pl.max_horizontal(clustered, 1 / (6 * pl.col("total")))
    trust = (USUAL_MISS**2 / (USUAL_MISS**2 + noise)).clip(upper_bound=MOST_TRUST)
    moved = []
    for (level, name), mirror in zip(_grid(), names[::-1], strict=True):
        # Both sides alike: ranges too narrow stay so, but a past bias turns with the season and with the model.
        share = (pl.col(f"share {name}") + 1 - pl.col(f"share {mirror}")) / 2
        moved.append((level + trust * (share - level)).alias(name))
    return found.select(*KEYS, *moved)


def _grid() -> list[tuple[float, str]]:
    return list(zip(GRID.tolist(), _names(), strict=True))


def _names() -> list[str]:
    return [f"p{level:g}" for level in GRID.round(3)]


def _by_curve(forecasts: pl.DataFrame) -> list[tuple[int, NDArray[np.int64]]]:
    """Each curve that moves a level, with the rows it serves."""
    if "curve" not in forecasts.columns:
        return []
    served = forecasts["curve"].to_numpy()
    return [(int(curve), np.flatnonzero(served == curve)) for curve in np.unique(served) if curve > 0]


def _draws(forecasts: pl.DataFrame) -> Floats:
    """A number in (0, 1) per row from series, cutoff and time (the finaliser of SplitMix64, Steele et al. 2014)."""
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
