"""Risk models on real records by rolling origin: `python -m tests.benchmarks.risk portland|toronto|chicago [FOLDER]`.

Twenty-four calendar months; the stack is also given the twelve windows before them to choose on. Prints every model at
each area: hits, PAI and PEI* with 95 % intervals, and the paired gain over the best simple count (chosen on earlier
origins) and over prospective hot spots. A FOLDER receives all scores as Parquet.

The models were developed on earlier months than the scored ones: Portland 2014-03 to 2015-02, Toronto 2017 and 2018,
Chicago 2014 and 2015. An earlier state of the code was chosen while these very tables were looked at.
"""

import itertools
import os
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pipelines.forecast.risk import own_grid, own_points
from pipelines.forecast.risk.history import day_number
from pipelines.forecast.risk.own_points import Task
from pipelines.forecast.risk.ranking import cells_of_share

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SQUARE_MILE_KM2 = 2.589988
MONTHS = 24
SHARES = (0.005, 0.01, 0.05)


def portland() -> tuple[pl.DataFrame, Task, date]:
    """Burglary and vehicle theft of the NIJ challenge, 250 ft cells; a quarter of a square mile and shares of area."""
    folder = SHARED / "portland_nij"
    frames = [
        pl.read_csv(folder / f"{name}.csv", try_parse_dates=True).with_columns(category=pl.lit(name))
        for name in ("burglary", "vehicle_theft")
    ]
    task = Task("EPSG:2913", folder / "police_districts.shp", 76.2, 0.25 * SQUARE_MILE_KM2)
    return pl.concat(frames), task, date(2015, 3, 1)


def toronto() -> tuple[pl.DataFrame, Task, date]:
    """Major crime indicators by local date of occurrence, 250 m cells."""
    when = pl.col("occurrencedate").str.slice(0, 19).str.to_datetime("%Y/%m/%d %H:%M:%S").dt.replace_time_zone("UTC")
    frame = pl.read_parquet(SHARED / "toronto" / "police_mci.parquet").select(
        when.dt.convert_time_zone("America/Toronto").dt.date().alias("occ_date"), category="MCI", lon="Long", lat="Lat"
    )
    return frame, Task("EPSG:26917", SHARED / "toronto" / "neighbourhoods.geojson", 250, 6.4), date(2019, 1, 1)


def chicago() -> tuple[pl.DataFrame, Task, date]:
    """Aggravated assaults, 250 m cells."""
    frame = pl.read_parquet(SHARED / "chicago" / "aggravated_assaults.parquet").select(
        pl.col("date").str.slice(0, 10).str.to_date().alias("occ_date"), lon="longitude", lat="latitude"
    )
    return frame, Task("EPSG:26916", SHARED / "chicago" / "police_districts.kml", 250, 6), date(2016, 1, 1)


CITIES = {"portland": portland, "toronto": toronto, "chicago": chicago}


def months(first: date, count: int) -> list[tuple[int, int]]:
    """Calendar months as (first day, days)."""
    starts = [
        day_number(date(first.year + (first.month - 1 + n) // 12, (first.month - 1 + n) % 12 + 1, 1))
        for n in range(count + 1)
    ]
    return [(start, end - start) for start, end in itertools.pairwise(starts)]


def scores(city: str) -> pl.DataFrame:
    """Every model's pooled scores at every area."""
    records, task, first = CITIES[city]()
    there = own_points.place(records, replace(task, placement=own_grid.GRID))
    whole = 1 / there.cell_share
    depths = sorted({there.selected, *(cells_of_share(share, whole) for share in SHARES)})
    with Progress(console=Console(stderr=True)) as bar:
        tracked = bar.add_task(city, total=None)
        scored = own_points.scored(
            there, months(first, MONTHS), depths, lambda text: bar.update(tracked, description=f"{city}, {text}")
        )
    return scored.scores


def print_scores(console: Console, city: str, result: pl.DataFrame) -> None:
    """One table per category and area."""
    for (category, cells), group in result.group_by("category", "cells", maintain_order=True):
        share = group["area_share"][0]
        what = f"{city}, {category}: {cells} cells, {share:.2%} of the area, {group['incidents'][0]} incidents"
        heads = ("model", "hits", "hit rate", "PAI", "95 %", "PEI*", "gain over best count", "gain over prospective")
        table = Table(*heads, title=what)
        for row in group.sort("pai", descending=True).iter_rows(named=True):
            gains = (_gain(row, name) for name in ("gain", "prospective_gain"))
            table.add_row(
                row["model"], str(row["hits"]), f"{row['hit_rate']:.3f}", f"{row['pai']:.2f}",
                f"{row['pai_low']:.2f} to {row['pai_high']:.2f}", f"{row['pei_star']:.3f}", *gains,
            )  # fmt: skip
        console.print(table)


def _gain(row: dict[str, float], name: str) -> str:
    return f"{row[name]:+.2f} ({row[f'{name}_low']:+.2f} to {row[f'{name}_high']:+.2f})"


def main() -> None:
    """One city's tables."""
    city = sys.argv[1]
    begin = time.perf_counter()
    result = scores(city)
    console = Console(width=150)
    print_scores(console, city, result)
    console.print(f"{time.perf_counter() - begin:.0f} s")
    if len(sys.argv) > 2:
        folder = Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        result.write_parquet(folder / f"{city}.parquet")


if __name__ == "__main__":
    main()
