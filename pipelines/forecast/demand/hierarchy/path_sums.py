"""Sums of sample paths over areas and time, and their dispersion.

A sum is taken on each path, so every level of every hierarchy and every period are exactly additive.
"""

from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from pipelines.forecast.demand.hierarchy.common_shocks import SERIES
from pipelines.forecast.demand.hierarchy.sample_paths import SMOOTH, Paths, PathsError

CENTRAL: Final = (0.1, 0.9)
NORMAL_RANGE: Final = 2.563
"""Standard deviations between these levels (normal)."""


def over_areas(paths: Paths, membership: pl.DataFrame) -> Paths:
    """Sum series to groups.

    Args:
        paths: Paths of series.
        membership: ``unique_id, group``, one row per series and group to which it belongs; hierarchies may cross, and a
            series may be in any number of groups. Series without a row are ignored.

    Returns:
        Paths whose ids are the groups, sorted.

    Raises:
        PathsError: The membership has a series without paths, so that its group's sum would be incomplete.
    """
    rows = membership.unique().join(paths.ids.rename(SERIES).to_frame().with_row_index("row"), on=SERIES, how="left")
    missing = rows.filter(pl.col("row").is_null())
    if missing.height:
        raise PathsError(
            f"{missing['group'].min()!r} has no paths of {missing[SERIES].min()!r}: its sum would be incomplete"
        )
    groups = rows["group"].unique().sort()
    place = rows["group"].to_frame().join(groups.to_frame().with_row_index("place"), on="group", maintain_order="left")
    ones = np.ones(rows.height, np.int32)
    at = (place["place"].to_numpy(), rows["row"].to_numpy())
    count, steps, width = paths.values.shape
    incidence = csr_array((ones, at), shape=(len(groups), count), dtype=np.int32)
    summed = np.asarray(incidence @ paths.values.reshape(count, -1), np.int32)
    return Paths(groups.rename(SERIES), paths.starts, summed.reshape(-1, steps, width))


def over_time(paths: Paths, periods: pl.Series) -> Paths:
    """Sum steps to periods: hours to shifts, days or weeks.

    Args:
        paths: Paths by step.
        periods: The beginning of each step's period, in the order of ``paths.starts``; null leaves a step out. The
            caller ensures that periods are complete.

    Returns:
        Paths whose starts are the periods, sorted.
    """
    if len(periods) != len(paths.starts):
        raise PathsError("give one period for every step")
    starts = periods.drop_nulls().unique().sort()
    place = periods.to_frame("start").join(starts.to_frame("start").with_row_index("place"), on="start", how="left")
    where = place["place"].fill_null(len(starts)).to_numpy()
    summed = np.zeros((len(paths.ids), len(starts) + 1, paths.values.shape[2]), np.int32)
    for step, period in enumerate(where.tolist()):
        summed[:, period] += paths.values[:, step]
    return Paths(paths.ids, starts.alias(paths.starts.name), summed[:, :-1])


def _rows(paths: Paths) -> pl.DataFrame:
    """Return ``unique_id, ds`` in the order of the values."""
    return paths.ids.to_frame(SERIES).join(paths.starts.to_frame("ds"), how="cross", maintain_order="left_right")


def dispersions(paths: Paths, pool: pl.Expr) -> pl.DataFrame:
    """Return how much more than Poisson counts the paths vary: (variance - mean) / mean², never negative.

    The variance of large counts is that of their central range: a few paths with a storm in one part would widen every
    level of the whole.

    Args:
        paths: Paths of groups.
        pool: An expression over ``unique_id, ds``: the steps of a group that share one dispersion.

    Returns:
        ``unique_id, ds, dispersion``.
    """
    values = paths.values.astype(np.float64)
    mean = values.mean(axis=2)
    low, high = np.quantile(values, CENTRAL, axis=2)
    # Of small counts a range is a few whole numbers.
    variance = np.where(mean >= SMOOTH, ((high - low) / NORMAL_RANGE) ** 2, values.var(axis=2, ddof=1))
    excess, square = variance - mean, mean**2
    rows = _rows(paths).with_columns(
        pool.alias("_pool"), pl.Series("_excess", excess.ravel()), pl.Series("_square", square.ravel())
    )
    key = [SERIES, "_pool"]
    shared = pl.col("_excess").sum().over(key) / pl.col("_square").sum().over(key)
    spread = pl.when(shared.is_finite()).then(shared.clip(0.0)).otherwise(0.0)
    return rows.with_columns(spread.alias("dispersion")).select(SERIES, "ds", "dispersion")
