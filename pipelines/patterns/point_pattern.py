"""The spatial point pattern test: is crime where it was a span before, in the same proportions (Andresen 2009, 2016)?

For each place its share of all crime is compared between two spans of the same length. How much crime there is does
not matter, only where: a city in which everything halves is wholly similar. Andresen draws bootstrap samples; here each
place gets Fisher's exact test of the difference in proportions, as Wheeler, Steenbeek and Andresen (2018) propose: it
needs no draws, has the same answer every night, and has the right error where a place has few incidents.

The global S is the share of places that do not differ. Places empty in both spans cannot differ and flatter it, so the
robust S leaves them out (Andresen 2016). Of many tests some differ by chance; with false discoveries held at 5 %
(Benjamini and Hochberg 1995) fewer do. S says nothing of places too small to differ: it falls as places grow.
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
    """Length of each span: a year, or whole weeks of half the records where they do not reach two years back.

    0 where even that is under four weeks. Two shorter spans lie in different seasons; proportions mind that less than
    counts would.
    """
    if history_start is None:
        return 0
    half = (window_end - history_start).days // 2
    days = min(LONGEST_DAYS, half // 7 * 7) if half < LONGEST_DAYS else LONGEST_DAYS
    return days if days >= SHORTEST_DAYS else 0


def places(points: pl.DataFrame, known: pl.DataFrame, history_start: date | None, window_end: date) -> pl.DataFrame:
    """The test of each place.

    Args:
        points: One row per incident and kind of place: ``category, place_kind, place_id, local_date``. Incidents of
            places that are not known do not count.
        known: All places: ``place_kind, place_id``.
        history_start: First local date of the records.
        window_end: The first local date that no longer counts.

    Returns:
        Every place with an incident in either span, per category: shares of the category's incidents in known places
        of that kind, two-sided ``fisher_p``, and whether it differs, alone and with false discoveries held.
    """
    days = span_days(history_start, window_end)
    if days == 0:
        return pl.DataFrame(schema=PLACE_TYPES)
    middle = window_end - timedelta(days=days)
    inside = points.filter(pl.col("local_date").is_between(middle - timedelta(days=days), window_end, closed="left"))
    is_later = pl.col("local_date") >= middle
    counted = (
        inside.join(known, on=["place_kind", "place_id"], how="semi")
        .group_by("category", "place_kind", "place_id")
        .agg(incidents=is_later.sum().cast(pl.Int64), incidents_before=(~is_later).sum().cast(pl.Int64))
        .sort("category", "place_kind", "place_id")
    )
    frames = [_tested(own) for own in counted.partition_by("category", "place_kind", maintain_order=True)]
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
    """The global S of each category and kind of place.

    Args:
        tested: What ``places`` returned.
        known: All places: ``place_kind, place_id``.

    Returns:
        ``patterns.point_pattern_test``: ``similarity`` over all places, ``similarity_robust`` over those with any
        incident, ``similarity_fdr`` the same with false discoveries held. Null where one span has no incident.
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
    """Two-sided Fisher p of each place's part in two totals, which are the sums of the two.

    As ``scipy.stats.fisher_exact``: the chance of all splits of the place's incidents that are no likelier than the
    one observed. Here all places with as many incidents share one distribution.
    """
    one, other = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    sums = one + other
    p = np.ones(sums.size)
    for incidents in np.unique(sums):
        chance = _splits(int(incidents), int(one.sum()), int(other.sum()))
        ranked = np.sort(chance)
        here = sums == incidents
        # Likelihoods that are equal but for their last digits count as equal.
        place = np.searchsorted(ranked, chance[one[here]] * (1 + 1e-7), side="right")
        p[here] = np.cumsum(ranked)[place - 1]
    return np.minimum(p, 1.0)


def _splits(incidents: int, first: int, second: int) -> NDArray[np.float64]:
    """Hypergeometric chance of 0, 1, … of a place's incidents being of the first total; far quicker than scipy's."""
    x = np.arange(incidents + 1)
    possible = (x <= first) & (incidents - x <= second)
    ways = np.full(x.size, -np.inf)
    ways[possible] = _log_choose(first, x[possible]) + _log_choose(second, incidents - x[possible])
    return np.asarray(np.exp(ways - _log_choose(first + second, incidents)))


def _log_choose(n: int, k: ArrayLike) -> NDArray[np.float64]:
    chosen = np.asarray(k, dtype=float)
    return np.asarray(gammaln(n + 1) - gammaln(chosen + 1) - gammaln(n - chosen + 1))


def _tested(own: pl.DataFrame) -> pl.DataFrame:
    later, before = own["incidents"].to_numpy(), own["incidents_before"].to_numpy()
    p = fisher(later, before)
    return own.with_columns(
        share=pl.col("incidents") / max(int(later.sum()), 1),
        share_before=pl.col("incidents_before") / max(int(before.sum()), 1),
        fisher_p=pl.Series(p, dtype=pl.Float64),
        is_different=pl.Series(p < LEVEL),
        is_different_fdr=pl.Series(discoveries(p, LEVEL)),
    )
