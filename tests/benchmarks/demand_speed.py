"""The nightly refresh of hourly demand in seconds, memory and loss: `python -m tests.benchmarks.demand_speed 50 500`.

Hourly series of a year are drawn, so that the true rates are known: each its own day and week, a drifting level,
a time of year for all. Each method forecasts the week after with ranges, in a process of its own that reads the series
from a file and writes its quantiles, as `bongsu predict demand` does; its own imports are not timed, those of children
are. Memory is the peak of the process and its children together, seconds of processor are those of all of them. Ours
selects models and fits ranges again, on two processes; the others fit once on one: default Prophet with its samples,
AutoETS with a day's season, and LightGBM-Poisson of all series with a negative binomial learnt on the last week. Losses
are compared on the same `SAMPLE` series; the oracle knows the rates.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import norm

from pipelines.forecast.demand.evaluation import negative_binomial, scoring
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS

HOURS, AHEAD, SAMPLE = 365 * 24, 168, 20
COUNTS = (50, 500)
"""5,000 on request: `python -m tests.benchmarks.demand_speed 5000`."""
START = datetime(2025, 1, 1)
END = START + timedelta(hours=HOURS)
KEYS = ["unique_id", "ds"]
RIVALS = {"prophet": ("default Prophet", SAMPLE), "ets": ("AutoETS", SAMPLE), "lightgbm": ("LightGBM-Poisson", 500)}
Floats = NDArray[np.float64]
Clock = Floats
"""Seconds, and seconds of processor."""


def rate(number: int) -> Floats:
    """Calls an hour of one series, the week ahead included."""
    group, hour = np.random.default_rng(number), np.arange(HOURS + AHEAD)
    day = 1 + group.uniform(0.3, 0.8) * np.sin(2 * np.pi * (hour / 24 - group.uniform()))
    week = np.where(hour // 24 % 7 >= 5, group.uniform(0.7, 1.3), 1.0)
    year = 1 + 0.15 * np.sin(2 * np.pi * hour / 8766)
    weeks = np.arange(0, HOURS + AHEAD + 168, 168)
    level = np.interp(hour, weeks, group.normal(0, 0.03, weeks.size).cumsum())
    return np.asarray(np.exp(group.normal(-0.5, 1) + level) * day * week * year)


def drawn(count: int, first: int = 0) -> pl.DataFrame:
    """``unique_id, ds, y, rate`` of ``count`` Poisson series and the week after them."""
    ds = pl.datetime_range(START, END + timedelta(hours=AHEAD - 1), "1h", time_unit="us", eager=True)
    frames = []
    for number in range(first, first + count):
        rates = rate(number)
        y = np.random.default_rng((number, 1)).poisson(rates).astype(float)
        frames.append(pl.DataFrame({"unique_id": f"s{number:05}", "ds": ds, "y": y, "rate": rates}))
    return pl.concat(frames)


def written(count: int, folder: Path) -> tuple[Path, pl.DataFrame]:
    """The year of ``count`` series as a file, and the week after it."""
    path, parts, after = folder / f"{count}.parquet", folder / f"parts-{count}", []
    parts.mkdir()
    for first in range(0, count, 500):
        part = drawn(min(500, count - first), first)
        part.filter(pl.col("ds") < END).select(*KEYS, "y").write_parquet(parts / f"{first:05}.parquet")
        after.append(part.filter(pl.col("ds") >= END))
    pl.scan_parquet(parts / "*.parquet").sink_parquet(path)
    return path, pl.concat(after)


def clock() -> Clock:
    """Seconds, and seconds of processor of this process and the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(single.ru_utime + single.ru_stime for single in used)])


def ours(source: Path, target: Path) -> Clock:
    """Seconds of `bongsu predict demand`."""
    from pipelines.forecast.demand import own_series
    from pipelines.steps import own_data

    own_series.predict(drawn(2).select(*KEYS, "y"), "h", AHEAD)
    begin = clock()
    own_data.predict_demand(own_data.Source(source), "h", AHEAD, target)
    return clock() - begin


def one_by_one(source: Path, target: Path, fit: Callable[[pl.DataFrame], Floats]) -> Clock:
    """Seconds of a method that fits series by series; its rows of quantiles are those of the hours ahead."""
    lines = pl.read_parquet(source).partition_by("unique_id", maintain_order=True)
    fit(lines[0].head(1000))
    begin = clock()
    answers = [answer(line["unique_id"][0], fit(line)) for line in lines]
    took = clock() - begin
    pl.concat(answers).write_parquet(target)
    return took


def answer(name: str, result: Floats) -> pl.DataFrame:
    """``unique_id, ds`` and quantiles of one series."""
    ds = [END + timedelta(hours=i) for i in range(AHEAD)]
    values = {column: result[:, i] for i, column in enumerate(COLUMNS)}
    return pl.DataFrame({"unique_id": name, "ds": ds, **values}, schema_overrides={"ds": pl.Datetime("us")})


def prophet(source: Path, target: Path) -> Clock:
    """Seconds of default Prophet, its thousand samples drawn once."""
    from prophet import Prophet

    from pipelines.forecast.demand.models import prophet as prophet_mean

    prophet_mean._silence()

    def fit(line: pl.DataFrame) -> Floats:
        model = Prophet().fit(line.select("ds", "y").to_pandas())
        np.random.seed(0)
        ahead = model.make_future_dataframe(AHEAD, freq="h", include_history=False)
        return np.quantile(model.predictive_samples(ahead)["yhat"], LEVELS, axis=1).T

    return one_by_one(source, target, fit)


def ets(source: Path, target: Path) -> Clock:
    """Seconds of AutoETS, compiled before."""
    from statsforecast.models import AutoETS

    def fit(line: pl.DataFrame) -> Floats:
        forecasts = AutoETS(season_length=24).forecast(line["y"].to_numpy(), h=AHEAD, level=[80])
        spread = (forecasts["hi-80"] - forecasts["mean"]) / norm.ppf(0.9)
        return np.asarray(forecasts["mean"][:, None] + spread[:, None] * norm.ppf(LEVELS)[None, :])

    return one_by_one(source, target, fit)


def lightgbm(source: Path, target: Path) -> Clock:
    """Seconds of one Poisson model of all series on one thread, and the dispersion of its last week."""
    from lightgbm import LGBMRegressor

    series = pl.read_parquet(source)
    begin = clock()
    hours = pl.datetime_range(END, END + timedelta(hours=AHEAD - 1), "1h", time_unit="us", eager=True).alias("ds")
    ahead = series.select("unique_id").unique(maintain_order=True).join(hours.to_frame(), how="cross")
    y, ds = pl.col("y"), pl.col("ds")
    lags = [y.shift(lag).over("unique_id").alias(f"lag{lag}") for lag in (168, 336)]
    levels = [y.rolling_mean(days * 24).shift(168).over("unique_id").alias(f"mean{days}") for days in (7, 28)]
    names = ["hour", "weekday", "lag168", "lag336", "mean7", "mean28"]
    rows = pl.concat([series, ahead.with_columns(y=pl.lit(None, pl.Float64))]).sort(KEYS)
    rows = rows.with_columns(ds.dt.hour().alias("hour"), ds.dt.weekday().alias("weekday"), *lags, *levels)

    def means(known: pl.DataFrame, ahead: pl.DataFrame) -> Floats:
        model = LGBMRegressor(objective="poisson", n_jobs=1, verbosity=-1)
        model.fit(known.select(names).to_numpy(), known["y"].to_numpy())
        return np.asarray(model.predict(ahead.select(names).to_numpy()))

    known, ahead = rows.drop_nulls(["y", "mean28"]), rows.filter(y.is_null())
    last_week = known.filter(ds >= END - timedelta(hours=AHEAD))
    forecasts = means(known.filter(ds < END - timedelta(hours=AHEAD)), last_week)
    dispersion = max(
        float((((last_week["y"].to_numpy() - forecasts) ** 2) - forecasts).sum() / (forecasts**2).sum()), 0.0
    )
    values = negative_binomial.quantiles(means(known, ahead), dispersion)
    took = clock() - begin
    ahead.select(KEYS).with_columns(pl.Series(c, values[:, i]) for i, c in enumerate(COLUMNS)).write_parquet(target)
    return took


WAYS = {"ours": ours, "prophet": prophet, "ets": ets, "lightgbm": lightgbm}


def measured(way: str, source: Path, target: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor and peak megabytes of one way, in a separate process."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.demand_speed", way, str(source), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        root, peak = psutil.Process(child.pid), 0
        while child.poll() is None:
            peak = max(peak, resident(root))
            time.sleep(0.1)
        forecasts, _ = child.communicate()
    if child.returncode:
        raise RuntimeError(f"{way} failed: run {' '.join(command)}")
    seconds, processor = map(float, forecasts.split()[-2:])
    return seconds, processor, peak / 1e6


def resident(root: psutil.Process) -> int:
    """Bytes used by a process and its children now."""
    total = 0
    try:
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0
    return total


def loss(forecasts: pl.DataFrame, after: pl.DataFrame, scales: pl.DataFrame) -> float:
    """Scaled pinball of the week after: the sum of losses over the sum of scales."""
    rows = after.join(forecasts, on=KEYS, how="left").join(scales, on="unique_id")
    return float(rows.select(scoring.mean_pinball().sum() / pl.col("scale").sum()).item())


def oracle(after: pl.DataFrame) -> pl.DataFrame:
    """Quantiles of the true rates."""
    values = negative_binomial.quantiles(after["rate"].to_numpy(), 0.0)
    return after.select(KEYS).with_columns(pl.Series(c, values[:, i]) for i, c in enumerate(COLUMNS))


def table(console: Console, counts: tuple[int, ...] = COUNTS) -> None:
    """Print every method: ours for all counts, the others on samples."""
    result = Table("hourly series of a year, 7 days ahead", "series", "seconds", "a series", "of processor", "peak MB",
                  "scaled pinball, sample", "all its series", "oracle")  # fmt: skip
    methods = [("ours", "ours, selected and calibrated again", count) for count in counts] + [
        (way, name, count) for way, (name, count) in RIVALS.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        files = {count: written(count, Path(folder)) for count in {count for _, _, count in methods}}
        for way, name, count in methods:
            source, after = files[count]
            target = Path(folder) / f"{way}-{count}.parquet"
            took, processor, peak = measured(way, source, target)
            forecasts, true = pl.read_parquet(target).select(*KEYS, *COLUMNS), oracle(after)
            scales = scoring.season_errors(pl.read_parquet(source), "h")
            sample = after.filter(pl.col("unique_id") < f"s{SAMPLE:05}")
            losses = [loss(forecasts, sample, scales), loss(forecasts, after, scales), loss(true, after, scales)]
            times = [f"{took:.1f}", f"{took / count:.4f}", f"{processor / count:.4f}", f"{peak:,.0f}"]
            result.add_row(name, f"{count:,}", *times, *[f"{value:.4f}" for value in losses])
        small = files[SAMPLE][1]
        best = loss(oracle(small), small, scoring.season_errors(pl.read_parquet(files[SAMPLE][0]), "h"))
        result.add_row("oracle", f"{SAMPLE}", "", "", "", "", f"{best:.4f}", "", "")
    console.print(result)


def main() -> None:
    """Run one method, or with counts only, print the table."""
    words = sys.argv[1:]
    if words and words[0] in WAYS:
        print(*WAYS[words[0]](Path(words[1]), Path(words[2])))
        return
    table(Console(width=160), tuple(map(int, words)) or COUNTS)


if __name__ == "__main__":
    main()
