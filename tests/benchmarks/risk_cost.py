"""What one `predict risk` costs: `python -m tests.benchmarks.risk_cost portland|many`, CPU seconds and peak memory.

`portland` is burglary and vehicle theft of the NIJ challenge up to February 2017, on 250 ft cells; `many` two million
simulated points of three categories and five years, in 6,400 cells of 250 m. Both are read from a file and written to
one, and counted from the start of Python on.
"""

import resource
import sys
import tempfile
from datetime import date, datetime
from multiprocessing import get_context
from pathlib import Path

import geopandas as gpd
import numpy as np
import polars as pl
import shapely

from pipelines.forecast.risk.own_points import Task
from pipelines.steps import own_data
from tests.benchmarks import risk

START, DAYS = date(2017, 2, 1), 28
POINTS, YEARS, KM = 2_000_000, 5, 20


def portland(folder: Path) -> tuple[Path, Task]:
    """The points of the NIJ challenge as one file."""
    frame, task, _ = risk.portland()
    frame.write_csv(folder / "points.csv")
    return folder / "points.csv", task


def many(folder: Path) -> tuple[Path, Task]:
    """Two million points, a third of them in a few hundred places."""
    rng = np.random.default_rng(1)
    east, north = 630_000, 4_830_000
    busy, places = rng.random(POINTS) < 1 / 3, rng.uniform(0, KM * 1000, (2, 300))
    at = np.where(busy, places[:, rng.integers(0, 300, POINTS)], rng.uniform(0, KM * 1000, (2, POINTS)))
    minutes = rng.integers(0, YEARS * 365 * 24 * 60, POINTS)
    pl.DataFrame(
        {
            "occurred_at": pl.Series(minutes).cast(pl.Duration("ms")) * 60_000 + datetime(2012, 2, 2),
            "x": east + at[0],
            "y": north + at[1],
            "category": rng.choice(["burglary", "theft", "violence"], POINTS),
        }
    ).write_csv(folder / "points.csv")
    outline = shapely.box(east, north, east + KM * 1000, north + KM * 1000)
    gpd.GeoDataFrame(geometry=[outline], crs="EPSG:26917").to_file(folder / "outline.gpkg")
    return folder / "points.csv", Task("EPSG:26917", folder / "outline.gpkg", 250, 4)


def main() -> None:
    """One row: what was forecast, CPU seconds and peak memory of a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, task = {"portland": portland, "many": many}[sys.argv[1]](folder)
        worker = get_context("spawn").Process(target=forecast, args=(path, task, folder / "risk.parquet"))
        worker.start()
        worker.join()
        frame = pl.read_parquet(folder / "risk.parquet")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = used.ru_utime + used.ru_stime
    print(f"{sys.argv[1]}: {frame.height:,} rows, {spent:.1f} CPU s, peak {used.ru_maxrss / 1024:,.0f} MB")


def forecast(path: Path, task: Task, target: Path) -> None:
    """Run `predict risk`."""
    own_data.predict_risk(own_data.Source(path), task, START, DAYS, target)


if __name__ == "__main__":
    main()
