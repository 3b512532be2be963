"""Hot spots: cells whose neighbourhood has more reported crime than chance explains (Getis-Ord Gi*, analytic).

The nightly inference is the normal approximation (Ord and Getis 1995), without permutations: accurate enough for
ranking and fast. Thousands of cells are tested at once, so the false discovery rate is controlled at 5 % per category
(Benjamini and Hochberg 1995). The normal approximation fails for few incidents (one robbery makes nine "significant"
cells), so the exact binomial tail of the neighbourhood's count is computed too, and the larger of the two p-values is
used. Hot means more than the region's mean; residents and visitors are not accounted for.

Local Moran is reported as well: Gi* finds high neighbourhoods, local Moran also a high cell among low ones and a low
cell among high ones. Its p-values come from permutations, with the same false discovery rate. They reflect how uneven
single cells are: one busy junction makes its nine cells hot by Gi* and none of them by local Moran.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binom, norm

from pipelines.patterns.local_moran import LocalMoran, local_moran
from pipelines.patterns.statistics.counts import map_cells, on_map
from pipelines.patterns.statistics.neighbours import neighbour_count, neighbour_sum, queen
from pipelines.schema.dictionary import frame_schema

WINDOW_DAYS: Final = 365
FALSE_DISCOVERY_RATE: Final = 0.05

SCHEMA: Final = frame_schema("patterns.hot_spots")
COLUMNS: Final = tuple(SCHEMA)


def hot_spots(crime_daily: pl.DataFrame, cells: pl.DataFrame, map_metres: int, window_end: date) -> pl.DataFrame:
    """Find hot map cells per category in the year before ``window_end``.

    Args:
        crime_daily: ``marts.crime_daily``: ``cell_id, category, occurrence_date, incidents``, on the risk grid.
        cells: ``reference.cells``: ``cell_id, cell_metres, map_cell_id, x_m, y_m``, both grids.
        map_metres: Side of the map cells that are tested.
        window_end: The first local date excluded.

    Returns:
        ``patterns.hot_spots``, with ``SCHEMA``: every map cell × category with any incident, zeros included;
        ``p_value`` is one-sided, the larger of the normal and the exact one.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    tested = map_cells(cells, map_metres)
    neighbours = queen(tested["x_m"].to_numpy(), tested["y_m"].to_numpy(), map_metres)
    frames = [
        tested.select("cell_id").with_columns(
            pl.lit(map_metres, pl.Int32).alias("cell_metres"),
            pl.lit(category).alias("category"),
            pl.lit(start).alias("window_start_date"),
            pl.lit(window_end).alias("window_end_date"),
            pl.Series("incidents", steps[0].astype(np.int64)),
            *_tested(steps[0], neighbours, category, window_end),
        )
        for category, steps in on_map(crime_daily, cells, map_metres, start, window_end, WINDOW_DAYS)
    ]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *frames]).sort("category", "cell_id")


def _tested(counts: NDArray[np.float64], neighbours: NDArray[np.int64], *seed: object) -> list[pl.Series]:
    """Return both statistics of the cells of one category, as the last columns of ``SCHEMA``."""
    z = gi_star(counts, neighbours)
    p = np.maximum(norm.sf(z), chance(counts, neighbours))
    moran = local_moran(counts, neighbours, *seed)
    return [
        pl.Series("gi_star_z", z),
        pl.Series("p_value", p),
        pl.Series("is_hot", discoveries(p, FALSE_DISCOVERY_RATE)),
        *moran_columns(moran),
    ]


def moran_columns(moran: LocalMoran) -> list[pl.Series]:
    """Return local Moran as the last four columns of ``SCHEMA``; undefined values are null and not significant."""
    known = np.isfinite(moran.p_value)
    significant = np.zeros(known.size, dtype=bool)
    significant[known] = discoveries(moran.p_value[known], FALSE_DISCOVERY_RATE)
    return [
        pl.Series("local_moran", moran.local_moran, nan_to_null=True),
        pl.Series("local_moran_p_value", moran.p_value, nan_to_null=True),
        pl.Series("quadrant", moran.quadrant.tolist(), dtype=pl.String),
        pl.Series("is_moran_significant", significant),
    ]


def gi_star(counts: NDArray[np.float64], neighbours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Getis-Ord Gi* as a z-score: binary weights, queen neighbours and the cell itself. 0 without variation."""
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
    """Return the exact p of each neighbourhood's count, cell included, if every incident is equally likely anywhere."""
    share = (neighbour_count(neighbours) + 1.0) / max(counts.size, 1)
    total = neighbour_sum(counts, neighbours) + counts
    return np.asarray(binom.sf(total - 1, counts.sum(), np.minimum(share, 1.0)))


def discoveries(p_values: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """Return which tests are discoveries at a false discovery rate of at most ``rate`` (Benjamini-Hochberg)."""
    ranked = np.sort(p_values)
    below = ranked <= rate * np.arange(1, ranked.size + 1) / max(ranked.size, 1)
    if not below.any():
        return np.zeros(p_values.size, dtype=bool)
    return np.asarray(p_values <= ranked[below][-1])
