"""The nightly refresh of hourly demand in seconds and memory: `python -m tests.benchmarks.demand_speed WAY COUNT`.

WAY: ours, prophet, ets or lightgbm; COUNT: drawn hourly series of one year, forecast a week ahead with ranges. Each way
runs in a process of its own, whose peak of resident memory is told; imports are not timed. Ours chooses its models and
learns its ranges anew, at six earlier origins, and takes `BATCH` series at a time. The others fit once: default Prophet
with its samples, AutoETS with a day's season, and one LightGBM per level (0.1, 0.5 and 0.9) on lags of one and two
weeks, hour and weekday.
"""

import resource
import subprocess
import sys
import time
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

HOURS, AHEAD, BATCH = 365 * 24, 168, 500
COUNTS = (50, 500, 5_000)
RIVALS = {"prophet": ("default Prophet", 4), "ets": ("AutoETS", 4), "lightgbm": ("LightGBM, 3 levels", 50)}


def drawn(first: int, count: int) -> pl.DataFrame:
    """Poisson counts of ``count`` areas: quiet to busy, each with a day and a week."""
    generator = np.random.default_rng(first)
    hour = np.arange(HOURS)
    week = 1 + 0.6 * np.sin(hour * 2 * np.pi / 24) + 0.2 * np.sin(hour * 2 * np.pi / 168)
    rates = np.exp(generator.normal(-0.5, 1, count))
    ds = pl.datetime_range(datetime(2025, 1, 1), datetime(2025, 1, 1) + timedelta(hours=HOURS - 1), "1h", eager=True)
    return pl.concat(
        pl.DataFrame({"unique_id": f"s{first + n}", "ds": ds, "y": generator.poisson(rate * week).astype(float)})
        for n, rate in enumerate(rates)
    )


def ours(count: int) -> float:
    """Seconds of the refresh."""
    from pipelines.forecast.demand import own_series

    own_series.predict(drawn(0, 2), "h", AHEAD)
    took = 0.0
    for first in range(0, count, BATCH):
        part = drawn(first, min(BATCH, count - first))
        begin = time.perf_counter()
        own_series.predict(part, "h", AHEAD)
        took += time.perf_counter() - begin
    return took


def prophet(count: int) -> float:
    """Seconds of default Prophet."""
    from prophet import Prophet

    from pipelines.forecast.demand import prophet_mean

    prophet_mean._silence()
    lines = [line.select("ds", "y").to_pandas() for line in drawn(0, count).partition_by("unique_id")]
    begin = time.perf_counter()
    for line in lines:
        model = Prophet().fit(line)
        model.predict(model.make_future_dataframe(AHEAD, freq="h", include_history=False))
    return time.perf_counter() - begin


def ets(count: int) -> float:
    """Seconds of AutoETS, compiled before."""
    from statsforecast.models import AutoETS

    lines = [line["y"].to_numpy() for line in drawn(0, count).partition_by("unique_id")]
    AutoETS(season_length=24).forecast(lines[0][:1000], h=AHEAD, level=[80])
    begin = time.perf_counter()
    for line in lines:
        AutoETS(season_length=24).forecast(line, h=AHEAD, level=[80])
    return time.perf_counter() - begin


def lightgbm(count: int) -> float:
    """Seconds of three quantile models of all series together, on one thread."""
    from lightgbm import LGBMRegressor

    series = drawn(0, count)
    begin = time.perf_counter()
    start = series["ds"].max() + timedelta(hours=1)  # type: ignore[operator]
    steps = pl.datetime_range(start, start + timedelta(hours=AHEAD - 1), "1h", eager=True).alias("ds")
    ahead = (
        series.select("unique_id").unique().join(steps.to_frame(), how="cross").with_columns(y=pl.lit(None, pl.Float64))
    )
    ds = pl.col("ds")
    lags = [pl.col("y").shift(lag).over("unique_id", order_by="ds").alias(f"lag{lag}") for lag in (168, 336)]
    rows = pl.concat([series, ahead]).with_columns(ds.dt.hour().alias("hour"), ds.dt.weekday().alias("weekday"), *lags)
    names = ["hour", "weekday", "lag168", "lag336"]
    known, asked = rows.drop_nulls(["y", "lag336"]), rows.filter(pl.col("y").is_null())
    for level in (0.1, 0.5, 0.9):
        model = LGBMRegressor(objective="quantile", alpha=level, n_jobs=1, verbosity=-1)
        model.fit(known.select(names).to_numpy(), known["y"].to_numpy())
        model.predict(asked.select(names).to_numpy())
    return time.perf_counter() - begin


WAYS = {"ours": ours, "prophet": prophet, "ets": ets, "lightgbm": lightgbm}


def measured(way: str, count: int) -> tuple[float, float]:
    """Seconds and peak megabytes of one way, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.demand_speed", way, str(count)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, megabytes = map(float, said.split()[-2:])
    return seconds, megabytes


def table(console: Console, counts: tuple[int, ...] = COUNTS) -> None:
    """Print every way: ours for all counts, the others on a sample."""
    found = Table("hourly series of a year, 7 days ahead", "series", "seconds", "seconds a series", "peak MB")
    asked = [("ours", "ours, chosen and calibrated anew", count) for count in counts]
    asked += [(way, f"{name} (sample)", count) for way, (name, count) in RIVALS.items()]
    for way, name, count in asked:
        took, peak = measured(way, count)
        found.add_row(name, f"{count:,}", f"{took:.1f}", f"{took / count:.4f}", f"{peak:.0f}")
    console.print(found)


def main() -> None:
    """Run one way, or with counts alone print the table."""
    words = sys.argv[1:]
    if words and words[0] in WAYS:
        took = WAYS[words[0]](int(words[1]))
        print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    table(Console(width=140), tuple(map(int, words)) or COUNTS)


if __name__ == "__main__":
    main()
