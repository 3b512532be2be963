"""Hot spots: cells whose surroundings hold more reported crime than chance would gather (Getis-Ord Gi*, analytic).

The nightly inference is the normal approximation (Ord and Getis 1995), without permutations: exact enough for ranking
and quick. Thousands of cells are tested at once, so false discoveries are held at 5 % per category (Benjamini and
Hochberg 1995). The normal approximation fails where incidents are few (one robbery makes nine "significant" cells), so
a cell must also hold more than chance would put there: the exact binomial tail of its neighbourhood's count. The larger
of the two p-values counts. Hot means more than the region's mean; nothing here allows for residents or visitors.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binom, norm

from pipelines.patterns.neighbours import neighbour_count, neighbour_sum, queen

WINDOW_DAYS: Final = 365
FALSE_DISCOVERY_RATE: Final = 0.05

COLUMNS: Final = (
    "cell_id", "cell_metres", "category", "window_start_date", "window_end_date", "incidents", "gi_star_z", "p_value",
    "is_hot",
)  # fmt: skip


def hot_spots(crime_daily: pl.DataFrame, cells: pl.DataFrame, map_metres: int, window_end: date) -> pl.DataFrame:
    """Find hot map cells per category in the year before ``window_end``.

    Args:
        crime_daily: ``marts.crime_daily``: ``cell_id, category, local_date, incidents``, on the risk grid.
        cells: ``reference.cells``: ``cell_id, cell_metres, map_cell_id, x_m, y_m``, both grids. Incidents in a
            risk cell whose map cell is not listed (its centre lies outside the region) do not count.
        map_metres: Side of the map cells that are tested.
        window_end: The first local date that no longer counts.

    Returns:
        ``patterns.hot_spots``: every map cell × category with any incident, zeros included; ``p_value`` is one-sided,
        the larger of the normal and the exact one.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    tested = cells.filter(pl.col("cell_metres") == map_metres).sort("cell_id")
    inside = crime_daily.filter(pl.col("local_date").is_between(start, window_end, closed="left"))
    # Where the two grids are one, a cell stands in the list once, as its own map cell.
    parents = cells.select("cell_id", "map_cell_id").unique()
    counted = (
        inside.join(parents, on="cell_id")
        .group_by("category", pl.col("map_cell_id").alias("cell_id"))
        .agg(pl.col("incidents").sum().cast(pl.Int64))
    )
    neighbours = queen(tested["x_m"].to_numpy(), tested["y_m"].to_numpy(), map_metres)
    frames = []
    for category in counted["category"].unique().sort():
        here = counted.filter(pl.col("category") == category).drop("category")
        full = tested.select("cell_id").join(here, on="cell_id", how="left", maintain_order="left").fill_null(0)
        counts = full["incidents"].to_numpy().astype(float)
        z = gi_star(counts, neighbours)
        p = np.maximum(norm.sf(z), chance(counts, neighbours))
        frames.append(
            full.with_columns(
                pl.lit(category).alias("category"),
                pl.Series("gi_star_z", z),
                pl.Series("p_value", p),
                pl.Series("is_hot", discoveries(p, FALSE_DISCOVERY_RATE)),
            )
        )
    if not frames:
        return _empty()
    return (
        pl.concat(frames)
        .with_columns(
            pl.lit(map_metres, pl.Int32).alias("cell_metres"),
            pl.lit(start).alias("window_start_date"),
            pl.lit(window_end).alias("window_end_date"),
        )
        .select(COLUMNS)
        .sort("category", "cell_id")
    )


def gi_star(counts: NDArray[np.float64], neighbours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Getis-Ord Gi* as a z-score: binary weights, queen neighbours and the cell itself. 0 where nothing varies."""
    n = counts.size
    mean = counts.mean() if n else 0.0
    spread = np.sqrt(max((counts**2).mean() - mean**2, 0.0)) if n else 0.0
    if n < 2 or spread == 0:
        return np.zeros(n)
    weight = neighbour_count(neighbours) + 1.0
    total = neighbour_sum(counts, neighbours) + counts
    deviation = spread * np.sqrt((n * weight - weight**2) / (n - 1))
    # A cell whose neighbourhood is the whole grid has nothing to compare with.
    return np.divide(total - mean * weight, deviation, out=np.zeros(n), where=deviation > 0)


def chance(counts: NDArray[np.float64], neighbours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact p of each neighbourhood's count, cell included, if every incident fell anywhere with equal probability."""
    share = (neighbour_count(neighbours) + 1.0) / max(counts.size, 1)
    total = neighbour_sum(counts, neighbours) + counts
    return np.asarray(binom.sf(total - 1, counts.sum(), np.minimum(share, 1.0)))


def discoveries(p_values: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """Which tests to call discoveries with at most ``rate`` false ones expected among them (Benjamini-Hochberg)."""
    ranked = np.sort(p_values)
    below = ranked <= rate * np.arange(1, ranked.size + 1) / max(ranked.size, 1)
    if not below.any():
        return np.zeros(p_values.size, dtype=bool)
    return np.asarray(p_values <= ranked[below][-1])


def _empty() -> pl.DataFrame:
    types = (pl.String, pl.Int32, pl.String, pl.Date, pl.Date, pl.Int64, pl.Float64, pl.Float64, pl.Boolean)
    return pl.DataFrame(schema=dict(zip(COLUMNS, types, strict=True)))
