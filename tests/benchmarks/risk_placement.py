"""Lists of squares on real records: `python -m tests.benchmarks.risk_placement CITY… [--development] [--folder F]`.

CITY is portland, chicago or toronto; 24 calendar months each. At a quarter of a square mile, .5, 1 and 5 % of the area
it prints the hits and PAI of

* grid count: past incidents, older ones weighing less, in whole incidents; the mean of the 25 grids of the lattice,
  because one grid is a lottery;
* grid stack: the list that `predict risk --placement grid` issues, on its one grid;
* free count: the squares of the lattice with the highest counts, none overlapping another;
* free stack: `predict risk --placement free`;
* default: `predict risk` without `--placement`.

Equal counts are ordered by the density around the square, then by a draw, on the grid and freely alike. Every list has
the same area inside the boundary, a point is in at most one square. Outcomes are also displaced by a normal error of 30
and 60 m (root mean square). Gains over the grid count are of the sum of hits, with 95 % intervals of paired blocks of
three months; `pooled` is the mean gain of all cities and areas.

Constants were chosen on the months of `--development` (Portland 2014-03 to 2015-02, Toronto 2017 and 2018, Chicago 2014
and 2015). A FOLDER receives every window as Parquet.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipelines.forecast.risk import own_points
from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.evaluation.rolling import Lists
from pipelines.forecast.risk.free_squares import PARTS, SIDE, Lattice, best
from pipelines.forecast.risk.history import Floats, Ints
from pipelines.forecast.risk.models.counts import HALF_LIFE_DAYS, decayed
from pipelines.forecast.risk.own_grid import FREE
from pipelines.forecast.risk.placement import Free
from pipelines.forecast.risk.ranking import cells_within
from tests.benchmarks import risk

DEVELOPMENT = {"portland": (date(2014, 3, 1), 12), "toronto": (date(2017, 1, 1), 24), "chicago": (date(2014, 1, 1), 24)}
DISPLACED_METRES = (0, 30, 60)
DRAWS = 2_000
LISTS = ("grid count", "grid stack", "free count", "free stack", "default")
AREAS = (".25 sq mi", "0.5 %", "1 %", "5 %")


def windows(city: str, is_development: bool) -> pl.DataFrame:
    """Hits of every origin, category, area, displacement and list."""
    records, task, first = risk.CITIES[city]()
    spans = risk.months(*(DEVELOPMENT[city] if is_development else (first, risk.MONTHS)))
    there = own_points.place(records, task)
    whole_km2 = task.cell_metres**2 / 1e6 / there.cell_share
    areas = (0.25 * risk.SQUARE_MILE_KM2, *(share * whole_km2 for share in risk.SHARES))
    rows: list[pl.DataFrame] = []
    for known_then, days in there.at([day for day, _ in spans]):
        lists = Lists(known_then, there.selected, threads=2)
        lists.prepare(days)
        at_areas = [
            replace(there, task=replace(task, area_km2=km2), selected=cells_within(km2, task.cell_metres**2))
            for km2 in areas
        ]
        frees = [free for place in at_areas if (free := Free.of(place, lists, max(days)))]
        rows += [
            window.with_columns(city=pl.lit(city), share=pl.col("km2") / whole_km2)
            for day in track(days, city, console=Console(stderr=True))
            for window in _window(frees, day, dict(spans)[day])
        ]
    return pl.concat(rows).sort("km2", "displaced", "origin_day", "category")


def _window(frees: list[Free], day: int, days: int) -> Iterator[pl.DataFrame]:
    """Every category's hits in one window."""
    lists, lattice = frees[-1].lists, frees[-1].lattice
    chosen = lists.choose(day)
    is_free = [free.select(day).placement == FREE for free in frees]
    parts = [free.place.task.area_km2 * 1e6 / lattice.grid.metres**2 for free in frees]
    for category, choice in chosen.items():
        listed = lists.categories[category].listed(day, choice)
        by_count = _count(frees[-1], category, day)
        seed = (category, day)
        freely = frees[-1].squares(category, day, listed.expected).position
        orders = {
            "grid count": [best(by_count, area, parts[-1], seed) for area in _grids(lattice)],
            "grid stack": [lattice.of_cells(listed.order)],
            "free count": [best(by_count, lattice.area, parts[-1], seed)],
            "free stack": [freely],
        }
        points = frees[-1].place.points.filter(
            pl.col("category") == category, pl.col("day").is_between(day, day + days - 1)
        )
        outcome = np.bincount(points["part"].to_numpy(), minlength=lattice.grid.size)
        for metres in DISPLACED_METRES:
            sums = lattice.sums(outcome.astype(np.float32), metres / np.sqrt(2) / lattice.grid.metres)
            hits = {
                name: np.mean([_hits(order, sums.ravel(), lattice.area.ravel(), parts) for order in several], axis=0)
                for name, several in orders.items()
            }
            hits["default"] = np.where(is_free, hits["free stack"], hits["grid stack"])
            columns = {"area": AREAS, "km2": [free.place.task.area_km2 for free in frees], **hits}
            yield pl.DataFrame(columns).with_columns(
                origin_day=day, category=pl.lit(category), displaced=metres, incidents=points.height,
                is_free=pl.Series(is_free),
            )  # fmt: skip


def _count(free: Free, category: str, day: int) -> Floats:
    """Whole past incidents of each square, and below one the density around it."""
    seen = free.past.seen(day)
    counted = decayed(seen, category, day) * seen.decayed_days(category, day, HALF_LIFE_DAYS)
    around = free.lattice.sums(free.lattice.grid.smooth(counted, SIDE)).astype(float)
    return np.rint(free.lattice.sums(counted)) + around / (around.max() * (1 + 1e-6))


def _grids(lattice: Lattice) -> Iterator[Floats]:
    """The areas of the squares of each grid, 0 elsewhere."""
    for offset in range(PARTS):
        area = np.zeros(lattice.area.shape)
        of_grid = np.s_[offset // SIDE :: SIDE, offset % SIDE :: SIDE]
        area[of_grid] = lattice.area[of_grid]
        yield area


def _hits(order: Ints, sums: Floats, area: Floats, parts: list[float]) -> Floats:
    """Hits of the first squares that fit into each area."""
    counts = np.searchsorted(area[order].cumsum(), parts, side="right")
    return np.concatenate([[0], sums[order].cumsum()])[counts]


def ratios(rows: pl.DataFrame, name: str) -> Floats:
    """Hits of a list over those of the grid count, all categories together: of all windows, then of `DRAWS` of them.

    Blocks of windows that follow one another are drawn, the same for both lists (circular block bootstrap).
    """
    hits = rows.group_by("origin_day").agg(pl.col(name, "grid count").sum()).sort("origin_day")
    top, bottom = hits[name].to_numpy(), hits["grid count"].to_numpy()
    starts = np.random.default_rng(1).integers(0, top.size, (DRAWS, -(-top.size // scoring.BLOCK)))
    blocks = (starts[:, :, None] + np.arange(scoring.BLOCK)).reshape(DRAWS, -1)[:, : top.size] % top.size
    drawn = np.vstack([np.arange(top.size), blocks])
    return top[drawn].sum(axis=1) / bottom[drawn].sum(axis=1)


def _gain(drawn: Floats) -> str:
    low, high = np.quantile(drawn[1:], scoring.INTERVAL)
    return f"{drawn[0] - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"


def print_table(console: Console, title: str, rows: pl.DataFrame) -> None:
    """Hits and PAI of every list, and its gain over the grid count."""
    heads = (f"{name}: hits, PAI, gain" for name in LISTS)
    table = Table("area", "displaced", "incidents", *heads, "free", title=title)
    for (area, metres), part in rows.group_by("area", "displaced", maintain_order=True):
        incidents, share = part["incidents"].sum(), part["share"][0]
        sums = {name: part[name].sum() for name in LISTS}
        cells = [
            f"{hits:.0f}  {hits / incidents / share:.2f}"
            + (f"  {_gain(ratios(part, name))}" if name != LISTS[0] else "")
            for name, hits in sums.items()
        ]
        table.add_row(str(area), f"{metres} m", str(incidents), *cells, f"{part['is_free'].mean():.0%}")
    console.print(table)


def print_pooled(console: Console, rows: pl.DataFrame) -> None:
    """The mean gain of all cities and areas."""
    table = Table("displaced", *LISTS[1:], title="pooled: mean gain over the grid count of all cities and areas")
    for metres in DISPLACED_METRES:
        parts = rows.filter(displaced=metres).partition_by("city", "area")
        means = (np.mean([ratios(part, name) for part in parts], axis=0) for name in LISTS[1:])
        table.add_row(f"{metres} m", *(_gain(mean) for mean in means))
    console.print(table)


def main() -> None:
    """Every city's table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cities", nargs="+", choices=risk.CITIES)
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    console, frames = Console(width=190), []
    for city in given.cities:
        begin = time.perf_counter()
        frames.append(windows(city, given.development))
        print_table(console, city, frames[-1])
        console.print(f"{time.perf_counter() - begin:.0f} s")
        if given.folder:
            given.folder.mkdir(parents=True, exist_ok=True)
            frames[-1].write_parquet(given.folder / f"{city}.parquet")
    print_pooled(console, pl.concat(frames))


if __name__ == "__main__":
    main()
