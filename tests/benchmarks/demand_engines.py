"""One backtest of demand on every engine: `python -m tests.benchmarks.demand_engines [SERIES] [BATCH]`.

Drawn hourly series of half a year, a day ahead from a few origins, in batches: on this process, on two processes, on a
local Ray cluster of two workers and on local Spark with two. Each runs in a separate process that stores its frames;
the table says how long it took, the engine's start included, and whether every frame is equal to that of one process,
to the last digit. Engines that are not installed are reported. Give a number of series and the most of a batch.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from tests.benchmarks.demand_speed import START, drawn

SERIES, BATCH = 100, 25
DAYS, AHEAD, ORIGINS = 182, 24, 4
PLACES = {"one process": ("local", 1), "two processes": ("local", 2), "Ray, two workers": ("ray", 2),
          "Spark, local[2]": ("spark", 2)}  # fmt: skip
NEEDS = {"ray": ("fugue_ray", "ray"), "spark": ("fugue_spark", "pyspark")}
Frames = dict[str, pl.DataFrame]


def backtest(engine: str, processes: int, count: int, batch: int, folder: Path) -> float:
    """Seconds of the backtest; its frames go to ``folder``."""
    from pipelines.forecast.demand import own_series

    series = drawn(count).filter(pl.col("ds") < START + pl.duration(days=DAYS)).select("unique_id", "ds", "y")
    os.environ |= {
        "BONGSU_ENGINE": engine,
        "PYSPARK_SUBMIT_ARGS": f"--master local[{processes}] pyspark-shell",
        # Ray's workers stand back for all other work on a machine, which is another matter than their speed.
        "RAY_worker_niceness": "0",
    }
    if engine == "ray":
        import ray

        ray.init(num_cpus=processes, include_dashboard=False, log_to_driver=False, logging_level="error")
    begin = time.perf_counter()
    result = own_series.backtest(series, "h", AHEAD, ORIGINS, AHEAD * 7, processes, batch=batch)
    took = time.perf_counter() - begin
    for field in fields(result):
        getattr(result, field.name).write_parquet(folder / f"{field.name}.parquet")
    return took


def frames(folder: Path) -> Frames:
    """The frames of a run, by name."""
    return {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def lacking(engine: str) -> str | None:
    """A message if an engine is not installed."""
    missing = [name for name in NEEDS.get(engine, ()) if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)} (pip install 'bongsu[distributed]')" if missing else None


def differing(single: Frames, other: Frames) -> list[str]:
    """Frames that are not equal to the last digit."""
    return [name for name in single if name not in other or not single[name].equals(other[name])]


def main() -> None:
    """Run one engine, or all of them and print the table."""
    words = sys.argv[1:]
    if words and not words[0].isdigit():
        print(backtest(words[0], int(words[1]), int(words[2]), int(words[3]), Path(words[4])))
        return
    count, batch = [*map(int, words), *(SERIES, BATCH)[len(words) :]]
    title = f"{count} hourly series of half a year in batches of {batch}, a day ahead from {ORIGINS} origins"
    table = Table("backtest of demand", "seconds", "identical", title=title)
    with tempfile.TemporaryDirectory() as top:
        first: Frames = {}
        for name, (engine, processes) in PLACES.items():
            missing = lacking(engine)
            if missing:
                table.add_row(name, "", missing)
                continue
            folder = Path(top) / f"{engine}-{processes}"
            folder.mkdir()
            took = seconds(engine, processes, count, batch, folder)
            first = first or frames(folder)
            wrong = differing(first, frames(folder))
            table.add_row(name, f"{took:.1f}", f"no: {', '.join(wrong)}" if wrong else "yes")
            print(f"{name}: {took:.1f} s, {len(wrong)} frames differ", file=sys.stderr)
    Console(width=140).print(table)


def seconds(engine: str, processes: int, count: int, batch: int, folder: Path) -> float:
    """Seconds of one engine, in a separate process."""
    words = [engine, str(processes), str(count), str(batch), str(folder)]
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.demand_engines", *words]
    # Workers of a cluster import this package by name.
    paths = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths})
    return float(run.stdout.split()[-1])


if __name__ == "__main__":
    main()
