"""Near repeats: are crimes that are close in space also close in time, more often than by chance?

The Knox table (Knox 1964; by bands as in Johnson et al. 2007 and Ratcliffe's Near Repeat Calculator): pairs of
incidents of one category within a year, counted by band of distance and band of days between. Expected is the exact
mean over all permutations of the days, (pairs in the distance band) · (pairs in the time band) / (all pairs), which the
Calculator estimates by a sample mean. The p-value is one-sided Monte Carlo, (1 + permutations with at least as many
pairs) / (1 + permutations). Each of a table's 88 cells is tested separately: about one in a hundred has p ≤ 0.01 by
chance.

Exact repeats (within 1 m: the same address) have a separate band. **Where the source moves locations to a junction or a
grid, distance 0 means "the same junction", and the first band loses its meaning**; ``shared_place_share`` shows this.
The day is that of the occurrence; if only a span of up to a week is known, its start. `nightly` leaves out longer
spans, such as a month.

The bands are constants, the same for all categories and regions, so that tables can be compared. Work is bounded: with
more than `MAX_PAIRS` pairs within 1 km, incidents are thinned at random (ratios keep their mean; ``sampled_share``
reports it), and the more pairs, the fewer permutations.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipelines.config.seeds import generator
from pipelines.schema.dictionary import frame_schema

WINDOW_DAYS: Final = 365
DISTANCES_M: Final = (1.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0)
"""Upper ends of the distance bands, inclusive; the first band is the same place."""
DAYS: Final = (7, 14, 21, 28, 35, 42, 49, 56)
"""Upper ends of the time bands, inclusive: 0 to 7 days, 8 to 14, and so on."""
PERMUTATIONS: Final = 999
FEWEST_PERMUTATIONS: Final = 199
MAX_PAIRS: Final = 4_000_000
_WORK: Final = 1_000_000_000
"""Pairs times permutations: takes some seconds."""
_PAIRS_AT_ONCE: Final = 65_536
"""Size that fits in the processor's cache."""

COLUMNS: Final = frame_schema("patterns.near_repeats")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Indices = NDArray[np.int32]


def near_repeats(points: pl.DataFrame, window_end: date, permutations: int = PERMUTATIONS) -> pl.DataFrame:
    """Return the Knox table of each category over the year before ``window_end``.

    Args:
        points: One row per incident: ``category, occurrence_date, x_m, y_m`` (metric CRS).
        window_end: The first local date excluded.
        permutations: Maximum number of permutations of the days.

    Returns:
        ``patterns.near_repeats``: every category × distance band × time band, zeros included. A band is from above
        ``distance_from_m`` to ``distance_to_m`` (the first: 0 to 0), and from ``days_from`` to ``days_to``, both
        inclusive. ``pair_ratio`` is null if no pairs are expected.
    """
    frames = []
    for (category,), incidents in of_last_year(points, window_end).group_by("category", maintain_order=True):
        rng = generator("near repeats", category, window_end)
        x, y, day = incidents["x_m"].to_numpy(), incidents["y_m"].to_numpy(), incidents["day"].to_numpy()
        kept = thinned(x, y, DISTANCES_M[-1], MAX_PAIRS, rng)
        observed, expected, p, runs = knox(x[kept], y[kept], day[kept], permutations, rng)
        shared = {
            "incidents": incidents.height,
            "sampled_share": kept.size / incidents.height,
            "shared_place_share": shared_place_share(x, y),
            "window_start_date": window_end - timedelta(days=WINDOW_DAYS),
            "window_end_date": window_end,
            "permutations": runs,
        }
        frames.append(
            _rows(str(category), observed, expected, p).with_columns(**{k: pl.lit(v) for k, v in shared.items()})
        )
    whole = pl.concat([frame.select(pl.col(c).cast(t) for c, t in COLUMNS.items()) for frame in frames] or [_empty()])
    return whole.sort("category", "distance_to_m", "days_to")


def of_last_year(points: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return the incidents of the year before ``window_end``, in a fixed order.

    ``day`` counts from the start of that year.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    return (
        points.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left"))
        .with_columns(day=(pl.col("occurrence_date") - pl.lit(start)).dt.total_days())
        .sort("category", "occurrence_date", "x_m", "y_m", *(c for c in ("incident_id",) if c in points.columns))
    )


def knox(
    x: Floats, y: Floats, day: Integers, permutations: int, rng: np.random.Generator
) -> tuple[Integers, Floats, Floats, int]:
    """Return observed and expected pairs and p per distance band (rows) and time band (columns), and the
    permutations.
    """
    pairs, distance = pairs_within(x, y, DISTANCES_M[-1])
    # Rounding may put a pair at 1 km slightly beyond it.
    bands = _by_band(pairs, np.searchsorted(DISTANCES_M, np.minimum(distance, DISTANCES_M[-1])))
    short = day.astype(np.int16)
    observed = _counted(bands, short)
    if not pairs.size:
        return observed, np.zeros(observed.shape), np.ones(observed.shape), 0
    near = np.array([first.size for first, _ in bands])
    expected = np.outer(near, _in_time_bands(short)) / (day.size * (day.size - 1) / 2)
    runs = int(np.clip(_WORK // len(pairs), min(FEWEST_PERMUTATIONS, permutations), permutations))
    at_least = np.zeros(observed.shape, dtype=np.int64)
    for _ in range(runs):
        at_least += _counted(bands, rng.permutation(short)) >= observed
    return observed, expected, (1 + at_least) / (1 + runs), runs


def pairs_within(x: Floats, y: Floats, reach: float) -> tuple[Integers, Floats]:
    """Return all pairs of points at most ``reach`` apart, each once, and their distances."""
    if x.size < 2:
        return np.empty((0, 2), np.int64), np.empty(0)
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(reach, output_type="ndarray").astype(np.int64)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return pairs, np.hypot(x[pairs[:, 0]] - x[pairs[:, 1]], y[pairs[:, 0]] - y[pairs[:, 1]])


def count_pairs(x: Floats, y: Floats, reach: float) -> int:
    """Count the pairs of points at most ``reach`` apart, without building them."""
    tree = cKDTree(np.column_stack([x, y]))
    return int((tree.count_neighbors(tree, reach) - x.size) // 2) if x.size else 0


def thinned(x: Floats, y: Floats, reach: float, most: int, rng: np.random.Generator) -> Integers:
    """Return all points, or a random subset with about ``most`` pairs, in order."""
    pairs = count_pairs(x, y, reach)
    if pairs <= most:
        return np.arange(x.size)
    return np.sort(rng.permutation(x.size)[: int(x.size * np.sqrt(most / pairs))])


def shared_place_share(x: Floats, y: Floats) -> float:
    """Return the share of points with another point at the same location (to the metre)."""
    places = np.round(np.column_stack([x, y])).astype(np.int64)
    _, which, many = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    return float((many[which.ravel()] > 1).mean())


def _by_band(pairs: Integers, band: Integers) -> list[tuple[Indices, Indices]]:
    """Return the two ends of each distance band's pairs."""
    first, second = pairs.astype(np.int32).T[:, np.argsort(band, kind="stable")]
    edges = np.cumsum(np.bincount(band, minlength=len(DISTANCES_M)))[:-1]
    return list(zip(np.split(first, edges), np.split(second, edges), strict=True))


def _counted(bands: list[tuple[Indices, Indices]], day: NDArray[np.int16]) -> Integers:
    """Count pairs per distance band and time band."""
    longest = max(int(np.ptp(day)) if day.size else 0, DAYS[-1] + 1)
    lags = np.zeros((len(bands), longest + 1), dtype=np.int64)
    for row, (first, second) in zip(lags, bands, strict=True):
        for at in range(0, first.size, _PAIRS_AT_ONCE):
            left, right = first[at : at + _PAIRS_AT_ONCE], second[at : at + _PAIRS_AT_ONCE]
            row += np.bincount(np.abs(np.take(day, left) - np.take(day, right)), minlength=longest + 1)
    return np.add.reduceat(lags, [0, *(upper + 1 for upper in DAYS)], axis=1)[:, :-1]


def _in_time_bands(day: NDArray[np.int16]) -> Integers:
    """Count all pairs, at any distance, by band of days between them."""
    count = np.bincount(day)
    pairs_by_lag = [int((count * (count - 1)).sum() // 2)]
    pairs_by_lag += [int((count[lag:] * count[:-lag]).sum()) for lag in range(1, DAYS[-1] + 1)]
    return np.add.reduceat(np.array(pairs_by_lag), [0, *(upper + 1 for upper in DAYS[:-1])])


def _rows(category: str, observed: Integers, expected: Floats, p: Floats) -> pl.DataFrame:
    near, soon = (grid.ravel() for grid in np.indices(observed.shape))
    distance_to, days_to = np.round(np.append(0, DISTANCES_M[1:])), np.array(DAYS)
    return pl.DataFrame(
        {
            "category": np.full(near.size, category),
            "distance_from_m": np.append(0, distance_to[:-1])[near],
            "distance_to_m": distance_to[near],
            "days_from": np.append(0, days_to[:-1] + 1)[soon],
            "days_to": days_to[soon],
            "observed_pairs": observed.ravel(),
            "expected_pairs": expected.ravel(),
            "permutation_p_value": p.ravel(),
        }
    ).with_columns(
        pair_ratio=pl.when(pl.col("expected_pairs") > 0).then(pl.col("observed_pairs") / pl.col("expected_pairs"))
    )


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema=COLUMNS)
