"""Space-time clusters: where and since when more was reported than the place and the season alone would bring.

The prospective space-time permutation scan statistic (Kulldorff, Heffernan, Hartman, Assunção and Mostashari 2005).
A cylinder is a circle of risk cells and the last 1 to 28 days. Expected in it is C_z · C_t / C: the circle's incidents
of the year times the window's incidents anywhere, over all. A place that always had much, and a week that had much
everywhere, are therefore no clusters, and late reports, which thin the last days everywhere, make none. No population
is asked for. A place that grows steadily, or that gained residents, is told as a cluster: the method cannot know.

The p-value is Monte Carlo (Dwass 1957): the days are permuted over the incidents, and the best cylinder of each
permutation is held against ours. Permuting stops early when many have beaten the most likely cluster (Besag and
Clifford 1991), so a quiet night costs little. Secondary clusters are held against the best of each permutation too:
their p-values are too large rather than too small. Circles are centred on cells where something happened in the last
days, in the data and in each permutation alike, which leaves the test exact and saves most of the work.

A nightly search finds something by chance. ``recurrence_days`` = 1 / p is how many nights pass between clusters so
strong if nothing is ever going on; signals of `SIGNAL_DAYS` are therefore expected falsely once a year and category,
and categories × 365 / `SIGNAL_DAYS` times a year in all. (Nights share data, so false signals come in runs.)
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
"""Permuting stops when so many have beaten the most likely cluster: its p-value is then no matter of interest."""
SIGNAL_DAYS: Final = 365
"""A signal is a cluster as rare as once in so many nights by chance alone."""
LISTED_P: Final = 0.05
"""The most likely cluster is always listed, the next ones up to this p-value."""
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
    """Find the most likely space-time clusters of each category that are still going on.

    Args:
        points: One row per incident: ``category, cell_id, local_date``. Those in no listed cell do not count.
        cells: ``reference.cells``: ``cell_id, cell_metres, x_m, y_m`` (lower-left corner, metric CRS).
        cell_metres: Side of the cells that circles are made of.
        window_end: The first local date that no longer counts; clusters last until the day before.
        permutations: How many permutations of the days to make at most.

    Returns:
        ``patterns.space_time_clusters``: per category the most likely cluster, then those that share no cell with a
        likelier one. ``radius_m`` reaches from cell centre to cell centre: 0 is one cell. A cluster lasts from
        ``cluster_start_date`` until the day before ``window_end_date``.
    """
    placed = (
        cells.filter(pl.col("cell_metres") == cell_metres)
        .unique("cell_id")
        .select("cell_id", *(pl.col(c) + cell_metres / 2 for c in ("x_m", "y_m")))
    )
    start = window_end - timedelta(days=BACKGROUND_DAYS)
    counted = (
        points.filter(pl.col("local_date").is_between(start, window_end, closed="left"))
        .select("category", "cell_id", age=(pl.lit(window_end) - pl.col("local_date")).dt.total_days() - 1)
        .join(placed, on="cell_id")
        .sort("category", "cell_id", "age")
    )
    frames = [
        _of_category(own.drop("category"), str(category), window_end, permutations)
        for (category,), own in counted.group_by("category", maintain_order=True)
    ]
    return (
        pl.concat([pl.DataFrame(schema=COLUMNS), *frames], how="diagonal")
        .with_columns(cell_metres=pl.lit(cell_metres, pl.Int32))
        .select(*COLUMNS)
    )


def _of_category(own: pl.DataFrame, category: str, window_end: date, permutations: int) -> pl.DataFrame:
    where = own.select("cell_id", "x_m", "y_m").unique().sort("cell_id")
    cell = own["cell_id"].replace_strict(where["cell_id"], np.arange(where.height), return_dtype=pl.Int64).to_numpy()
    x, y = where["x_m"].to_numpy(), where["y_m"].to_numpy()
    made = circles(x, y, np.bincount(cell, minlength=where.height), MAX_RADIUS_M)
    age = own["age"].to_numpy()
    found = cylinders(made, cell[age < MAX_DAYS], age[age < MAX_DAYS], windows(age), cell.size)
    best = separate(found, made, x, y, MAX_LISTED)
    ratio = found.ratio[best]
    chance = permuted(made, cell, age, permutations, ratio, generator("scan", category, window_end))
    p = (1 + (chance[None, :] >= ratio[:, None] - 1e-9).sum(axis=1)) / (1 + chance.size)
    ring, count, expected = found.ring[best], found.count[best], found.expected[best]
    return (
        pl.DataFrame(
            {
                "category": np.full(best.size, category),
                "cluster_rank": np.arange(1, best.size + 1, dtype=np.int32),
                "cell_id": where["cell_id"].gather(made.centre[ring]),
                "centre_x_m": x[made.centre[ring]],
                "centre_y_m": y[made.centre[ring]],
                "radius_m": made.radius[ring],
                "cluster_start_date": [window_end - timedelta(days=int(days)) for days in found.days[best]],
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
    made: Circles, cell: Integers, age: Integers, permutations: int, ours: Floats, rng: np.random.Generator
) -> Floats:
    """The best log ratio of each permutation; fewer than asked for when the most likely cluster is beaten often.

    Args:
        made: The circles.
        cell: The cell of each incident of the whole span.
        age: Their ages in days, 0 for the last day.
        permutations: How many to make at most.
        ours: The log ratios of the clusters found, most likely first.
        rng: What the permutations are drawn with.
    """
    recent = np.sort(age[age < MAX_DAYS])
    of_window, best = windows(age), np.zeros(permutations)
    if not ours.size:
        return best[:0]
    beaten = 0
    for number in range(permutations):
        drawn = rng.permutation(cell)[: recent.size]
        best[number] = cylinders(made, drawn, recent, of_window, cell.size).ratio.max(initial=0.0)
        beaten += int(best[number] >= ours[0] - 1e-9)
        if beaten == ENOUGH_BEATEN:
            return best[: number + 1]
    return best
