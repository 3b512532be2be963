"""Whole steps compared with alternatives that a user would otherwise choose, in one run: `make bench`.

`python -m tests.benchmarks.bench risk gi_star` runs the rows whose names hold one of the words, and no other.
Peaks are of arrays and objects (tracemalloc), in a separate run: it slows the measured code, and does not see what
LightGBM allocates.
"""

import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import orjson
import polars as pl
from rich.console import Console
from rich.table import Table

from pipelines import feeds
from pipelines.config import profile
from pipelines.config.settings import Settings
from pipelines.ingest import fetch, load
from pipelines.store import landing, warehouse
from tests.benchmarks import demand_speed, dispatch, throughput

AS_OF = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def peak_megabytes(work: Callable[[], object]) -> float:
    """Most memory that one call's arrays and objects hold at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@contextmanager
def quiet():  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def loading_against_plain_read_json() -> tuple[str, float, str, float]:
    """Ninety days of 112 calls: parse, contract, suite, versions, accounting; against read_json."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", profile=profile.load("korea"), as_of=AS_OF)
        feed = feeds.named(settings.profile, "police_112")
        fetch.fetch_window(settings, feed, (AS_OF - timedelta(days=90), AS_OF), lambda _: None)
        rows = [
            row
            for b in landing.batches(settings)
            for part in landing.read(settings, b)
            for row in orjson.loads(part)["incidents"]
        ]
        plain = Path(folder) / "plain.json"
        plain.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))

        def ours() -> None:
            with warehouse.connect(settings) as con:
                load.load_pending(con, settings, feed)

        def theirs() -> None:
            with duckdb.connect(str(Path(folder) / "plain.duckdb"), config={"threads": 2}) as con:
                con.execute(
                    "create table calls as select * from read_json(?, format = 'newline_delimited')", [str(plain)]
                )

        import great_expectations  # noqa: F401  imported before the clock starts: a run pays for it once

        return f"load {len(rows):,} calls, checked", seconds(ours), "DuckDB read_json, unchecked", seconds(theirs)


def gi_star_against_esda(side: int = 100) -> tuple[str, float, str, float]:
    """Gi* of a square of cells, analytic; against esda's G_Local without permutations, its weights not counted."""
    from esda.getisord import G_Local
    from libpysal.weights import lat2W

    from pipelines.patterns import hot_spots
    from pipelines.patterns.statistics.neighbours import queen

    counts = np.random.default_rng(1).poisson(0.3, side * side).astype(float)
    x, y = np.meshgrid(np.arange(side) * 250, np.arange(side) * 250)
    with quiet():
        weights = lat2W(side, side, rook=False)
        theirs = seconds(lambda: G_Local(counts, weights, star=True, permutations=0))

    def ours() -> None:
        hot_spots.gi_star(counts, queen(x.ravel(), y.ravel(), 250))

    took, peak = seconds(ours), peak_megabytes(ours)
    return f"Gi* of {side * side:,} cells (peak {peak:.0f} MB)", took, "esda G_Local, analytic", theirs


def gi_star_of_a_large_grid() -> tuple[str, float, str, float]:
    """Gi* of 100,000 cells and a few: a large city at 100 m."""
    return gi_star_against_esda(317)


def local_moran_against_esda() -> tuple[str, float, str, float]:
    """Local Moran of 10,000 cells with 99,999 permutations; against esda's Moran_Local with 999, compiled before."""
    from esda.moran import Moran_Local
    from libpysal.weights import lat2W

    from pipelines.patterns.local_moran import local_moran
    from pipelines.patterns.statistics.neighbours import queen

    side = 100
    counts = np.random.default_rng(1).poisson(0.3, side * side).astype(float)
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    with quiet():
        weights = lat2W(side, side, rook=False)
        Moran_Local(counts, weights, permutations=9, seed=1)
        theirs = seconds(lambda: Moran_Local(counts, weights, permutations=999, seed=1))
    ours = seconds(lambda: local_moran(counts, queen(x.ravel(), y.ravel(), 1), "bench"))
    return "local Moran of 10,000 cells, 99,999 permutations", ours, "esda Moran_Local, 999 permutations", theirs


def portland_box():  # type: ignore[no-untyped-def]
    """Nine thousand events of five years on 129,090 cells, Portland's box at 250 ft.

    They are drawn, a tenth of them at two hundred addresses: timing needs no real records.
    """
    from pipelines.forecast.risk.history import Events, Grid, History

    rows, columns, count = 390, 331, 9_037
    rng = np.random.default_rng(3)
    row, column = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    repeated = rng.choice(rng.integers(0, rows * columns, 200), count)
    cells = np.where(rng.random(count) < 0.1, repeated, rng.integers(0, rows * columns, count))
    events = Events.of(cells, np.sort(rng.integers(0, RISK_DAYS, count)))
    return History(Grid(row, column, 76.2), {RISK_CATEGORY: events}, 0)


RISK_DAYS, RISK_CATEGORY = 1_826, "vehicle_theft"


def risk_against_a_kernel_per_cell() -> tuple[str, float, str, float]:
    """All models of risk fitted and predicted once, against scipy's kernel density for every cell."""
    from scipy.stats import gaussian_kde

    from pipelines.forecast.risk.models import registry
    from pipelines.forecast.risk.models.boosting import boosting

    def ours() -> None:
        past = portland_box()
        registry.rates(past.seen(RISK_DAYS), RISK_CATEGORY, RISK_DAYS)
        boosting(past, RISK_CATEGORY, RISK_DAYS)

    past = portland_box()
    there, cells = past.grid, past.events[RISK_CATEGORY].cell

    def theirs() -> None:
        kept_points = np.vstack([there.row[cells], there.column[cells]])
        gaussian_kde(kept_points)(np.vstack([there.row, there.column])[:, ::20])

    took, peak = seconds(ours), peak_megabytes(ours)
    what = f"{len(registry.MODELS)} risk models, {there.size:,} cells (peak {peak:.0f} MB)"
    return what, took, "scipy gaussian_kde (a 20th × 20)", seconds(theirs) * 20


def risk_models() -> Table:
    """Every model of risk alone: seconds and peak memory of one fit and prediction, on a grid not used before."""
    from pipelines.forecast.risk.models import registry
    from pipelines.forecast.risk.models.boosting import boosting

    table = Table("risk model, 129,090 cells, 9,037 events", "seconds", "peak MB")
    for name, model in (registry.SIMPLE | {registry.BOOSTING: boosting}).items():

        def ours(model=model) -> None:  # type: ignore[no-untyped-def]
            past = portland_box()
            model(past if model is boosting else past.seen(RISK_DAYS), RISK_CATEGORY, RISK_DAYS)

        table.add_row(name, f"{seconds(ours):.2f}", f"{peak_megabytes(ours):.0f}")
    return table


def scan_against_plain_numpy() -> tuple[str, float, str, float]:
    """All 999 permutations of a year of 50,000 incidents in 10,000 cells; against whole arrays, scaled from two."""
    from pipelines.patterns import scan
    from pipelines.patterns.statistics import scan_windows

    rng, side = np.random.default_rng(3), 100
    weight = rng.lognormal(0, 0.7, side * side)
    cell, age = rng.choice(side * side, 50_000, p=weight / weight.sum()), rng.integers(0, 365, 50_000)
    y, x = np.divmod(np.arange(side * side), side) * np.array(250.0)
    year = scan_windows.circles(x, y, np.bincount(cell, minlength=side * side), scan.MAX_RADIUS_M)
    usual = year.inside[:, None] * scan_windows.windows(age) / cell.size
    recent = age < scan_windows.MAX_DAYS

    def ours(permutations: int) -> None:
        # Nothing beats an infinite ratio: no permutation is spared.
        scan.permuted(year, cell, age, permutations, np.array([np.inf]), rng)

    def theirs() -> None:
        for _ in range(2):
            kept_points = np.zeros((side * side, scan_windows.MAX_DAYS))
            np.add.at(kept_points, (rng.permutation(cell)[recent], age[recent]), 1)
            added = np.vstack([np.zeros(scan_windows.MAX_DAYS), kept_points.cumsum(axis=1)[year.cell].cumsum(axis=0)])
            ends = np.searchsorted(year.ring, np.arange(year.centre.size), side="right")
            count = added[ends] - added[year.first[year.centre]]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = scan_windows.log_ratio(count, usual, cell.size)
            np.where((count > usual) & (count >= scan_windows.MIN_INCIDENTS), ratio, 0).max()

    what = f"scan statistic, {scan.PERMUTATIONS} replications, {cell.size:,} events"
    took, otherwise = seconds(lambda: ours(scan.PERMUTATIONS)), seconds(theirs) * scan.PERMUTATIONS / 2
    peaks = [f"{peak_megabytes(work):.0f} MB" for work in (lambda: ours(2), theirs)]
    return f"{what} (peak {peaks[0]})", took, f"whole arrays, scaled from 2 (peak {peaks[1]})", otherwise


def hourly_demand_against_prophet() -> tuple[str, float, str, float]:
    """Twenty hourly series of a year, a week ahead, with ranges; against default Prophet, scaled from two series."""
    from prophet import Prophet

    from pipelines.forecast.demand import own_series
    from pipelines.forecast.demand.models import prophet

    generator = np.random.default_rng(2)
    hours = pl.datetime_range(datetime(2025, 1, 1), datetime(2025, 12, 31, 23), "1h", eager=True)
    rate = 2 + np.sin(np.arange(len(hours)) * 2 * np.pi / 24)
    series = pl.concat(
        pl.DataFrame({"unique_id": f"s{n}", "ds": hours, "y": generator.poisson(rate).astype(float)}) for n in range(20)
    )
    ours = seconds(lambda: own_series.predict(series, "h", 168))
    prophet._silence()

    def theirs() -> None:
        for name in ("s0", "s1"):
            model = Prophet().fit(series.filter(unique_id=name).select("ds", "y").to_pandas())
            model.predict(model.make_future_dataframe(168, freq="h", include_history=False))

    with quiet():
        return "20 hourly series, 7 days ahead", ours, "default Prophet (2 series × 10)", seconds(theirs) * 10


def main() -> None:
    """Run everything once and print the table."""
    table = Table("ours", "seconds", "otherwise", "seconds", "ours / otherwise")
    works = (
        loading_against_plain_read_json,
        gi_star_against_esda,
        gi_star_of_a_large_grid,
        local_moran_against_esda,
        scan_against_plain_numpy,
        risk_against_a_kernel_per_cell,
        hourly_demand_against_prophet,
    )
    words = sys.argv[1:]
    for work in (work for work in works if not words or any(word in work.__name__ for word in words)):
        what, ours, other, theirs = work()
        table.add_row(what, f"{ours:.2f}", other, f"{theirs:.2f}", f"{ours / theirs:.3g}")
    console = Console(width=140)
    console.print(table)
    if not words or "risk" in words:
        console.print(risk_models())
    if not words or "demand" in words:
        demand_speed.table(console)
    if not words or "dispatch" in words:
        dispatch.table(console)
    if not words:
        throughput.table(console)


if __name__ == "__main__":
    main()
