"""Risk on nine months of records: `python -m tests.benchmarks.risk_short_history portland|chicago [FILE [DAYS]]`.

Twelve origins, the first days of the months from the one that `tests.benchmarks.risk` begins with. At each origin
`predict_points` gets the 273 days (or DAYS) of points before it, and no others, and issues the list for the 28 days
that follow; its first cells are the list of each area. Prints their hits next to those of plain counts of the same
points:

* chosen: the count that caught most in the earlier windows of the same points, equal cells by the lot of the issue;
* chosen, mean: the same, its hits averaged over every way in which equal cells can be ordered, so that no lot decides;
* decayed: `FIRST_COUNT`, equal cells by the same lot;
* all, mean: all points, averaged over every order of equal cells.

The gain is that of the issued list over `chosen, mean`, with the standard error of the sum over origins. FILE receives
one row per origin, category and area as Parquet.
"""

import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipelines.forecast.risk import own_grid, own_points
from pipelines.forecast.risk.evaluation import rolling
from pipelines.forecast.risk.history import EPOCH, Floats, History
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.stack import FIRST_COUNT
from pipelines.forecast.risk.ranking import cells_of_share, ranks
from tests.benchmarks import risk

HISTORY_DAYS, DAYS, ORIGINS = 273, 28, 12
SHARES = (0.005, 0.01, 0.05)
LISTS = ("issued", "chosen", "chosen, mean", "decayed", "all, mean")


def city(name: str) -> tuple[pl.DataFrame, own_points.Task, date]:
    """Points, grid and first month of `tests.benchmarks.risk`; Chicago on 150 m cells, a quarter of a square mile."""
    frame, task, first = risk.CITIES[name]()
    metres = 150 if name == "chicago" else task.cell_metres
    return (
        frame,
        replace(task, cell_metres=metres, area_km2=0.25 * risk.SQUARE_MILE_KM2, placement=own_grid.GRID),
        first,
    )


def origins(name: str, history_days: int = HISTORY_DAYS) -> pl.DataFrame:
    """Every origin, category and area: cells, share of the area, incidents, and hits of `LISTS`."""
    frame, task, first = city(name)
    whole = own_points.place(frame, task)
    cells = whole.cells.height
    depths = sorted({whole.selected, *(cells_of_share(share, 1 / whole.cell_share) for share in SHARES)})
    rows = []
    for start, _ in track(risk.months(first, ORIGINS), name, console=Console(stderr=True)):
        day = EPOCH + timedelta(days=start)
        is_known = pl.col("occ_date").is_between(day - timedelta(days=history_days), day, closed="left")
        known = frame.filter(is_known)
        past = own_points.place(known, task).history
        issued = own_points.predict_points(known, task, day, DAYS).frame
        for depth in depths:
            for category, events in past.events.items():
                outcome = whole.history.events[category].counts(cells, start, start + DAYS)
                listed = issued.filter(pl.col("category") == category, pl.col("rank") <= depth).select("cell_id")
                at = whole.cells.with_row_index("at").join(listed, on="cell_id")["at"].to_numpy()
                counts = {label: count(past.seen(start), category, start) for label, count in COUNTS.items()}
                chosen = counts[_chosen(past, category, start, depth)]
                hits = {
                    "issued": outcome[at].sum(),
                    "chosen": outcome[ranks(chosen, category, start) <= depth].sum(),
                    "chosen, mean": _averaged(chosen, outcome, depth),
                    "decayed": outcome[ranks(counts[FIRST_COUNT], category, start) <= depth].sum(),
                    "all, mean": _averaged(counts["count_all"], outcome, depth),
                }
                assert at.size == depth and events.day.max() < start
                shared = {"origin": day, "category": category, "cells": depth, "area_share": depth * whole.cell_share}
                rows.append(shared | {"incidents": outcome.sum()} | hits)
    return pl.DataFrame(rows)


def _chosen(past: History, category: str, start: int, depth: int) -> str:
    """The count that caught most in the earlier windows, the first of equals; `FIRST_COUNT` without any window."""
    hits = dict.fromkeys(COUNTS, 0.0)
    windows = [(origin, DAYS) for origin in rolling.months(past, start)]
    outcomes = past.seen(start).events[category]
    for origin, days in windows:
        outcome = outcomes.counts(past.grid.size, origin, origin + days)
        for name, count in COUNTS.items():
            rate = count(past.seen(origin), category, origin)
            hits[name] += outcome[ranks(rate, category, origin) <= depth].sum()
    return max(hits, key=lambda name: hits[name]) if windows else FIRST_COUNT


def _averaged(rate: Floats, outcome: Floats, depth: int) -> float:
    """Hits of the first cells by a rate, where cells at the margin that are equal share the places that are left."""
    last = np.sort(rate)[::-1][depth - 1]
    above, equal = rate > last, rate == last
    return float(outcome[above].sum() + outcome[equal].mean() * (depth - above.sum()))


def print_table(console: Console, title: str, scores: pl.DataFrame) -> None:
    """Hits and PAI of every list: one row per category and area."""
    hits = Table("category", "cells", "area", "incidents", *LISTS, "gain", title=f"{title}: hits")
    pai = Table("category", "cells", "area", "incidents", *LISTS, title=f"{title}: PAI")
    for (category, cells), group in scores.sort("category", "cells").group_by("category", "cells", maintain_order=True):
        share, incidents = group["area_share"][0], group["incidents"].sum()
        head = (str(category), str(cells), f"{share:.2%}", f"{incidents:.0f}")
        sums = [group[name].sum() for name in LISTS]
        gains = group["issued"] - group["chosen, mean"]
        error = gains.std() * gains.len() ** 0.5
        hits.add_row(*head, *(f"{hit:.1f}".removesuffix(".0") for hit in sums), f"{gains.sum():+.1f} ± {error:.1f}")
        pai.add_row(*head, *(f"{hit / incidents / share:.2f}" for hit in sums))
    console.print(hits, pai)


def main() -> None:
    """One city's tables."""
    name, begin = sys.argv[1], time.perf_counter()
    days = int(sys.argv[3]) if len(sys.argv) > 3 else HISTORY_DAYS
    scores = origins(name, days)
    console = Console(width=130)
    print_table(console, f"{name}, {days} days of records, {ORIGINS} origins, windows of {DAYS} days", scores)
    console.print(f"{time.perf_counter() - begin:.0f} s")
    if len(sys.argv) > 2:
        scores.write_parquet(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
