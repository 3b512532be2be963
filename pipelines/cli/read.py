"""Commands that read: the state of a home, and the current release."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pipelines.cli.options import HOME, READ, Home, ProfileName
from pipelines.cli.terminal import err, out, progress_of, table_of

if TYPE_CHECKING:
    from pipelines.config.profile import Profile
    from pipelines.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register the commands of this panel."""
    for command in (status, query, check_profile):
        app.command(rich_help_panel=READ)(command)


class Format(StrEnum):
    """How `query` prints."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"
    xlsx = "xlsx"


def status(
    home: Home = HOME,
    profile: ProfileName = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Judge freshness at a date (its 05:15 local time) or an instant. Default: now."),
    ] = None,
    newest_run: Annotated[
        bool, typer.Option("--newest-run", help="Judge freshness at the newest run's own as_of, not now.")
    ] = False,
) -> None:
    """Show the state of a home: freshness per feed, failures, alerts, the current release.

    For people, at any time; `bongsu check` is the last step of a run. Exits with 1 if anything is stale or failed.
    """
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
        str, typer.Option(help="Audience whose file is read: public, dispatch, police, fire or investigation.")
    ] = "public",
    format: Annotated[
        Format | None,
        typer.Option("--format", help="Output format. Default: the extension of --out, or a table."),
    ] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="File to write; default: standard output.")] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help="Write CSV for Excel (UTF-8 with a byte order mark); implies --format csv.")
    ] = False,
    home: Home = HOME,
) -> None:
    """Query the current release: the last complete one, also while a run is in progress.

    Geometry is in EPSG:4326, longitude first: WKT in tables, CSV and XLSX, GeoJSON in JSON, WKB in Parquet. Nested
    values are JSON text. Instants are UTC.
    """
    from pipelines.release import formats, reader
    from pipelines.steps.run_settings import settings_for

    chosen = _format(format, out_file, excel)
    frame = reader.query(settings_for(home, writes=False), sql, audience)
    if chosen is Format.table:
        out.print(table_of(formats.as_text(frame)))
        return
    content = formats.csv_for_excel(frame) if excel else formats.FORMATS[chosen](frame)
    if out_file is None:
        sys.stdout.buffer.write(content)
    else:
        out_file.write_bytes(content)
        err.print(f"written: {out_file}", markup=False, soft_wrap=True)


def _format(format: Format | None, out_file: Path | None, excel: bool) -> Format:
    """The format that is meant by the options together."""
    if excel and format not in (None, Format.csv):
        raise typer.BadParameter("is for CSV only", param_hint="--excel")
    ending = out_file.suffix.removeprefix(".").lower() if out_file else ""
    chosen = format or (Format.csv if excel else Format(ending) if ending in set(Format) else Format.table)
    if chosen is Format.table and out_file:
        raise typer.BadParameter("name a file that ends in .csv, .json, .parquet or .xlsx", param_hint="--out")
    if chosen in (Format.parquet, Format.xlsx) and out_file is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{chosen} is not text: add --out FILE, or redirect the output", param_hint="--format")
    if out_file and not out_file.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {out_file.absolute().parent} does not exist", param_hint="--out")
    if out_file and not _is_writable(out_file):
        raise typer.BadParameter(f"{out_file} cannot be written: choose another place", param_hint="--out")
    return chosen


def _is_writable(path: Path) -> bool:
    """Whether a file can be written, new or over an old one."""
    return not path.is_dir() and os.access(path if path.exists() else path.absolute().parent, os.W_OK)


def check_profile(
    path: Annotated[Path, typer.Argument(help="A profile (TOML).")],
    fetch: Annotated[
        bool,
        typer.Option("--fetch", help="Also read one page of each source and show what it holds; nothing is stored."),
    ] = False,
) -> None:
    """Check a profile, and show what it means: sources, place, and tables of each audience.

    With --fetch also what each source sends: how many records of a page have a time of day and are inside the
    boundaries, and which categories and areas are not mapped. Exits with 1 if a source cannot be read.
    """
    from pipelines.steps.check_profile import check_profile as step

    profile, sources, tables = step(path)
    country = f"{profile.country} {profile.subdivision or ''}".rstrip()
    out.print(f"{profile.title}: {country}, {profile.time_zone}, {profile.crs}")
    out.print(f"Areas from {profile.areas.feed or profile.areas.source}; region {profile.areas.region_id}")
    out.print(f"Demand: {', '.join(profile.demand.services) or 'no service'}")
    out.print(table_of(sources))
    out.print(table_of(tables))
    out.print("[green]✓[/green] the profile can be used")
    if fetch and not _print_sources(profile):
        raise typer.Exit(1)


def _print_sources(profile: Profile) -> bool:
    """Print what a page of each source holds; True when all could be read."""
    from pipelines.steps.check_sources import check_sources

    with progress_of("read one page of each source") as show:
        pages, failures = check_sources(profile, profile.as_of(None, datetime.now(UTC)), show)
    out.print(table_of(pages))
    for failure in failures:
        out.print(f"[red]✗[/red] {escape(failure)}")
    if not failures:
        out.print("[green]✓[/green] one page of each source was read")
    return not failures


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
