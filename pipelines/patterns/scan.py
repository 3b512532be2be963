"""Space-time clusters: where and since when more was reported than place and season explain.

The prospective space-time permutation scan statistic (Kulldorff, Heffernan, Hartman, Assunção and Mostashari 2005). A
cylinder is a circle of risk cells and the last 1 to 28 days. Expected in it is C_z · C_t / C: the circle's incidents of
the year times the window's incidents anywhere, over all. A place that always had many incidents, and a week that had
many everywhere, are therefore not clusters, and late reports, which lower the last days everywhere, cause none. No
population is needed. A place that grows steadily, or that gained residents, is reported as a cluster, because the
method cannot distinguish it.

The p-value is Monte Carlo (Dwass 1957): the days are permuted over the incidents, and the observed cylinder is compared
with the best cylinder of each permutation. Permuting stops early when many have exceeded the most likely cluster (Besag
and Clifford 1991), so a night without clusters costs little. Secondary clusters are compared with the best of each
permutation too: their p-values are conservative. Circles are centred on cells with incidents in the last days, in the
data and in each permutation alike, which keeps the test exact and saves most of the work.

A nightly search finds some clusters by chance. ``recurrence_days`` = 1 / p is the mean number of nights between
clusters this strong by chance alone; signals of `SIGNAL_DAYS` are therefore expected falsely once a year and category,
and categories × 365 / `SIGNAL_DAYS` times a year in total. (Nights share data, so false signals come in runs.)
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from pipelines.config.seeds import generator
from pipelines.patterns.statistics.scan_windows import (
    MAX_DAYS,
    Circles,
    Floats,
    Integers,
    circles,
    cylinders,
    separate,
    windows,
)
from pipelines.schema.dictionary import frame_schema

BACKGROUND_DAYS: Final = 365
MAX_RADIUS_M: Final = 1000.0
PERMUTATIONS: Final = 999
ENOUGH_BEATEN: Final = 20
"""Permuting stops when this many have exceeded the most likely cluster, which is then not significant."""
SIGNAL_DAYS: Final = 365
"""A signal is a cluster as rare as once in this many nights by chance alone."""
LISTED_P: Final = 0.05
"""The most likely cluster is always listed, further ones up to this p-value."""
MAX_LISTED: Final = 10

COLUMNS: Final = {
    **{name: dtype for name, dtype in frame_schema("patterns.space_time_clusters").items() if name != "geometry"},
    "centre_x_m": pl.Float64,
    "centre_y_m": pl.Float64,
}
"""The published columns, with the centre (metric CRS) that their outline is drawn from."""


def space_time_clusters(
    points: pl.DataFrame, cells: pl.DataFrame, cell_metres: int, window_end: date, permutations: int = PERMUTATIONS
) -> pl.DataFrame:
    """Find the most likely space-time clusters of each category that are still active.

    Args:
        points: One row per incident: ``category, cell_id, occurrence_date``. Those outside the listed cells are not
            counted.
        cells: ``reference.cells``: ``cell_id, cell_metres, x_m, y_m`` (lower-left corner, metric CRS).
        cell_metres: Side of the cells that form the circles.
        window_end: The first local date excluded; clusters last until the day before.
        permutations: Maximum number of permutations of the days.

    Returns:
        ``patterns.space_time_clusters``: per category the most likely cluster, then those that share no cell with a
        likelier one. ``radius_m`` is measured between cell centres: 0 is one cell. A cluster lasts from
        ``cluster_start_date`` until the day before ``window_end_date``.
    """
    placed = (
        cells.filter(pl.col("cell_metres") == cell_metres)
        .unique("cell_id")
        .select("cell_id", *(pl.col(c) + cell_metres / 2 for c in ("x_m", "y_m")))
    )
    start = window_end - timedelta(days=BACKGROUND_DAYS)
    counted = (
        points.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left"))
        .select("category", "cell_id", age=(pl.lit(window_end) - pl.col("occurrence_date")).dt.total_days() - 1)
        .join(placed, on="cell_id")
        .sort("category", "cell_id", "age")
    )
    frames = [
        _of_category(group.drop("category"), str(category), window_end, permutations)
        for (category,), group in counted.group_by("category", maintain_order=True)
    ]
    return (
        pl.concat([pl.DataFrame(schema=COLUMNS), *frames], how="diagonal")
        .with_columns(cell_metres=pl.lit(cell_metres, pl.Int32))
        .select(*COLUMNS)
    )


def _of_category(group: pl.DataFrame, category: str, window_end: date, permutations: int) -> pl.DataFrame:
    where = group.select("cell_id", "x_m", "y_m").unique().sort("cell_id")
    cell = group["cell_id"].replace_strict(where["cell_id"], np.arange(where.height), return_dtype=pl.Int64).to_numpy()
    x, y = where["x_m"].to_numpy(), where["y_m"].to_numpy()
    rings = circles(x, y, np.bincount(cell, minlength=where.height), MAX_RADIUS_M)
    age = group["age"].to_numpy()
    candidates = cylinders(rings, cell[age < MAX_DAYS], age[age < MAX_DAYS], windows(age), cell.size)
    best = separate(candidates, rings, x, y, MAX_LISTED)
    ratio = candidates.ratio[best]
    chance = permuted(rings, cell, age, permutations, ratio, generator("scan", category, window_end))
    p = (1 + (chance[None, :] >= ratio[:, None] - 1e-9).sum(axis=1)) / (1 + chance.size)
    ring, count, expected = candidates.ring[best], candidates.count[best], candidates.expected[best]
    return (
        pl.DataFrame(
            {
                "category": np.full(best.size, category),
                "cluster_rank": np.arange(1, best.size + 1, dtype=np.int32),
                "cell_id": where["cell_id"].gather(rings.centre[ring]),
                "centre_x_m": x[rings.centre[ring]],
                "centre_y_m": y[rings.centre[ring]],
                "radius_m": rings.radius[ring],
                "cluster_start_date": [window_end - timedelta(days=int(days)) for days in candidates.days[best]],
                "window_start_date": [window_end - timedelta(days=BACKGROUND_DAYS)] * best.size,
                "window_end_date": [window_end] * best.size,
                "incidents": count.astype(np.int64),
                "expected_incidents": expected,
                "excess_ratio": count / expected,
                "log_likelihood_ratio": ratio,
                "permutation_p_value": p,
                "permutations": np.full(best.size, chance.size, dtype=np.int32),
                "recurrence_days": 1 / p,
                "is_signal": p <= 1 / SIGNAL_DAYS,
            },
            schema_overrides=COLUMNS,
        )
        .filter((pl.col("cluster_rank") == 1) | (pl.col("permutation_p_value") <= LISTED_P))
        .head(MAX_LISTED)
    )


def permuted(
    rings: Circles, cell: Integers, age: Integers, permutations: int, observed: Floats, rng: np.random.Generator
) -> Floats:
    """Return the best log ratio of each permutation; fewer if the most likely cluster is exceeded often.

    Args:
        rings: The circles.
        cell: The cell of each incident of the whole span.
        age: Their ages in days, 0 for the last day.
        permutations: Maximum number of permutations.
        observed: The log ratios of the observed clusters, most likely first.
        rng: Generator of the permutations.
    """
    recent = np.sort(age[age < MAX_DAYS])
    of_window, best = windows(age), np.zeros(permutations)
    if not observed.size:
        return best[:0]
    beaten = 0
    for number in range(permutations):
        drawn = rng.permutation(cell)[: recent.size]
        best[number] = cylinders(rings, drawn, recent, of_window, cell.size).ratio.max(initial=0.0)
        beaten += int(best[number] >= observed[0] - 1e-9)
        if beaten == ENOUGH_BEATEN:
            return best[: number + 1]
    return best
