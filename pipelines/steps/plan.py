"""Dispatch plans for anyone's city: read files, place units or simulate them, write the results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.config import seeds
from pipelines.config.progress import Progress, silent
from pipelines.dispatch import comparison, own_posts, own_simulation, own_times, travel
from pipelines.dispatch.comparison import Difference
from pipelines.dispatch.own_posts import MatrixRows, Plan
from pipelines.dispatch.simulation import simulate as simulated
from pipelines.dispatch.travel import Travel
from pipelines.steps import own_files, own_output

OUTPUTS = ("calls", "units", "summary", "calls_compared", "units_compared")
"""Files of a simulation."""
OPTIMAL = 5e-6
"""Distance to the bound that is not noted."""
LONG_WAY = 180.0
"""Minutes of the median way above which it is noted that they may be seconds."""
SHOWN = 3
"""Posts that are named as those that must not be left empty."""


@dataclass(frozen=True, slots=True)
class PostFiles:
    """A user's files for posts, and their encoding if they are CSV; empty: it is recognised."""

    travel: Path
    demand: Path
    posts: Path
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class SimulationFiles:
    """A user's files for a simulation.

    ``compared``: other units for the same calls; ``demand``: of zones, by which the first units are relocated.
    """

    travel: Path
    calls: Path
    units: Path
    hospitals: Path | None = None
    places: Path | None = None
    compared: Path | None = None
    demand: Path | None = None
    encoding: str | None = None

    @property
    def paths(self) -> list[Path]:
        """Return all files that are read."""
        optional = (self.hospitals, self.places, self.compared, self.demand)
        return [self.travel, self.calls, self.units, *(path for path in optional if path is not None)]


@dataclass(frozen=True, slots=True)
class Simulated:
    """``scores``: one row per set of units, ``units`` its file; ``differences``: of the first less the second set."""

    scores: pl.DataFrame
    differences: dict[str, Difference]


def posts(
    files: PostFiles,
    units: int,
    busy: float | None,
    within: float,
    target: Path,
    matrix_rows: MatrixRows = "zones",
    note: Progress = silent,
    table: Path | None = None,
) -> Plan:
    """Place units (MEXCLP), or without ``busy`` choose as many sites (MCLP); write ``zone, units``, return the plan.

    ``note`` receives what might mislead; ``table`` is where the compliance table is written, which needs ``busy``.
    """
    for output in (target, table):
        if output is not None:
            own_output.check_file(output, files.travel, files.demand, files.posts, formats=own_output.TABLES)
    demand = own_files.read(files.demand, own_posts.DEMAND, files.encoding, note)
    sites = own_files.read(files.posts, own_posts.SITES, files.encoding, note)
    minutes = read_travel(files.travel, files.encoding, [demand, sites], note)
    minutes, weights = own_posts.demand_of(demand, minutes, files.demand.name, note)
    candidates = own_posts.sites_of(sites, minutes, files.posts.name)
    plan = own_posts.plan(minutes, weights, candidates, within, units, busy, matrix_rows)
    if plan.turned_objective is not None:
        rows, other = ("zones", "posts") if matrix_rows == "zones" else ("posts", "zones")
        note(
            f"{files.travel.name} is not the same in both directions: its rows are read as {rows}; as {other} "
            f"(--matrix-rows {other}) these units have the objective {plan.turned_objective:.5f}"
        )
    if plan.bound > plan.objective + OPTIMAL:
        note(
            f"the search was ended before the optimum was proved: the objective is {plan.objective:.5f}, and at most "
            f"{plan.bound:.5f} is possible; give fewer candidate posts to be sure"
        )
    if plan.today_units is not None and plan.today_units != units:
        note(f"{files.posts.name} has {plan.today_units} units today, and the plan {units}: they are not like for like")
    own_output.write_table(plan.placed, target)
    if table is not None and busy is not None:
        own_output.write_table(
            own_posts.compliance_table(minutes, weights, candidates, within, units, busy, matrix_rows), table
        )
    return plan


def simulate(
    files: SimulationFiles, within: float, speed: float, folder: Path, note: Progress = silent, busy: float = 0.0
) -> Simulated:
    """Send units to the calls of a file; write ``calls``, ``units`` and ``summary`` as Parquet, return the scores.

    With other units to compare, their files are ``calls_compared`` and ``units_compared``.

    Args:
        files: What is read.
        within: Minutes after which a call counts as missed.
        speed: Of the way home over that of other ways.
        folder: Where to write.
        note: Receives what might mislead.
        busy: Probability that a unit is busy, for relocation.
    """
    for name in OUTPUTS:
        own_output.check_file(folder / f"{name}.parquet", *files.paths)
    called = own_files.read(files.calls, own_simulation.CALLS, files.encoding, note)
    units = [path for path in (files.units, files.compared) if path is not None]
    listed = [own_files.read(path, own_simulation.UNITS, files.encoding, note) for path in units]
    hospitals = _optional(files.hospitals, ("zone",), files.encoding, note)
    minutes = read_travel(files.travel, files.encoding, [called, *listed], note)
    places = _optional(files.places, own_simulation.PLACES, files.encoding, note)
    way = own_simulation.way_of(minutes, places, speed, files.places.name if files.places else "")
    calls = own_simulation.calls_of(called, minutes, hospitals is not None, files.calls.name)
    if calls.midnight is not None and calls.rows.height > 1 and (calls.rows["at"] % own_times.DAY == 0).all():
        note(f"{files.calls.name}: every call is at 00:00, so all of a day meet; give called_at with its time of day")
    at = own_simulation.hospitals_of(hospitals, minutes, files.hospitals.name if files.hospitals else "")
    results = []
    for path, rows, suffix in zip(units, listed, ("", "_compared"), strict=False):
        fleet_rows, fleet = own_simulation.fleet_of(rows, minutes, calls, path.name)
        if files.demand is not None and not suffix:
            demand = own_files.read(files.demand, own_posts.DEMAND, files.encoding, note)
            _, weights = own_posts.demand_of(demand, minutes, files.demand.name, note)
            fleet = own_simulation.relocated(fleet, minutes, weights, within, busy)
        result = own_simulation.results(calls, simulated(way, fleet, at, calls.calls), fleet_rows, minutes, within)
        own_output.write_table(result, folder / f"calls{suffix}.parquet")
        own_output.write_table(own_simulation.by_unit(result, fleet_rows, calls), folder / f"units{suffix}.parquet")
        results.append(result)
    names = [f"{units[0].name}, relocated" if files.demand else units[0].name, *(path.name for path in units[1:])]
    scores = pl.concat(
        [
            own_simulation.summary(result).select(pl.lit(name).alias("units"), pl.all())
            for name, result in zip(names, results, strict=True)
        ]
    )
    own_output.write_table(scores, folder / "summary.parquet")
    return Simulated(scores, _differences(results, calls, note) if len(results) > 1 else {})


def _differences(results: list[pl.DataFrame], calls: own_simulation.OwnCalls, note: Progress) -> dict[str, Difference]:
    """Return what the first units change against the second, per call, with an interval over runs or days."""
    unit = "run" if "run" in results[0].columns else "day"
    days = calls.rows.sort("row").select(pl.col(unit).rank("dense").cast(pl.Int64)).to_series().to_numpy()
    first, second = (
        frame.select(pl.col("is_missed").cast(pl.Float64).alias("missed_share"), pl.col("response_minutes"))
        for frame in results
    )
    differences = {}
    for name in first.columns:
        is_known = (first[name].is_not_null() & second[name].is_not_null()).to_numpy()
        if not is_known.any():
            continue
        left, right = (frame[name].to_numpy()[is_known] for frame in (first, second))
        rng = seeds.generator("plan simulate", name)
        differences[name] = comparison.paired_difference(left, right, days[is_known], rng)
    if any(difference.low is None for difference in differences.values()):
        note(f"no interval is stated: the calls are of fewer than {comparison.LEAST_DAYS} {unit}s")
    return differences


def _optional(path: Path | None, wanted: tuple[str, ...], encoding: str | None, note: Progress) -> pl.DataFrame | None:
    return None if path is None else own_files.read(path, wanted, encoding, note)


def read_travel(path: Path, encoding: str | None, others: list[pl.DataFrame], note: Progress = silent) -> Travel:
    """Read a matrix, or rows of ``from, to, minutes``.

    Args:
        path: The file.
        encoding: Of a CSV.
        others: Rows with zones; where they name a zone 0, a matrix without names begins with it, else with 1.
        note: Called if the encoding is a guess, and if the ways are so long that they may be in seconds.

    Raises:
        OwnDataError: The file cannot be read.
        PlanError: Its content cannot be used.
    """
    cells = own_files.cells(path, encoding, note)
    if set(travel.PAIRS) <= {cell.strip().lower() for cell in cells[0]}:
        result = travel.of_pairs(own_files.read(path, travel.PAIRS, encoding), path.name)
    else:
        named = {str(zone).strip() for frame in others if "zone" in frame.columns for zone in frame["zone"]}
        result = travel.of_cells(cells, path.name, first=0 if "0" in named else 1)
    ways = result.minutes[np.isfinite(result.minutes) & (result.minutes > 0)]
    if ways.size and (usual := float(np.median(ways))) > LONG_WAY:
        note(f"{path.name}: half of the ways take over {usual:.0f} minutes; check that they are not in seconds")
    return result


def summary(plan: Plan, within: float, busy: float | None) -> list[str]:
    """Return in words what a plan reaches."""
    minutes = f"within {within:g} min"
    what = (
        f"demand with a chosen site {minutes}"
        if busy is None
        else f"demand that an idle unit is expected to reach {minutes}"
    )
    rows = [("", plan.objective, plan.coverage), ("today's ", plan.today_objective, plan.today_coverage)]
    lines = [
        line
        for whose, objective, coverage in rows
        if objective is not None
        for line in (
            f"{whose}objective: {objective:.5f} (share of the {what})",
            f"{whose}coverage: {coverage:.5f} (share of the demand with any unit {minutes})",
        )
    ]
    posts_missed = [
        f"must not be left empty: {zone} (without its {count} unit{'s' if count > 1 else ''} the objective falls by "
        f"{lost:.5f}" + (f", by {after:.5f} if one comes from {start})" if start else ")")
        for zone, count, lost, after, start in plan.missed.head(SHOWN).iter_rows()
    ]
    return lines + posts_missed


def change(name: str, difference: Difference) -> str:
    """Return in words what the first units change."""
    factor, unit, what = (100, "points", "missed") if name == "missed_share" else (1, "minutes", "mean response")
    value = f"{what}, first less second: {factor * difference.value:+.2f} {unit}"
    if difference.low is None or difference.high is None:
        return value
    return f"{value} (95 % interval {factor * difference.low:+.2f} to {factor * difference.high:+.2f})"
