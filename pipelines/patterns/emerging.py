"""Emerging hot spots: which places are hot now, since when, and with what trend (Esri's Emerging Hot Spot Analysis).

The year before ``window_end`` is divided into 12 steps of 30 days. In every step each map cell has a space-time Gi*
(analytic): its own count and its queen neighbours', in the step and in the one before, compared with the mean and
variance over all cells and steps. The step before the first one is used only as its predecessor; without it the first
value would use half the neighbourhood and bias every trend.

A step is **hot** if its p-value, the larger of the normal one and the exact binomial one of the neighbourhood's count
(as in ``hot_spots``), is below the Benjamini-Hochberg limit at 5 % over all cells and steps of the category. **Cold**
is the same with the lower tails. A single robbery makes no step hot, and an empty cell is cold only where incidents
were expected: where crime is sparse nothing is cold, and elsewhere cold often means a park or water.

The **trend** of a cell is the Mann-Kendall test of its 12 Gi* values with the variance corrected for ties (Kendall
1975); rising or falling at a two-sided p under 5 %, not corrected for the number of cells. Consecutive values share a
step's incidents, so the test finds slightly more trends than there are.

The **class** is the first rule that applies; for the cold classes read "cold" for "hot". "Most" means at least 90 % of
the steps (11 of 12):

* last step hot:
  ``new`` no step before was hot;
  ``intensifying``, ``diminishing``, ``persistent`` most steps were hot, and the trend rises (for cold: falls, the cold
  grows), falls (for cold: rises), or neither;
  ``consecutive`` all hot steps are one run of at least two that ends in the last step;
  ``oscillating`` some step was cold (for cold: hot);
  ``sporadic`` hot on and off, never cold;
* last step neither hot nor cold: ``historical`` most steps were hot;
* else ``no pattern``.

Esri's text does not define the order of the rules; the order above is ours. Late reports make the last step look lower
than it was. Where incidents are few, only the strongest steps of a persistent place are hot, so it may be classed as
new or sporadic.
"""

from datetime import date, timedelta
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binom, norm

from pipelines.patterns.hot_spots import FALSE_DISCOVERY_RATE, discoveries
from pipelines.patterns.statistics.counts import map_cells, on_map
from pipelines.patterns.statistics.neighbours import neighbour_count, neighbour_sum, queen
from pipelines.schema.dictionary import frame_schema

STEPS: Final = 12
STEP_DAYS: Final = 30
MOST: Final = 0.9
TREND_P: Final = 0.05
NO_PATTERN: Final = "no pattern"
CLASSES: Final = (
    "new", "consecutive", "intensifying", "persistent", "diminishing", "sporadic", "oscillating", "historical",
)  # fmt: skip
"""Each of them is "hot" or "cold", as in "new hot"."""

SCHEMA: Final = frame_schema("patterns.emerging_hot_spots")

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Steps(NamedTuple):
    """Space-time Gi* per step (row) and cell (column), and which of them are hot or cold."""

    z: Floats
    is_hot: Flags
    is_cold: Flags


def emerging_hot_spots(
    crime_daily: pl.DataFrame, cells: pl.DataFrame, map_metres: int, window_end: date
) -> pl.DataFrame:
    """Classify every map cell per category by its last 12 steps of 30 days.

    Args:
        crime_daily: ``marts.crime_daily``: ``cell_id, category, occurrence_date, incidents``, on the risk grid.
        cells: ``reference.cells``: ``cell_id, cell_metres, map_cell_id, x_m, y_m``, both grids.
        map_metres: Side of the map cells that are tested.
        window_end: The first local date excluded.

    Returns:
        ``patterns.emerging_hot_spots``, with ``SCHEMA``: cells that were hot or cold in at least one step; other cells
        have no pattern and no row. ``incidents`` are those of the 12 steps.
    """
    start = window_end - timedelta(days=STEPS * STEP_DAYS)
    forerun = start - timedelta(days=STEP_DAYS)
    tested = map_cells(cells, map_metres)
    neighbours = queen(tested["x_m"].to_numpy(), tested["y_m"].to_numpy(), map_metres)
    frames = [pl.DataFrame(schema=SCHEMA)]
    for category, counts in on_map(crime_daily, cells, map_metres, forerun, window_end, STEP_DAYS):
        steps = space_time(counts, neighbours)
        trend_z, trend_p = mann_kendall(steps.z)
        frames.append(
            pl.DataFrame(
                {
                    "cell_id": tested["cell_id"],
                    "incidents": counts[1:].sum(axis=0),
                    "emerging_class": classes(steps.is_hot, steps.is_cold, trend_z, trend_p),
                    "hot_steps": steps.is_hot.sum(axis=0),
                    "cold_steps": steps.is_cold.sum(axis=0),
                    "last_gi_star_z": steps.z[-1],
                    "gi_star_trend_z": trend_z,
                    "gi_star_trend_p_value": trend_p,
                }
            )
            .filter((pl.col("hot_steps") > 0) | (pl.col("cold_steps") > 0))
            .with_columns(
                pl.lit(map_metres).alias("cell_metres"),
                pl.lit(category).alias("category"),
                pl.lit(start).alias("window_start_date"),
                pl.lit(window_end).alias("window_end_date"),
            )
            .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        )
    return pl.concat(frames).sort("category", "cell_id")


def space_time(counts: Floats, neighbours: NDArray[np.int64]) -> Steps:
    """Return Gi* of every cell and step except the first, which is only the predecessor of the second.

    Args:
        counts: Incidents per step (row) and cell (column).
        neighbours: Positions of each cell's neighbours.
    """
    bins, all_incidents = counts.size, counts.sum()
    spatial = np.array([neighbour_sum(step, neighbours) + step for step in counts])
    total = spatial[1:] + spatial[:-1]
    weight = 2.0 * (neighbour_count(neighbours) + 1.0)
    spread = counts.std() if bins else 0.0
    if spread == 0:
        nothing = np.zeros(total.shape, dtype=bool)
        return Steps(np.zeros(total.shape), nothing, nothing.copy())
    deviation = spread * np.sqrt(np.maximum(bins * weight - weight**2, 0.0) / (bins - 1))
    gap = total - counts.mean() * weight
    z = np.divide(gap, deviation, out=np.zeros(total.shape), where=deviation > 0)
    share = np.minimum(weight / bins, 1.0)
    hot = np.maximum(norm.sf(z), binom.sf(total - 1, all_incidents, share))
    cold = np.maximum(norm.cdf(z), binom.cdf(total, all_incidents, share))
    return Steps(z, *(discoveries(p.ravel(), FALSE_DISCOVERY_RATE).reshape(p.shape) for p in (hot, cold)))


def mann_kendall(series: Floats) -> tuple[Floats, Floats]:
    """Return the Mann-Kendall trend of every column: z with continuity correction and ties, and its two-sided p-value.

    A column whose values are all equal has z 0 and p 1.
    """
    steps = series.shape[0]
    score = np.zeros(series.shape[1])
    for earlier in range(steps - 1):
        score += np.sign(series[earlier + 1 :] - series[earlier]).sum(axis=0)
    # A value that occurs t times adds t (t - 1) (2 t + 5): 1/t of it at each occurrence.
    alike = np.array([(series == value).sum(axis=0) for value in series]).reshape(series.shape)
    ties = ((alike - 1) * (2 * alike + 5)).sum(axis=0)
    variance = (steps * (steps - 1) * (2 * steps + 5) - ties) / 18
    z = np.divide(score - np.sign(score), np.sqrt(variance), out=np.zeros(score.size), where=variance > 0)
    return z, 2 * norm.sf(np.abs(z))


def classes(is_hot: Flags, is_cold: Flags, trend_z: Floats, trend_p: Floats) -> list[str]:
    """Return the class of every column, by the rules above; steps are rows."""
    trend = np.where(trend_p < TREND_P, np.sign(trend_z), 0)
    labels = np.full(is_hot.shape[1], NO_PATTERN, dtype=object)
    for name, on, other, grows in (("hot", is_hot, is_cold, trend), ("cold", is_cold, is_hot, -trend)):
        last, before = on[-1], on[:-1]
        most = on.mean(axis=0) >= MOST
        # One run up to the last step: no hot step is followed by one that is not.
        is_one_run = ~(before & ~on[1:]).any(axis=0) & (on.sum(axis=0) >= 2)
        rules = {
            "new": last & ~before.any(axis=0),
            "intensifying": last & most & (grows > 0),
            "diminishing": last & most & (grows < 0),
            "persistent": last & most,
            "consecutive": last & is_one_run,
            "oscillating": last & other.any(axis=0),
            "sporadic": last,
            "historical": ~last & ~other[-1] & most,
        }
        chosen = np.select(list(rules.values()), list(rules), default="")
        labels = np.where(chosen != "", np.char.add(chosen.astype(str), f" {name}").astype(object), labels)
    return [str(name) for name in labels]
