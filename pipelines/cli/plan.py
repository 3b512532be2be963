"""Dispatch plans on your own files: `plan posts` and `plan simulate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import OWN
from pipelines.cli.terminal import err, out, progress_of

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
    files = step.PostFiles(travel, demand, sites, encoding)
    with progress_of("plan"):
        result = step.posts(files, number, busy, within, target, matrix_rows.value, _note)
    for line in step.summary(result, within, busy):
        out.print(line, markup=False, soft_wrap=True)
    err.print(f"written: {target}", markup=False, soft_wrap=True)


def _note(text: str) -> None:
    err.print(f"note: {text}", markup=False, soft_wrap=True)
