"""Bottom-up aggregation: every area and period above the leaves is the sum of the leaves' joint sample paths.

The leaves of a hierarchy keep their own models and ranges; upper areas' own forecasts scale the leaves' means
(``top_down``). The other hierarchies' leaves are scaled to the region of the administrative
one, so that all hierarchies agree there. Means are exactly additive. A sum's distribution is the negative binomial with
the variance of the sums of the sample paths: five hundred paths estimate a variance well, and the 99th percentile
poorly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from pipelines.forecast import parallel
from pipelines.forecast.demand.evaluation.negative_binomial import Floats
from pipelines.forecast.demand.hierarchy import common_shocks, path_sums, sample_paths, top_down
from pipelines.forecast.demand.hierarchy.area_hierarchy import WHOLE
from pipelines.forecast.demand.hierarchy.sample_paths import Paths
from pipelines.forecast.demand.series import Frequency
from pipelines.forecast.parallel import HERE, Workers

MODEL: Final = "sum_of_parts"
"""Model name of published forecasts that are sums."""
METHOD: Final = "bottom_up"
"""``method`` of published forecasts that are sums."""
POOLED_DAYS: Final = {"h": 1, "D": 7}
"""Days of a forecast whose sums share one dispersion, which the paths then estimate well."""
WORTH_A_START: Final = 200_000
"""Forecast rows from which more processes save more time than they take to start."""
KEYS: Final = ["unique_id", "cutoff", "ds"]
FORECAST_COLUMNS: Final = [*KEYS, "block", "y", "mean", "dispersion", "curve"]
"""Columns of ``Family.forecasts``."""
PERIOD: Final = ["frequency", "shift", "period"]


@dataclass(frozen=True, slots=True)
class Family:
    """One service and measure in all of its hierarchies.

    ``forecasts``: the publishable forecast of every series, leaf or not: ``unique_id, cutoff, ds, block, y, mean,
    dispersion, curve``; ``hierarchies``: as from ``area_hierarchy.members``, the administrative one first; ``freq``:
    distance of its steps. ``periods``: ``ds, times, frequency, shift, period``: the wider periods of the steps ahead,
    complete ones only; a repeated hour counts two ``times``. ``is_informed``: whether upper areas' own forecasts may
    adjust the leaves. ``crossing``: ``unique_id, group``: leaves of the first hierarchy in sums that are none of its
    areas.
    """

    forecasts: pl.DataFrame
    hierarchies: Sequence[pl.DataFrame]
    freq: Frequency
    periods: pl.DataFrame | None = None
    is_informed: bool = True
    crossing: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """Forecasts whose areas and periods add up: means and dispersions.

    ``areas``: ``unique_id, cutoff, ds, mean, dispersion, is_sum`` of leaves, with their own dispersion, and of the
    areas above them.
    ``periods``: ``unique_id, frequency, shift, period, mean, dispersion`` from the last cutoff.
    """

    areas: pl.DataFrame
    periods: pl.DataFrame


def add_up(family: Family, cutoffs: Sequence[datetime], curves: Floats) -> Sums:
    """Sum a family at every cutoff, using outcomes before it.

    Args:
        family: Its leaves have a mean for every step of the cutoffs.
        cutoffs: Local times, ascending; the last one is that of the issue.
        curves: As from ``calibration.recalibrated``.

    Raises:
        PathsError: A leaf has no mean for a step.
    """
    areas, periods = [], []
    # A repeated hour is drawn once, and both hours are published with it.
    rows = family.forecasts.unique(KEYS, keep="first", maintain_order=True)
    for cutoff in cutoffs:
        known, total = rows.filter(pl.col("cutoff") <= cutoff), None
        for members in family.hierarchies:
            moved = _moved(known, members, cutoff, total, family.is_informed)
            # The region is in the administrative hierarchy only.
            above = membership(members, members.columns[1 if total is None else 2 :])
            if total is None:
                above = above if family.crossing is None else pl.concat([above, family.crossing])
                total = moved.group_by("cutoff", "ds", maintain_order=True).agg(pl.col("mean").sum().alias("total"))
            now = moved.filter(pl.col("cutoff") == cutoff)
            drawn = sample_paths.draw(now, members, common_shocks.learn(moved, members, cutoff), curves=curves)
            summed = path_sums.over_areas(drawn, above)
            areas += [
                now.select(*KEYS, "mean", "dispersion", pl.lit(False).alias("is_sum")),
                _areas(now, summed, above, POOLED_DAYS[family.freq]),
            ]
            if family.periods is not None and cutoff == cutoffs[-1]:
                periods += _periods(areas[-2:], [drawn, summed], family.periods)
    none = _none(family)
    return Sums(pl.concat([none.areas, *areas]), pl.concat([none.periods, *periods]))


def together(families: Sequence[tuple[Family, Sequence[datetime], Floats]], workers: Workers) -> Sums:
    """Run ``add_up`` for several families (with their cutoffs and curves), in parallel if that is worth starting."""
    is_long = sum(family.forecasts.height for family, *_ in families) >= WORTH_A_START
    result = parallel.map_tasks(add_up, families, workers if is_long else HERE)
    return Sums(pl.concat(single.areas for single in result), pl.concat(single.periods for single in result))


def _moved(
    known: pl.DataFrame, members: pl.DataFrame, cutoff: datetime, total: pl.DataFrame | None, is_informed: bool
) -> pl.DataFrame:
    """Return the leaves' rows, their means adjusted by the areas above and scaled to the region's, if given."""
    bottom = known.join(members, on="unique_id", how="semi", maintain_order="left")
    levels = [name for name in members.columns[1:] if name != WHOLE or total is None]
    if is_informed and levels:
        levels_above = [
            known.join(members.select(pl.col(level).unique()), left_on="unique_id", right_on=level, how="semi")
            .rename({"unique_id": "group"})
            .select(pl.lit(level).alias("level"), "group", "cutoff", "ds", "mean")
            for level in levels
        ]
        upper = pl.concat(levels_above).unique(["level", "group", "cutoff", "ds"], keep="first", maintain_order=True)
        weights = top_down.learn_weights(bottom, upper, members, cutoff)
        bottom = top_down.informed(bottom, upper, members, weights)
    if total is None:
        return bottom
    scaled = bottom.join(total, on=["cutoff", "ds"], how="left", maintain_order="left")
    own_total = pl.col("mean").sum().over("cutoff", "ds")
    factor = pl.when(own_total > 0).then(pl.col("total") / own_total).fill_null(1.0)
    return scaled.with_columns(pl.col("mean") * factor).drop("total")


def membership(members: pl.DataFrame, levels: Sequence[str]) -> pl.DataFrame:
    """Return ``unique_id, group`` of the areas at these levels; a leaf that represents itself there is left out."""
    listed = [members.select("unique_id", pl.col(level).alias("group")) for level in levels]
    none = members.select("unique_id", pl.col("unique_id").alias("group")).clear()
    return pl.concat([none, *listed]).filter(~pl.col("group").is_in(members["unique_id"].implode()))


def _areas(now: pl.DataFrame, summed: Paths, membership: pl.DataFrame, days: int) -> pl.DataFrame:
    """Return ``Sums.areas`` of the areas above the leaves."""
    means = (
        now.join(membership, on="unique_id", maintain_order="left")
        .group_by("group", "cutoff", "ds", maintain_order=True)
        .agg(pl.col("mean").sum(), pl.lit(True).alias("is_sum"))
        .rename({"group": "unique_id"})
    )
    block = (pl.col("ds") - pl.col("ds").min()).dt.total_days() // days
    spread = path_sums.dispersions(summed, block)
    return means.join(spread, on=["unique_id", "ds"], maintain_order="left").select(
        *KEYS, "mean", "dispersion", "is_sum"
    )


def _periods(areas: Sequence[pl.DataFrame], drawn: Sequence[Paths], periods: pl.DataFrame) -> list[pl.DataFrame]:
    """Return ``Sums.periods`` of leaves and sums: whole days and shifts of the hours ahead."""
    result = []
    for steps in periods.partition_by("frequency", "shift", maintain_order=True):
        for rows, steps_of in zip(areas, drawn, strict=True):
            if rows.is_empty():
                continue
            names = steps_of.starts.to_frame("ds").join(steps, on="ds", how="left", maintain_order="left")["period"]
            spread = path_sums.dispersions(
                path_sums.over_time(steps_of, names), pl.int_range(pl.len()).over("unique_id")
            )
            means = (
                rows.join(steps, on="ds")
                .group_by("unique_id", *PERIOD, maintain_order=True)
                .agg((pl.col("mean") * pl.col("times")).sum())
            )
            joined = means.join(spread.rename({"ds": "period"}), on=["unique_id", "period"], maintain_order="left")
            result.append(joined.select("unique_id", *PERIOD, "mean", "dispersion"))
    return result


def _none(family: Family) -> Sums:
    """Return empty sums, with the columns that sums have."""
    areas = family.forecasts.select(*KEYS, "mean", "dispersion", pl.lit(False).alias("is_sum")).clear()
    none = [pl.lit(None, pl.String).alias("frequency"), pl.lit(None, pl.String).alias("shift")]
    return Sums(areas, areas.select("unique_id", *none, pl.col("ds").alias("period"), "mean", "dispersion"))


def added(chosen: pl.DataFrame, sums: Sums) -> pl.DataFrame:
    """Return published forecasts with additive means; sums have their paths' dispersion and ``MODEL`` in ``models``.

    ``is_reconciled`` marks leaves whose mean was adjusted by the areas above or the region.

    Args:
        chosen: ``unique_id, cutoff, ds, mean, centre, dispersion, is_calibrated, curve, models, method``, more columns
            kept; rows of other cutoffs are unchanged.
        sums: Of the same series.
    """
    result = chosen.join(sums.areas, on=KEYS, how="left", maintain_order="left", suffix="_sum")
    is_reconciled = ~pl.col("is_sum") & (pl.col("mean_sum") != pl.col("mean"))
    marked = result.with_columns(is_reconciled.fill_null(False).alias("is_reconciled"))
    return _replaced(marked, pl.col("is_sum").fill_null(False)).drop("is_sum")


def by_period(chosen: pl.DataFrame, sums: Sums, frequency: str) -> pl.DataFrame:
    """Return forecasts of days (``D``) or shifts (``S``) ahead, with the sums of their hours where these are forecast.

    Args:
        chosen: As for ``added``, with ``target_start`` (null: not ahead) and, for shifts, ``shift``.
        sums: Those of the hours.
        frequency: ``D`` or ``S``.
    """
    of_hours = sums.periods.filter(pl.col("frequency") == frequency).drop("frequency").rename({"period": "ds"})
    keys = ["unique_id", "shift", "ds"] if frequency == "S" else ["unique_id", "ds"]
    of_hours = of_hours.select(*keys, "mean", "dispersion", pl.lit(True).alias("is_sum"))
    result = chosen.join(of_hours, on=keys, how="left", maintain_order="left", suffix="_sum")
    is_sum = pl.col("is_sum").fill_null(False) & pl.col("target_start").is_not_null()
    return _replaced(result.with_columns(pl.when(is_sum).then("mean_sum").alias("mean_sum")), is_sum).drop("is_sum")


def _replaced(result: pl.DataFrame, is_sum: pl.Expr) -> pl.DataFrame:
    """Replace means by those of sums, and the rest of the distribution where the row is a sum."""
    mean = pl.coalesce("mean_sum", "mean").alias("mean")
    centre = pl.coalesce("mean_sum", "centre").alias("centre")
    return result.with_columns(
        mean,
        centre,
        pl.when(is_sum).then("dispersion_sum").otherwise("dispersion").alias("dispersion"),
        pl.when(is_sum).then(0).otherwise("curve").cast(result.schema["curve"]).alias("curve"),
        pl.when(is_sum).then(pl.lit(MODEL)).otherwise("models").alias("models"),
        pl.when(is_sum).then(pl.lit(METHOD)).otherwise("method").alias("method"),
        (is_sum | pl.col("is_calibrated")).alias("is_calibrated"),
        (~is_sum & pl.col("is_reconciled")).alias("is_reconciled"),
    ).drop("mean_sum", "dispersion_sum")
