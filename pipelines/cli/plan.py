"""Dispatch plans on your own files: `plan posts` and `plan simulate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import OWN
from pipelines.cli.terminal import err, out, progress_of, table_of

plan = typer.Typer(no_args_is_help=True, help="Plan dispatch on your own files, without the pipeline.")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this panel."""
    app.add_typer(plan, name="plan", rich_help_panel=OWN)


class MatrixRows(StrEnum):
    """What the rows of a matrix of minutes are."""

    zones = "zones"
    posts = "posts"


TRAVEL = (
    "CSV or Parquet: a square matrix of minutes with the zones in the first row, the first column or both (without "
    "names zones are numbered from 1, or from 0 if another file names zone 0), or the columns from, to, minutes. An "
    "empty cell or a missing pair is a way that does not exist."
)
Within = Annotated[float, typer.Option("--within", min=0, help="Minutes within which a unit must arrive.")]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Encoding of CSVs; default: UTF-8, else CP949.")]


@plan.command("posts")
def posts(
    travel: Annotated[Path, typer.Option("--travel", help=TRAVEL)],
    demand: Annotated[
        Path, typer.Option("--demand", help="CSV or Parquet: zone, weight (expected calls, inhabitants or another).")
    ],
    sites: Annotated[
        Path,
        typer.Option(
            "--posts",
            help="CSV or Parquet: zone of each candidate post; optionally capacity (most units there, empty: no limit) "
            "and units (there today, to compare).",
        ),
    ],
    within: Within,
    target: Annotated[Path, typer.Option("--out", help="CSV or Parquet to write: zone, units.")],
    units: Annotated[int | None, typer.Option("--units", min=1, help="Units to place; needs --busy.")] = None,
    busy: Annotated[
        float | None,
        typer.Option("--busy", min=0, max=0.999, help="Probability that a unit is busy, such as 0.3."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Sites to choose, in place of --units and --busy.")
    ] = None,
    matrix_rows: Annotated[
        MatrixRows,
        typer.Option(
            "--matrix-rows",
            help="What the rows of a matrix are. zones: the row's zone is reached from the column's post. posts: the "
            "column's zone is reached from the row's post, as plan simulate reads it. Pairs go from post to zone.",
        ),
    ] = MatrixRows.zones,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="CSV or Parquet to write: where to be with 1, 2, … idle units, each row one unit more (compliance "
            "table). Needs --units and --busy.",
        ),
    ] = None,
    encoding: Encoding = None,
) -> None:
    """Place units at posts so that an idle unit reaches most demand in time; or choose the best sites.

    With --units and --busy (MEXCLP) a zone within reach of k units counts as 1 - busy^k: units are busy independently.
    With --count (MCLP) it counts if any chosen site reaches it. The solution is the optimum; of equal ones, that with
    units at the posts listed first.
    """
    from pipelines.steps import plan as step

    number = count if count is not None else units
    if number is None or (count is not None) == (busy is not None) or (count is not None and units is not None):
        raise typer.BadParameter("give --units and --busy to place units, or --count alone to choose sites")
    if table is not None and busy is None:
        raise typer.BadParameter("--table needs --units and --busy")
    files = step.PostFiles(travel, demand, sites, encoding)
    with progress_of("plan"):
        result = step.posts(files, number, busy, within, target, matrix_rows.value, _note, table)
    for line in step.summary(result, within, busy):
        out.print(line, markup=False, soft_wrap=True)
    err.print(f"written: {target}", markup=False, soft_wrap=True)


@plan.command("simulate")
def simulate(
    travel: Annotated[
        Path, typer.Option("--travel", help=f"{TRAVEL} Rows are where a unit starts; all pairs must have minutes.")
    ],
    calls: Annotated[
        Path,
        typer.Option(
            "--calls",
            help="CSV or Parquet, one row per call: called_at (local time, or minutes), zone, on_scene_minutes; "
            "optionally to_hospital (true or false) and drop_off_minutes, priority (lower is more urgent), capability "
            "that the unit must have, and run (calls of different runs do not meet).",
        ),
    ],
    units: Annotated[
        Path,
        typer.Option(
            "--units",
            help="CSV or Parquet: unit_id, zone (home), or zone, units as plan posts writes; optionally capability "
            "(several joined by +), and from and to, when the unit is in service: hh:mm of every day, or times as in "
            "the calls.",
        ),
    ],
    within: Within,
    folder: Annotated[Path, typer.Option("--out", help="Folder for Parquet files: calls, units, summary.")],
    hospitals: Annotated[
        Path | None, typer.Option("--hospitals", help="CSV or Parquet: zone of each hospital.")
    ] = None,
    places: Annotated[
        Path | None,
        typer.Option(
            "--places",
            help="CSV or Parquet: zone, x, y in metres. A unit on its way home is then where a straight line leads; "
            "without, in the zone that best divides the minutes.",
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option("--home-speed", min=0.05, max=5, help="Speed of the way home (no siren) over that of other ways."),
    ] = 0.95,
    compared: Annotated[
        Path | None,
        typer.Option("--compare", help="Other units for the same calls: the difference to them is printed."),
    ] = None,
    demand: Annotated[
        Path | None,
        typer.Option(
            "--relocate",
            help="CSV or Parquet: zone, weight. The units of --units (not those of --compare) then drive, when they "
            "become idle, to the home of any unit where they help this demand most (DMEXCLP). Needs --busy.",
        ),
    ] = None,
    busy: Annotated[
        float | None,
        typer.Option("--busy", min=0, max=0.999, help="Probability that a unit is busy, for --relocate."),
    ] = None,
    encoding: Encoding = None,
) -> None:
    """Send the nearest idle unit to each call, and show how long each call took.

    If no unit is idle, calls wait, the most urgent first. With --compare, differences have a 95 % interval over days
    (or over the column run of the calls).
    """
    from pipelines.steps import plan as step

    if (demand is None) != (busy is None):
        raise typer.BadParameter("--relocate and --busy belong together")
    files = step.SimulationFiles(travel, calls, units, hospitals, places, compared, demand, encoding)
    with progress_of("simulate"):
        result = step.simulate(files, within, speed, folder, _note, busy or 0.0)
    out.print(table_of(result.scores))
    for name, difference in result.differences.items():
        out.print(step.change(name, difference), markup=False, soft_wrap=True)
    err.print(f"written: {folder}", markup=False, soft_wrap=True)


def _note(text: str) -> None:
    err.print(f"note: {text}", markup=False, soft_wrap=True)
