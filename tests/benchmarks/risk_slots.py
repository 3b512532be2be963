"""Two-hour slots of the week on real records: `python -m tests.benchmarks.risk_slots toronto|chicago [FOLDER]`.

Twenty-four windows of 28 days, one from the start of each month, and the twelve months before them for selection. One
per cent of all cells × 84 slots is selected: hits, hit share over share (PAI), and the paired gain of `slots` over the
best simple count times the region's table of hours, with 95 % intervals. A FOLDER receives every window as Parquet.

Toronto's records have a local date and a separate local hour, with peaks at 0 and 12; Chicago's have minutes.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pipelines.forecast.risk import own_points
from pipelines.forecast.risk.cell_hours import backtest
from pipelines.forecast.risk.cell_hours import hours as slots
from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.history import ALWAYS, Floats, day_number
from pipelines.forecast.risk.models.boosting import boosting
from pipelines.forecast.risk.models.stack import BEST_COUNT
from pipelines.forecast.risk.own_points import Task
from tests.benchmarks import risk

SHARE = 0.01
MONTHS, MONTHS_BEFORE, DAYS = 24, 12, 28
HOURS = {
    "toronto": ("toronto/police_mci.parquet", pl.col("occurrencehour").cast(pl.Int64)),
    "chicago": ("chicago/aggravated_assaults.parquet", pl.col("date").str.slice(0, 19).str.to_datetime().dt.hour()),
}
"""Position of each city's local hours, row by row as in `risk`."""


def records(city: str) -> tuple[pl.DataFrame, Task, date]:
    """Points with ``occ_date, category, lon, lat`` and the local ``hour``; where; the first month that is scored."""
    frame, task, first = risk.CITIES[city]()
    path, hour = HOURS[city]
    hours = pl.read_parquet(risk.SHARED / path).select(hour.cast(pl.Int64).alias("hour"))
    whole = pl.concat([frame, hours], how="horizontal")
    return whole if "category" in whole.columns else whole.with_columns(category=pl.lit("all")), task, first


def timed(frame: pl.DataFrame, task: Task) -> dict[str, slots.Times]:
    """The points in their cells with their slots, known on the day after."""
    by_hour = frame.with_columns(category=pl.format("{}|{}", "category", "hour"))
    placed = []
    for name, events in own_points.place(by_hour, task).history.events.items():
        category, hour = name.split("|")
        placed.append(
            pl.DataFrame({"cell": events.cell, "day": events.day, "known_from": events.known_from}).with_columns(
                category=pl.lit(category),
                # The first day of 1970 was a Thursday.
                slot=(pl.col("day") + 3) % 7 * slots.PER_DAY + int(hour) // slots.SLOT_HOURS,
                known_until=pl.lit(ALWAYS),
            )
        )
    return slots.times(pl.concat(placed))


def windows(city: str, first: date | None = None) -> pl.DataFrame:
    """Every scored window by category and model: `slot_trials.WINDOWS`."""
    frame, task, scored = records(city)
    begin = day_number(first or scored)
    there = own_points.place(frame, task)
    times = timed(frame, task)
    start = (first or scored).replace(year=(first or scored).year - MONTHS_BEFORE // 12)
    origins = [day for day, _ in risk.months(start, MONTHS_BEFORE + MONTHS)]
    with Progress(console=Console(stderr=True)) as bar:
        tracked = bar.add_task(city, total=len(origins) * len(times))

        def boosted(category: str, origin: int) -> Floats | None:
            bar.advance(tracked)
            return boosting(there.history, category, origin)

        def tried(category: str) -> pl.DataFrame:
            rates = {origin: boosted(category, origin) for origin in origins}
            spans = [(origin, DAYS) for origin in origins]
            return backtest.backtest(there.history, times[category], category, spans, rates, SHARE)[1]

        with ThreadPoolExecutor(2) as pool:
            result = pl.concat(pool.map(tried, sorted(times)))
    return result.filter(pl.col("origin_day") >= begin)


def print_scores(console: Console, city: str, result: pl.DataFrame) -> None:
    """One row per category and model."""
    pooled = scoring.score(result, ["category", "model"], (BEST_COUNT, BEST_COUNT))
    heads = ("category", "model", "incidents", "hits", "hit share", "PAI", "95 %", "gain", "95 %", "log score")
    table = Table(*heads, title=f"{city}: {SHARE:.0%} of cell-slots, {MONTHS} windows of {DAYS} days")
    for row in pooled.iter_rows(named=True):
        table.add_row(
            row["category"], row["model"], str(row["incidents"]), str(row["hits"]), f"{row['hit_rate']:.3f}",
            f"{row['pai']:.2f}", f"{row['pai_low']:.2f} to {row['pai_high']:.2f}", f"{row['gain']:+.2f}",
            f"{row['gain_low']:+.2f} to {row['gain_high']:+.2f}", f"{row['log_score']:.6f}",
        )  # fmt: skip
    console.print(table)


def main() -> None:
    """One city's table."""
    city = sys.argv[1]
    begin = time.perf_counter()
    result = windows(city)
    console = Console(width=150)
    print_scores(console, city, result)
    ends = pl.lit(date(1970, 1, 1)) + pl.duration(days=pl.col("origin_day"))
    span = result.select(ends.min().alias("first"), ends.max().alias("last")).row(0)
    console.print(f"windows from {span[0]:%Y-%m-%d} to {span[1] + timedelta(days=DAYS):%Y-%m-%d}")
    console.print(f"{time.perf_counter() - begin:.0f} s")
    if len(sys.argv) > 2:
        folder = Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        result.write_parquet(folder / f"{city}_slots.parquet")


if __name__ == "__main__":
    main()
