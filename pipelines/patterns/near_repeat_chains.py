"""Near-repeat chains: incidents of one category that follow each other closely, as candidates for a series.

Two incidents are linked that lie within 200 m and 14 days of each other, the reach that studies of burglary find again
and again (Johnson et al. 2007); a chain is a connected set of at least three. Chains say nothing of who did it: whether
one hand was at work is for investigators to find.

In busy streets chance alone links incidents into long chains. Each chain is therefore scored by how much it surpasses
its own surroundings, the likelihood ratio of its incidents against what a year's incidents within 200 m of them would
bring in so many days; and the score is held against the best score of any chain in permutations of the days over the
incidents (as in the Knox test). The p-value thus says how often chance makes anywhere in the region, in a year, a chain
as far beyond its place. ``is_unusual`` is p ≤ 0.05; the others are listed, but mean little. Where a category has more
pairs within 200 m than `MAX_PAIRS` no chain is told at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.config.seeds import generator
from pipelines.patterns.near_repeats import (
    FEWEST_PERMUTATIONS,
    MAX_PAIRS,
    PERMUTATIONS,
    WINDOW_DAYS,
    count_pairs,
    of_last_year,
    pairs_within,
)
from pipelines.schema.dictionary import frame_schema

REACH_M: Final = 200.0
REACH_DAYS: Final = 14
FEWEST: Final = 3
UNUSUAL_P: Final = 0.05
_WORK: Final = 200_000_000

CHAINS: Final = {
    "chain_id": pl.String,
    "category": pl.String,
    "incidents": pl.Int64,
    "first_incident_date": pl.Date,
    "last_incident_date": pl.Date,
    "extent_m": pl.Float64,
    "cell_id": pl.String,
    "cell_metres": pl.Int32,
    "permutation_p_value": pl.Float64,
    "permutations": pl.Int32,
    "is_unusual": pl.Boolean,
    "is_open": pl.Boolean,
}
MEMBERS: Final = frame_schema("patterns.near_repeat_members")

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs within reach in space, and their incidents' days; ``size`` is the number of incidents."""

    pairs: Integers
    size: int

    def chains(self, day: Integers) -> Integers:
        """Which chain each incident belongs to, if these were their days."""
        first, second = self.pairs[:, 0], self.pairs[:, 1]
        near = np.abs(day[first] - day[second]) <= REACH_DAYS
        links = coo_array((np.ones(int(near.sum())), (first[near], second[near])), shape=(self.size, self.size))
        return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def near_repeat_chains(
    points: pl.DataFrame, cell_metres: int, window_end: date, permutations: int = PERMUTATIONS
) -> pl.DataFrame:
    """Find the chains of the year before ``window_end``.

    Args:
        points: One row per incident: ``incident_id, category, cell_id, local_date, x_m, y_m`` (metric CRS).
        cell_metres: Side of the cells that ``cell_id`` names.
        window_end: The first local date that no longer counts.
        permutations: How many permutations of the days to make at most.

    Returns:
        ``patterns.near_repeat_chains``, newest first: ``cell_id`` is that of the incident nearest to the chain's
        middle, ``extent_m`` the greatest distance of an incident from that middle; open is a chain that an incident on
        ``window_end`` could still join.
    """
    frames = [pl.DataFrame(schema=CHAINS)]
    for category, links, day, held in _by_category(points, window_end):
        judged = _judged(links, day, held, permutations, generator("near repeat chains", category, window_end))
        told = _named(held).join(judged, on="chain", validate="1:1")
        is_open = pl.col("last_incident_date") >= window_end - timedelta(days=REACH_DAYS)
        told = told.with_columns(cell_metres=pl.lit(cell_metres), is_open=is_open)
        frames.append(told.select(pl.col(c).cast(t) for c, t in CHAINS.items()))
    order = ("category", "last_incident_date", "incidents", "chain_id")
    return pl.concat(frames).sort(order, descending=[False, True, True, False])


def near_repeat_members(points: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Which incidents each chain is made of: ``chain_id, incident_id``; arguments as in `near_repeat_chains`."""
    frames = [pl.DataFrame(schema=MEMBERS)]
    for _, _, _, held in _by_category(points, window_end):
        frames.append(held.join(_named(held), on="chain", validate="m:1").select(*MEMBERS))
    return pl.concat(frames).sort("chain_id", "incident_id")


def _by_category(points: pl.DataFrame, window_end: date) -> Iterator[tuple[object, Links, Integers, pl.DataFrame]]:
    """Per category with any chain: what is near what, all days, and the incidents of chains (see `_members`)."""
    for (category,), own in of_last_year(points, window_end).group_by("category", maintain_order=True):
        links, day = _links(own), own["day"].to_numpy()
        held = _members(own, links.chains(day))
        if not held.is_empty():
            yield category, links, day, held


def _links(own: pl.DataFrame) -> Links:
    x, y = own["x_m"].to_numpy(), own["y_m"].to_numpy()
    is_too_dense = count_pairs(x, y, REACH_M) > MAX_PAIRS
    return Links(np.empty((0, 2), np.int64) if is_too_dense else pairs_within(x, y, REACH_M)[0], own.height)


def _members(own: pl.DataFrame, chain: Integers) -> pl.DataFrame:
    """The incidents that belong to a chain, with the number of their ``chain`` and their ``row``."""
    numbered = own.with_columns(pl.Series("chain", chain)).with_row_index("row")
    return numbered.filter(pl.len().over("chain") >= FEWEST)


def _judged(
    links: Links, day: Integers, held: pl.DataFrame, permutations: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Per ``chain``: how often chance makes one as far beyond its place anywhere."""
    around = 1 + np.bincount(links.pairs.ravel(), minlength=links.size)
    which, ours = scores(links.chains(day), day, around)
    made = int(np.clip(_WORK // len(links.pairs), min(FEWEST_PERMUTATIONS, permutations), permutations))
    best = np.zeros(made)
    for number in range(made):
        permuted = rng.permutation(day)
        best[number] = scores(links.chains(permuted), permuted, around)[1].max(initial=0)
    p = (1 + (best[None, :] >= ours[:, None] - 1e-9).sum(axis=1)) / (1 + made)
    return pl.DataFrame(
        {"chain": which, "permutation_p_value": p, "permutations": np.full(p.size, made), "is_unusual": p <= UNUSUAL_P}
    )


def scores(chain: Integers, day: Integers, around: Integers) -> tuple[Integers, NDArray[np.float64]]:
    """The chains of at least three, and how far each surpasses its surroundings (log likelihood ratio, Poisson).

    Args:
        chain: Which chain each incident belongs to.
        day: The incidents' days.
        around: How many incidents of the year lie within 200 m of each, itself among them.
    """
    kept = np.flatnonzero(np.bincount(chain)[chain] >= FEWEST)
    kept = kept[np.argsort(chain[kept], kind="stable")]
    if not kept.size:
        return np.empty(0, np.int64), np.empty(0)
    which, begin, size = np.unique(chain[kept], return_index=True, return_counts=True)
    span = np.maximum.reduceat(day[kept], begin) - np.minimum.reduceat(day[kept], begin) + 1
    usual = np.add.reduceat(around[kept], begin) / size * span / WINDOW_DAYS
    beyond = size * np.log(size / usual) - (size - usual)
    return which, np.where(size > usual, beyond, 0.0)


def _named(held: pl.DataFrame) -> pl.DataFrame:
    """One row per ``chain``: its name, span, number of incidents, middle and extent."""
    middle = [pl.col(c).mean().over("chain") for c in ("x_m", "y_m")]
    away = ((pl.col("x_m") - middle[0]) ** 2 + (pl.col("y_m") - middle[1]) ** 2).sqrt()
    told = (
        held.with_columns(away=away)
        .sort("chain", "away", "row")
        .group_by("chain", maintain_order=True)
        .agg(
            pl.col("category", "cell_id").first(),
            pl.len().alias("incidents"),
            pl.col("local_date").min().alias("first_incident_date"),
            pl.col("local_date").max().alias("last_incident_date"),
            pl.col("away").max().alias("extent_m"),
        )
    )
    # Named by what it shows, so that a chain keeps its name from night to night as long as its middle stays.
    name = pl.concat_str("category", pl.col("first_incident_date").dt.strftime("%Y%m%d"), "cell_id", separator="-")
    number = pl.int_range(1, pl.len() + 1).over(name)
    numbered = pl.concat_str(name, number, separator="-")
    return told.with_columns(chain_id=pl.when(number > 1).then(numbered).otherwise(name))
