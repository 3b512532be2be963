"""The spatial point pattern test: does crime have the same spatial proportions as before (Andresen 2009, 2016)?

For each place its share of all crime is compared between two spans of equal length. The amount of crime does not
matter, only its distribution: a city in which everything halves is fully similar. Andresen draws bootstrap samples;
here each place gets Fisher's exact test of the difference in proportions, as proposed by Wheeler, Steenbeek and
Andresen (2018): it needs no random draws, has the same result every night, and has the correct error for places with
few incidents.

The global S is the share of places that do not differ. Places empty in both spans cannot differ and inflate it, so the
robust S excludes them (Andresen 2016). Of many tests some differ by chance; with the false discovery rate controlled at
5 % (Benjamini and Hochberg 1995) fewer do. S does not reflect places with too few incidents to differ: it falls as
places grow.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from pipelines.patterns.hot_spots import discoveries
from pipelines.schema.dictionary import frame_schema

LONGEST_DAYS: Final = 365
SHORTEST_DAYS: Final = 28
LEVEL: Final = 0.05

TYPES: Final = frame_schema("patterns.point_pattern_test")
PLACE_TYPES: Final = frame_schema("patterns.point_pattern_places")


def span_days(history_start: date | None, window_end: date) -> int:
    """Return the length of each span: a year, or whole weeks of half the records if they cover less than two years.

    The result is 0 if even that is under four weeks. Two shorter spans are in different seasons, which affects
    proportions less than counts.
    """
    if history_start is None:
        return 0
    half = (window_end - history_start).days // 2
    days = min(LONGEST_DAYS, half // 7 * 7) if half < LONGEST_DAYS else LONGEST_DAYS
    return days if days >= SHORTEST_DAYS else 0


def places(points: pl.DataFrame, known: pl.DataFrame, history_start: date | None, window_end: date) -> pl.DataFrame:
    """Test each place.

    Args:
        points: One row per incident and kind of place: ``category, place_kind, place_id, occurrence_date``. Incidents
            at unknown places are not counted.
        known: All places: ``place_kind, place_id``.
        history_start: First local date of the records.
        window_end: The first local date excluded.

    Returns:
        Every place with an incident in either span, per category: shares of the category's incidents in known places of
        that kind, two-sided ``fisher_p``, and whether it differs, alone and with the false discovery rate controlled.
    """
    days = span_days(history_start, window_end)
    if days == 0:
        return pl.DataFrame(schema=PLACE_TYPES)
    middle = window_end - timedelta(days=days)
    inside = points.filter(
        pl.col("occurrence_date").is_between(middle - timedelta(days=days), window_end, closed="left")
    )
    is_later = pl.col("occurrence_date") >= middle
    counted = (
        inside.join(known, on=["place_kind", "place_id"], how="semi")
        .group_by("category", "place_kind", "place_id")
        .agg(incidents=is_later.sum().cast(pl.Int64), incidents_before=(~is_later).sum().cast(pl.Int64))
        .sort("category", "place_kind", "place_id")
    )
    frames = [_tested(group) for group in counted.partition_by("category", "place_kind", maintain_order=True)]
    if not frames:
        return pl.DataFrame(schema=PLACE_TYPES)
    return (
        pl.concat(frames)
        .with_columns(
            pl.lit(middle).alias("window_start_date"),
            pl.lit(window_end).alias("window_end_date"),
            pl.lit(days, pl.Int32).alias("window_days"),
        )
        .select(PLACE_TYPES.keys())
    )


def similarity(tested: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the global S of each category and kind of place.

    Args:
        tested: The result of ``places``.
        known: All places: ``place_kind, place_id``.

    Returns:
        ``patterns.point_pattern_test``: ``similarity`` over all places, ``similarity_robust`` over those with any
        incident, ``similarity_fdr`` the same with the false discovery rate controlled. Null if one span has no
        incident.
    """
    has_test = (pl.col("incidents").sum() > 0) & (pl.col("incidents_before").sum() > 0)
    different = pl.col("is_different").sum()
    return (
        tested.join(known.group_by("place_kind").agg(pl.len().cast(pl.Int64).alias("places")), on="place_kind")
        .group_by("category", "place_kind", "window_start_date", "window_end_date", "window_days", "places")
        .agg(
            places_with_crime=pl.len().cast(pl.Int64),
            incidents=pl.col("incidents").sum(),
            incidents_before=pl.col("incidents_before").sum(),
            similarity=pl.when(has_test).then(1 - different / pl.col("places").first()),
            similarity_robust=pl.when(has_test).then(1 - different / pl.len()),
            similarity_fdr=pl.when(has_test).then(1 - pl.col("is_different_fdr").sum() / pl.len()),
        )
        .select(TYPES.keys())
        .sort("category", "place_kind")
    )


def fisher(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return the two-sided Fisher p of each place's share of two totals, which are the sums of the two arrays.

    As ``scipy.stats.fisher_exact``: the probability of all splits of the place's incidents that are at most as likely
    as the observed one. All places with as many incidents share one distribution.
    """
    left, right = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    sums = left + right
    p = np.ones(sums.size)
    for incidents in np.unique(sums):
        chance = _splits(int(incidents), int(left.sum()), int(right.sum()))
        ranked = np.sort(chance)
        is_sum = sums == incidents
        # Probabilities that differ only in their last digits count as equal.
        place = np.searchsorted(ranked, chance[left[is_sum]] * (1 + 1e-7), side="right")
        p[is_sum] = np.cumsum(ranked)[place - 1]
    return np.minimum(p, 1.0)


def _splits(incidents: int, first: int, second: int) -> NDArray[np.float64]:
    """Return the hypergeometric probability of 0, 1, … of a place's incidents in the first total; faster than scipy."""
    x = np.arange(incidents + 1)
    possible = (x <= first) & (incidents - x <= second)
    ways = np.full(x.size, -np.inf)
    ways[possible] = _log_choose(first, x[possible]) + _log_choose(second, incidents - x[possible])
    return np.asarray(np.exp(ways - _log_choose(first + second, incidents)))


def _log_choose(n: int, k: ArrayLike) -> NDArray[np.float64]:
    chosen = np.asarray(k, dtype=float)
    return np.asarray(gammaln(n + 1) - gammaln(chosen + 1) - gammaln(n - chosen + 1))


def _tested(group: pl.DataFrame) -> pl.DataFrame:
    later, before = group["incidents"].to_numpy(), group["incidents_before"].to_numpy()
    p = fisher(later, before)
    return group.with_columns(
        category_share=pl.col("incidents") / max(int(later.sum()), 1),
        category_share_before=pl.col("incidents_before") / max(int(before.sum()), 1),
        fisher_p=pl.Series(p, dtype=pl.Float64),
        is_different=pl.Series(p < LEVEL),
        is_different_fdr=pl.Series(discoveries(p, LEVEL)),
    )
