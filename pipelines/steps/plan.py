"""Dispatch plans for anyone's city: read files, place units or simulate them, write the results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.dispatch import own_posts, travel
from pipelines.dispatch.own_posts import MatrixRows, Plan
from pipelines.dispatch.travel import Travel
from pipelines.steps import own_files, own_output

FORMATS = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class PostFiles:
    """A user's files for posts, and their encoding if they are CSV; empty: it is recognised."""

    travel: Path
    demand: Path
    posts: Path
    encoding: str | None = None


def posts(
    files: PostFiles,
    units: int,
    busy: float | None,
    within: float,
    target: Path,
    matrix_rows: MatrixRows = "zones",
    note: Progress = silent,
) -> Plan:
    """Place units (MEXCLP), or without ``busy`` choose as many sites (MCLP); write ``zone, units``, return the plan.

    ``note`` receives what might mislead.
    """
    own_output.check_file(target, files.travel, files.demand, files.posts, formats=FORMATS)
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
    write(plan.placed, target)
    return plan


def read_travel(path: Path, encoding: str | None, others: list[pl.DataFrame], note: Progress = silent) -> Travel:
    """Read a matrix, or rows of ``from, to, minutes``.

    Args:
        path: The file.
        encoding: Of a CSV.
        others: Rows with zones; where they name a zone 0, a matrix without names begins with it, else with 1.
        note: Called if the encoding is a guess.

    Raises:
        OwnDataError: The file cannot be read.
        PlanError: Its content cannot be used.
    """
    cells = own_files.cells(path, encoding, note)
    if set(travel.PAIRS) <= {cell.strip().lower() for cell in cells[0]}:
        return travel.of_pairs(own_files.read(path, travel.PAIRS, encoding), path.name)
    named = {str(zone).strip() for frame in others if "zone" in frame.columns for zone in frame["zone"]}
    return travel.of_cells(cells, path.name, first=0 if "0" in named else 1)


def write(frame: pl.DataFrame, target: Path) -> None:
    """Write a table as CSV or Parquet, by the file's name."""
    with own_output.writing(target.parent):
        if target.suffix.lower() == ".csv":
            frame.write_csv(target)
        else:
            frame.write_parquet(target)


def summary(plan: Plan, within: float, busy: float | None) -> list[str]:
    """Return in words what a plan reaches."""
    minutes = f"within {within:g} min"
    what = (
        f"demand with a chosen site {minutes}"
        if busy is None
        else f"demand that an idle unit is expected to reach {minutes}"
    )
    rows = [("", plan.objective, plan.coverage), ("today's ", plan.today_objective, plan.today_coverage)]
    return [
        line
        for whose, objective, coverage in rows
        if objective is not None
        for line in (
            f"{whose}objective: {objective:.5f} (share of the {what})",
            f"{whose}coverage: {coverage:.5f} (share of the demand with any unit {minutes})",
        )
    ]
