"""Commands that read: the state of a home, and the current release."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pipelines.cli.options import HOME, READ, AsOf, Home, ProfileName
from pipelines.cli.terminal import out, table_of

if TYPE_CHECKING:
    from pipelines.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register the commands of this panel."""
    for command in (status, query):
        app.command(rich_help_panel=READ)(command)


class Format(StrEnum):
    """How `query` prints."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def status(
    home: Home = HOME,
    profile: ProfileName = None,
    as_of: AsOf = None,
    newest_run: Annotated[
        bool, typer.Option("--newest-run", help="Judge the newest run at its own as_of, not at the present.")
    ] = False,
) -> None:
    """Show freshness per feed, the last run, the current release; exit 1 when something is stale or failed."""
    from pipelines.steps.run_settings import settings_for, settings_of_newest_run

    if newest_run:
        settings = settings_of_newest_run(home, profile, as_of)
    else:
        settings = settings_for(home, profile, as_of, writes=False)
    if not print_status(settings, judged_at_as_of=newest_run or as_of is not None):
        raise typer.Exit(1)


def query(
    sql: Annotated[str, typer.Argument(help='One statement, e.g. "select * from feed_status".')],
    audience: Annotated[
        str, typer.Option(help="Whose file to read: public, dispatch, police, fire, investigation.")
    ] = "public",
    format: Annotated[
        Format, typer.Option("--format", help="How to print; parquet goes to standard output.")
    ] = Format.table,
    home: Home = HOME,
) -> None:
    """Query the current release. Never waits for a run, never sees half of one."""
    from pipelines.release import reader
    from pipelines.steps.run_settings import settings_for

    frame = reader.query(settings_for(home, writes=False), sql, audience)
    if format is Format.table:
        out.print(table_of(frame))
    elif format is Format.csv:
        sys.stdout.write(frame.write_csv())
    elif format is Format.json:
        sys.stdout.write(frame.write_json() + "\n")
    else:
        frame.write_parquet(sys.stdout.buffer)


def print_status(settings: Settings, judged_at_as_of: bool) -> bool:
    """Print the state and where the briefings are; True when all is fresh and nothing failed."""
    from pipelines.steps.status import status

    report = status(settings, judged_at_as_of)
    out.print(
        f"Home {settings.home} · profile {settings.profile.name} · judged at {report.judged_at:%Y-%m-%d %H:%M %Z}"
    )
    out.print(table_of(report.feeds))
    out.print(f"Last run: {report.last_run}")
    out.print(f"Current release: {report.release or 'none yet; run `bongsu run`'}")
    for audience in settings.profile.audiences if report.release else ():
        print(settings.current / "audiences" / audience / "briefing" / "index.html")
    for problem in report.problems:
        out.print(f"[red]✗[/red] {escape(problem)}")
    for note in report.notes:
        out.print(f"[yellow]·[/yellow] {escape(note)}")
    if not report.problems:
        out.print("[green]✓[/green] all feeds fresh, the last run ended well")
    return not report.problems
