"""A replay of real days: fitted to the first week of San Francisco's unit records, compared with the second.

`python -m tests.benchmarks.dispatch_replay [REPLICATIONS]` reads the records at `BONGSU_SHARED_DATA`, and states where
they are absent. Of the second week only time, place and kind of the calls are used. Also printed: times of rural
Lancaster, which has no places, and of Nashville, which has arrivals only.
"""

import sys
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from pipelines.dispatch import record_replay, stages, time_chain, travel_law, unit_fleet
from tests.replay import shared_data

WARM_UP = timedelta(hours=3)
WEEK = timedelta(days=7)
SUBSTITUTES = {"PRIVATE": "MEDIC", "MEDIC": "PRIVATE"}
"""Ambulances of the fire department and of private firms, which replace each other."""
HOMED = ("ENGINE", "TRUCK")
DISTANCE = "straight line from the unit's station to the place rounded to 100 m"
STEPS = {
    "called_at": "received", "dispatched_at": "dispatch", "en_route_at": "response", "arrived_at": "on_scene",
    "left_scene_at": "transport", "hospital_at": "hospital", "available_at": "available",
}  # fmt: skip


def san_francisco(window: pl.DataFrame) -> pl.DataFrame:
    """Unit records with the names of the contract; the priority is that of the dispatch."""
    return window.drop_nulls(["received", "dispatch"]).select(
        pl.col("call").cast(pl.String).alias("incident_id"),
        pl.col("unit").alias("unit_id"),
        "unit_type",
        pl.col("prio").alias("priority"),
        pl.concat_str("prio", "call_type", "call_group", separator="|", ignore_nulls=True).alias("call_kind"),
        pl.col("station_area").alias("area"),
        "lon",
        "lat",
        **{step: pl.col(column) for step, column in STEPS.items()},
    )


def homes(records: pl.DataFrame, stations: pl.DataFrame) -> pl.DataFrame:
    """Engines and trucks wait at the station of their number; without such a station, at the middle of their calls."""
    units = records.filter(pl.col("unit_type").is_in(HOMED)).group_by("unit_id").agg(pl.col("lon", "lat").median())
    digits = pl.col("unit_id").str.extract(r"(\d+)$").cast(pl.Int64)
    joined = units.with_columns(station=digits).join(stations, on="station", how="left", suffix="_station")
    return joined.select("unit_id", lon=pl.coalesce("lon_station", "lon"), lat=pl.coalesce("lat_station", "lat")).sort(
        "unit_id"
    )


def responses(units: pl.DataFrame) -> pl.DataFrame:
    """Seconds from call to first arrival per incident; null if no unit arrived."""
    seconds = (pl.col("arrived_at").min() - pl.col("called_at").min()).dt.total_microseconds() / 1e6
    return units.group_by("incident_id", maintain_order=True).agg(
        seconds=seconds,
        handling=(pl.col("dispatched_at").min() - pl.col("called_at").min()).dt.total_seconds(),
        units=pl.len(),
    )


def shares(units: pl.DataFrame, fleet: unit_fleet.UnitFleet, start: datetime, end: datetime) -> pl.DataFrame:
    """Busy and in-service units by type and hour."""
    return fleet.on_duty.join(
        unit_fleet.busy_hours(units, start, end), on=["unit_type", "hour"], how="full", coalesce=True
    ).fill_null(0.0)


def replayed(console: Console, window: pl.DataFrame, stations: pl.DataFrame, replications: int) -> None:
    records = san_francisco(window)
    begin = records["called_at"].min().replace(hour=0, minute=0, second=0, microsecond=0)
    split, end = begin + WEEK, begin + 2 * WEEK
    first = records.filter(pl.col("called_at") < split, pl.col("dispatched_at") < split)
    # What was not known at the end of the first week: later steps of tasks that still ran.
    first = first.with_columns(pl.when(pl.col(step) < split).then(pl.col(step)).alias(step) for step in STEPS)
    fleet = unit_fleet.infer(first, homes(first, stations))
    fitted = record_replay.fit(first, fleet, DISTANCE)
    for setting, law in fitted.laws.items():
        console.print(f"law, priority {setting}: {travel_law.statement(law)}")
    columns = ("incident_id", "called_at", "call_kind", "priority", "area", "lon", "lat")
    calls = records.filter(pl.col("called_at") >= split - WARM_UP, pl.col("called_at") < end).select(columns)
    calls = calls.unique("incident_id", keep="first", maintain_order=True).sort("called_at")
    runs = [
        record_replay.replay(fitted, calls, np.random.default_rng([18, number]), SUBSTITUTES)
        for number in range(replications)
    ]
    scored = records.filter(pl.col("called_at") >= split)
    compare_responses(console, scored, [run.filter(pl.col("called_at") >= split) for run in runs])
    compare_busy(console, shares(records, fleet, split, end), [shares(run, fleet, split, end) for run in runs])


def compare_responses(console: Console, scored: pl.DataFrame, runs: list[pl.DataFrame]) -> None:
    """Print response times and what goes into them."""
    priority = scored.select("incident_id", "priority").unique("incident_id")
    measures = ("p50", "p90", "no arrival", "units", "dispatch p50")
    pairs = (f"{what} {side}" for what in measures for side in ("observed", "simulated"))
    table = Table("second week", "calls", *pairs)
    for name in ("all", *sorted(priority["priority"].unique())):
        kept = priority if name == "all" else priority.filter(pl.col("priority") == name)
        seen = responses(scored).join(kept, on="incident_id", how="semi")
        drawn = [responses(run).join(kept, on="incident_id", how="semi") for run in runs]
        cells = [name, f"{seen.height:,}"]
        for level in (0.5, 0.9):
            actual = float(seen["seconds"].quantile(level))
            values = [float(run["seconds"].quantile(level)) for run in drawn]
            cells += [
                f"{actual:.0f}",
                f"{np.mean(values):.0f} ± {np.std(values):.0f} ({np.mean(values) / actual - 1:+.1%})",
            ]
        for measure in (pl.col("seconds").is_null().mean(), pl.col("units").mean(), pl.col("handling").median()):
            values = [float(run.select(measure).item()) for run in drawn]
            cells += [f"{seen.select(measure).item():.3f}", f"{np.mean(values):.3f}"]
        table.add_row(*cells)
    console.print(table)
    waits = Table("type", "units sent a run", "had to wait", "mean wait s", "from outside")
    for row in pl.concat(runs).group_by("unit_type").agg(
        pl.len() / len(runs), (pl.col("waiting_seconds") > 0).mean().alias("waited"), pl.col("waiting_seconds").mean(),
        pl.col("unit_id").is_null().mean(),
    ).sort("unit_type").iter_rows():  # fmt: skip
        waits.add_row(row[0], f"{row[1]:.0f}", f"{row[2]:.1%}", f"{row[3]:.0f}", f"{row[4]:.1%}")
    console.print(waits)


def compare_busy(console: Console, seen: pl.DataFrame, runs: list[pl.DataFrame]) -> None:
    """Print the busy share by hour of the whole fleet and of each type that always has a unit on duty."""
    table = Table("busy share", "units", "observed", "simulated", "hours within 3 points", "mean difference",
                  "of one run from their mean", "worst hour")  # fmt: skip
    for name in ("all", *sorted(seen["unit_type"].unique())):
        pick = pl.lit(value=True) if name == "all" else pl.col("unit_type") == name
        hourly = [
            frame.filter(pick).group_by("hour").agg(pl.col("busy", "on_duty").sum()).sort("hour")
            for frame in (seen, *runs)
        ]
        duty = hourly[0]["on_duty"].to_numpy()
        if name != "all" and duty.min() < 1:
            continue
        actual, *single = (100 * side["busy"].to_numpy() / duty for side in hourly)
        drawn = np.mean(single, axis=0)
        gap, scatter = drawn - actual, np.mean([np.abs(run - drawn).mean() for run in single])
        worst = int(np.abs(gap).argmax())
        table.add_row(name, f"{duty.mean():.1f}", f"{actual.mean():.1f} %", f"{drawn.mean():.1f} %",
                      f"{(np.abs(gap) <= 3).sum()} of 24",
                      f"{np.abs(gap).mean():.1f}", f"{scatter:.1f}", f"{gap[worst]:+.1f} at {worst}:00")  # fmt: skip
    console.print(table)


def lancaster(console: Console, rows: pl.DataFrame, rng: np.random.Generator) -> None:
    """Print times of rural units: fitted up to 2016, drawn for 2017 and 2018."""
    records = rows.filter(~pl.col("repeat")).select(
        pl.col("incident").alias("incident_id"),
        kind=pl.when(pl.col("unit").str.contains(r"^M\d")).then(pl.lit("ambulance")).otherwise(pl.lit("volunteers")),
        area=pl.col("unit").str.replace_all(r"\d", ""), hour_band=(pl.col("dispatch").dt.hour() // 6).cast(pl.String),
        dispatched_at="dispatch", en_route_at="enroute", arrived_at="arrive", left_scene_at="to_hospital",
        hospital_at="at_hospital", available_at="clear",
    )  # fmt: skip
    split = datetime(2017, 1, 1)
    first = stages.measured(records.filter(pl.col("dispatched_at") < split), split)
    later = stages.measured(records.filter(pl.col("dispatched_at") >= split), datetime(2019, 1, 1))
    counted = Table("Lancaster to 2016", "state", "reason", "stages", "share", title="stages of rural units")
    for row in stages.accounting(first).filter(pl.col("share") >= 0.001).iter_rows():
        counted.add_row(row[0], row[1], row[2], f"{row[3]:,}", f"{row[4]:.1%}")
    console.print(counted)
    held_out(console, "Lancaster 2017 to 2018", first, later, rng)


def nashville(console: Console, rows: pl.DataFrame, rng: np.random.Generator) -> None:
    """Print alarm to arrival: fitted to 2019, drawn for 2020 up to the gap; areas are squares of a twentieth degree."""
    records = rows.sort("alarm_utc").with_row_index("incident_id").select(
        "incident_id", kind=pl.col("emd_level").fill_null("unknown"),
        area=pl.concat_str((pl.col("lat") * 20).floor(), (pl.col("lon") * 20).floor(), separator=","),
        hour_band=(pl.col("alarm").dt.hour() // 6).cast(pl.String), dispatched_at="alarm", en_route_at="alarm",
        arrived_at="arrive", available_at=pl.lit(None, pl.Datetime("ms")),
    )  # fmt: skip
    split, gap = datetime(2020, 1, 1), datetime(2020, 4, 26)
    parts = (
        records.filter(pl.col("dispatched_at") < split),
        records.filter(pl.col("dispatched_at").is_between(split, gap)),
    )
    first, later = (
        stages.measured(part, end).filter(pl.col("stage") == "travel")
        for part, end in zip(parts, (split, gap), strict=True)
    )
    for name, part in (("2019", first), ("2020", later)):
        states = part.group_by("state").len().sort("state").iter_rows()
        console.print(
            f"Nashville {name}, alarm to arrival: " + ", ".join(f"{state} {count:,}" for state, count in states)
        )
    held_out(console, "Nashville 2020, alarm to arrival", first, later, rng)


def held_out(console: Console, title: str, first: pl.DataFrame, later: pl.DataFrame, rng: np.random.Generator) -> None:
    """Print quantiles of later tasks and of draws for them, from tasks that were observed to their end."""
    seen, tasks = (frame.filter(pl.col("state") == stages.OBSERVED) for frame in (first, later))
    chain = time_chain.fit(seen)
    table = Table(title, "kind", "tasks", "p50 observed", "drawn", "p90 observed", "drawn", "mean observed", "drawn")
    for (stage, kind), rows in tasks.group_by("stage", "kind", maintain_order=True):
        actual, drawn = rows["seconds"].to_numpy(), time_chain.draw(chain, str(stage), rows, rng)
        if len(actual) >= 200:
            pairs = [
                f(values) for f in (np.median, lambda x: np.quantile(x, 0.9), np.mean) for values in (actual, drawn)
            ]
            table.add_row(str(stage), str(kind), f"{len(actual):,}", *(f"{value:.0f}" for value in pairs))
    console.print(table)


def main(replications: int = 20) -> None:
    console = Console(width=200)
    shared = shared_data()
    city = shared / "san_francisco" / "units"
    if (city / "units.parquet").is_file():
        stations = pl.read_csv(city / "stations.csv").select("station", "lon", "lat")
        for (window,), rows in pl.read_parquet(city / "units.parquet").group_by("window", maintain_order=True):
            console.print(f"San Francisco {window}, {replications} replications")
            replayed(console, rows, stations, replications)
    for name, path, show in (
        ("Lancaster", shared / "lancaster" / "units.parquet", lancaster),
        ("Nashville", shared / "nashville" / "incidents.parquet", nashville),
    ):
        if path.is_file():
            show(console, pl.read_parquet(path), np.random.default_rng([18, 1]))
        else:
            console.print(f"{name}: no records at {path} (BONGSU_SHARED_DATA)")
    if not city.is_dir():
        console.print(f"San Francisco: no records at {city} (BONGSU_SHARED_DATA)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
