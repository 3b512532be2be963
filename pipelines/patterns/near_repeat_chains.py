"""Near-repeat chains: incidents of one category that closely follow each other, as candidates for a series.

Two incidents within 200 m and 14 days of each other are linked, a reach found in many studies of burglary (Johnson et
al. 2007); a chain is a connected set of at least three. Chains do not identify offenders: whether one person was
responsible is for investigators to find.

In busy streets chance alone links incidents into long chains. Each chain is therefore scored by how much it exceeds its
surroundings: the likelihood ratio of its incidents against the number expected from a year's incidents within 200 m of
them. The score is compared with the best score of any chain in permutations of the days over the incidents (as in the
Knox test). The p-value is thus the probability that chance produces anywhere in the region, in a year, a chain that
exceeds its surroundings as much. ``is_unusual`` is p ≤ 0.05; the others are listed, but mean little. If a category has
more pairs within 200 m than `MAX_PAIRS`, no chains are reported.
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
        """Return the chain of each incident, given these days."""
        first, second = self.pairs[:, 0], self.pairs[:, 1]
        near = np.abs(day[first] - day[second]) <= REACH_DAYS
        links = coo_array((np.ones(int(near.sum())), (first[near], second[near])), shape=(self.size, self.size))
        return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def near_repeat_chains(
    points: pl.DataFrame, cell_metres: int, window_end: date, permutations: int = PERMUTATIONS
) -> pl.DataFrame:
    """Find the chains of the year before ``window_end``.

    Args:
        points: One row per incident: ``incident_id, category, cell_id, occurrence_date, x_m, y_m`` (metric CRS).
        cell_metres: Side of the cells that ``cell_id`` names.
        window_end: The first local date excluded.
        permutations: Maximum number of permutations of the days.

    Returns:
        ``patterns.near_repeat_chains``, newest first: ``cell_id`` is that of the incident nearest to the chain's
        centre, ``extent_m`` the greatest distance of an incident from that centre; a chain is open if an incident on
        ``window_end`` could still join it.
    """
    frames = [pl.DataFrame(schema=CHAINS)]
    for category, links, day, members in _by_category(points, window_end):
        judged = _judged(links, day, members, permutations, generator("near repeat chains", category, window_end))
        chains = _named(members).join(judged, on="chain", validate="1:1")
        is_open = pl.col("last_incident_date") >= window_end - timedelta(days=REACH_DAYS)
        chains = chains.with_columns(cell_metres=pl.lit(cell_metres), is_open=is_open)
        frames.append(chains.select(pl.col(c).cast(t) for c, t in CHAINS.items()))
    order = ("category", "last_incident_date", "incidents", "chain_id")
    return pl.concat(frames).sort(order, descending=[False, True, True, False])


def near_repeat_members(points: pl.DataFrame, window_end: date) -> pl.DataFrame:
    """Return the incidents of each chain: ``chain_id, incident_id``; arguments as in `near_repeat_chains`."""
    frames = [pl.DataFrame(schema=MEMBERS)]
    for _, _, _, members in _by_category(points, window_end):
        frames.append(members.join(_named(members), on="chain", validate="m:1").select(*MEMBERS))
    return pl.concat(frames).sort("chain_id", "incident_id")


def _by_category(points: pl.DataFrame, window_end: date) -> Iterator[tuple[object, Links, Integers, pl.DataFrame]]:
    """Yield, per category with any chain, the links, all days, and the incidents of chains (see `_members`)."""
    for (category,), incidents in of_last_year(points, window_end).group_by("category", maintain_order=True):
        links, day = _links(incidents), incidents["day"].to_numpy()
        members = _members(incidents, links.chains(day))
        if not members.is_empty():
            yield category, links, day, members


def _links(incidents: pl.DataFrame) -> Links:
    x, y = incidents["x_m"].to_numpy(), incidents["y_m"].to_numpy()
    is_too_dense = count_pairs(x, y, REACH_M) > MAX_PAIRS
    return Links(np.empty((0, 2), np.int64) if is_too_dense else pairs_within(x, y, REACH_M)[0], incidents.height)


def _members(incidents: pl.DataFrame, chain: Integers) -> pl.DataFrame:
    """Return the incidents in a chain, with the number of their ``chain`` and their ``row``."""
    numbered = incidents.with_columns(pl.Series("chain", chain)).with_row_index("row")
    return numbered.filter(pl.len().over("chain") >= FEWEST)


def _judged(
    links: Links, day: Integers, members: pl.DataFrame, permutations: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Return, per ``chain``, how often chance produces one that exceeds its surroundings as much anywhere."""
    around = 1 + np.bincount(links.pairs.ravel(), minlength=links.size)
    which, observed = scores(links.chains(day), day, around)
    runs = int(np.clip(_WORK // len(links.pairs), min(FEWEST_PERMUTATIONS, permutations), permutations))
    best = np.zeros(runs)
    for number in range(runs):
        permuted = rng.permutation(day)
        best[number] = scores(links.chains(permuted), permuted, around)[1].max(initial=0)
    p = (1 + (best[None, :] >= observed[:, None] - 1e-9).sum(axis=1)) / (1 + runs)
    return pl.DataFrame(
        {"chain": which, "permutation_p_value": p, "permutations": np.full(p.size, runs), "is_unusual": p <= UNUSUAL_P}
    )


def scores(chain: Integers, day: Integers, around: Integers) -> tuple[Integers, NDArray[np.float64]]:
    """Return the chains of at least three, and how far each exceeds its surroundings (log likelihood ratio, Poisson).

    Args:
        chain: The chain of each incident.
        day: The incidents' days.
        around: Number of incidents of the year within 200 m of each, itself included.
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


def _named(members: pl.DataFrame) -> pl.DataFrame:
    """Return one row per ``chain``: its name, span, number of incidents, centre and extent."""
    middle = [pl.col(c).mean().over("chain") for c in ("x_m", "y_m")]
    away = ((pl.col("x_m") - middle[0]) ** 2 + (pl.col("y_m") - middle[1]) ** 2).sqrt()
    summary = (
        members.with_columns(away=away)
        .sort("chain", "away", "row")
        .group_by("chain", maintain_order=True)
        .agg(
            pl.col("category", "cell_id").first(),
            pl.len().alias("incidents"),
            pl.col("occurrence_date").min().alias("first_incident_date"),
            pl.col("occurrence_date").max().alias("last_incident_date"),
            pl.col("away").max().alias("extent_m"),
        )
    )
    # Named by its position, so that a chain keeps its name from night to night while its centre stays.
    name = pl.concat_str("category", pl.col("first_incident_date").dt.strftime("%Y%m%d"), "cell_id", separator="-")
    number = pl.int_range(1, pl.len() + 1).over(name)
    numbered = pl.concat_str(name, number, separator="-")
    return summary.with_columns(chain_id=pl.when(number > 1).then(numbered).otherwise(name))
