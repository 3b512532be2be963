"""Hot areas: Gi* and local Moran of administrative districts and police station areas, on rates where available.

Grid cells have equal size; areas do not, so a count mostly reflects the number of residents. If every area of a
hierarchy has its population, both statistics use Empirical-Bayes rates (``rates``), otherwise plain counts; the column
``measured_on`` states which. Residents are a poor denominator where people work or go out: a city centre looks worse
than it is. Neighbours are areas that share a border or corner (``adjacency``).

The normal approximation of Gi* is rough for a few dozen areas and wrong for few incidents, so three p-values are
computed and the largest is used: the normal one, the permutation one (how often the permuted values of the areas sum to
as much in such a neighbourhood), and the exact binomial one of the neighbourhood's incidents given its share of the
population (of the areas, for counts). The false discovery rate is controlled at 5 % per hierarchy and category.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from scipy.stats import binom, norm

from pipelines.patterns.hot_spots import FALSE_DISCOVERY_RATE, WINDOW_DAYS, discoveries, gi_star, moran_columns
from pipelines.patterns.local_moran import gathering_p_value, local_moran
from pipelines.patterns.statistics.adjacency import touching
from pipelines.patterns.statistics.neighbours import neighbour_sum
from pipelines.patterns.statistics.rates import rates
from pipelines.schema.dictionary import frame_schema

LEVELS: Final = {"admin": ("district", "admin_area_id"), "police": ("station", "police_area_id")}
"""Hierarchy → the level that is tested, and the column of points with its areas."""

PERMUTATIONS: Final = 9_999
"""Permutations: fine enough for the hundreds of areas of a hierarchy."""

SCHEMA: Final = frame_schema("patterns.area_hot_spots")

Floats = NDArray[np.float64]


class _Places(NamedTuple):
    """The areas of one hierarchy: ids, population (NaN if unknown) and neighbours."""

    hierarchy: str
    area_ids: pl.Series
    people: Floats
    neighbours: NDArray[np.int64]


def area_hot_spots(
    points: pl.DataFrame, areas: pl.DataFrame, window_end: date, population: str = "population"
) -> pl.DataFrame:
    """Test the areas of both hierarchies per category over the year before ``window_end``.

    Args:
        points: One row per incident: ``category, occurrence_date, admin_area_id, police_area_id``.
        areas: ``reference.areas``: ``area_id, hierarchy, area_level, geometry`` (WKB, EPSG:4326) and the population.
        window_end: The first local date excluded.
        population: Column of ``areas`` with the denominator of rates: residents, or daytime population.

    Returns:
        ``patterns.area_hot_spots``, with ``SCHEMA``: every area of each hierarchy × category with any incident in it,
        zeros included. Rates are per 10,000 people in the year; null without a population.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    inside = points.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left"))
    frames = [pl.DataFrame(schema=SCHEMA)]
    for places in _hierarchies(areas, population):
        column = LEVELS[places.hierarchy][1]
        counted = inside.drop_nulls(column).group_by("category", pl.col(column).alias("area_id")).len("incidents")
        for category in counted["category"].unique().sort():
            of_category = counted.filter(pl.col("category") == category)
            full = pl.DataFrame({"area_id": places.area_ids}).join(
                of_category, "area_id", how="left", maintain_order="left"
            )
            frames.append(
                pl.DataFrame({"area_id": places.area_ids}).with_columns(
                    pl.lit(places.hierarchy).alias("hierarchy"),
                    pl.lit(category).alias("category"),
                    pl.lit(start).alias("window_start_date"),
                    pl.lit(window_end).alias("window_end_date"),
                    *_tested(full["incidents"].fill_null(0), places, category, window_end),
                )
            )
    return pl.concat(frames).sort("hierarchy", "category", "area_id")


def _hierarchies(areas: pl.DataFrame, population: str) -> Iterator[_Places]:
    for hierarchy, (level, _) in LEVELS.items():
        level_areas = areas.filter((pl.col("hierarchy") == hierarchy) & (pl.col("area_level") == level)).sort("area_id")
        people = level_areas[population].cast(pl.Float64).fill_null(np.nan).to_numpy()
        yield _Places(
            hierarchy, level_areas["area_id"], people, touching(shapely.from_wkb(level_areas["geometry"].to_list()))
        )


def _tested(incidents: pl.Series, places: _Places, *seed: object) -> list[pl.Series]:
    """Return all statistics of the areas of one hierarchy and category, as the columns of ``SCHEMA`` from incidents
    on.
    """
    counts = incidents.to_numpy().astype(float)
    raw, steadied = rates(counts, places.people)
    is_rate = bool(np.isfinite(steadied).all())
    values = steadied if is_rate else counts
    z = gi_star(values, places.neighbours)
    p = np.maximum.reduce(
        [
            norm.sf(z),
            gathering_p_value(values, places.neighbours, places.hierarchy, *seed, permutations=PERMUTATIONS),
            _chance(counts, places.people if is_rate else np.ones(counts.size), places.neighbours),
        ]
    )
    return [
        incidents.cast(pl.Int64).alias("incidents"),
        pl.Series("rate_per_10000", raw, nan_to_null=True),
        pl.Series("eb_rate_per_10000", steadied, nan_to_null=True),
        pl.Series("measured_on", ["eb_rate" if is_rate else "incidents"] * counts.size),
        pl.Series("gi_star_z", z),
        pl.Series("p_value", p),
        pl.Series("is_hot", discoveries(p, FALSE_DISCOVERY_RATE)),
        *moran_columns(local_moran(values, places.neighbours, places.hierarchy, *seed, permutations=PERMUTATIONS)),
    ]


def _chance(counts: Floats, people: Floats, neighbours: NDArray[np.int64]) -> Floats:
    """Return the exact p of each neighbourhood's count, area included, under equal risk for every person."""
    total = neighbour_sum(counts, neighbours) + counts
    share = (neighbour_sum(people, neighbours) + people) / people.sum()
    return np.asarray(binom.sf(total - 1, counts.sum(), np.minimum(share, 1.0)))
