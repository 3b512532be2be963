"""The command line: `bongsu …`, one sub-command per step and a few for the people around them."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from pipelines import custody, steps, trials
from pipelines.config.errors import BongsuError
from pipelines.screen import err, out, progress_of, table_of

if TYPE_CHECKING:
    from pipelines.config.settings import Settings

app = typer.Typer(
    name="bongsu",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Public-safety analytics for several agencies: crime patterns, risk, demand forecasts, dispatch plans.\n\n"
    'Start with `bongsu run`, then `bongsu status` and `bongsu query "show tables" --audience dispatch`.',
)
app.add_typer(trials.predict, name="predict")
app.add_typer(trials.backtest, name="backtest")

RUN, READ, OWN, COPIES = "Run", "Read", "Your own data", "Copies and disasters"

Home = Annotated[
    Path, typer.Option(envvar="BONGSU_HOME", help="Folder that holds everything at run time; serves one profile.")
]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", help="korea, toronto or PATH.toml. Default: the home's own, at first use korea."),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="A date (its 05:15 local time) or an instant. Default: the last 05:15 past."),
]
FeedName = Annotated[str, typer.Option("--feed", help="Name of a feed, as `bongsu status` lists them.")]
HOME = Path(".bongsu")


class Format(StrEnum):
    """How `query` prints."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command(rich_help_panel=RUN)
def run(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Do the whole daily run without Airflow: fetch, load, build, score, analyse, publish, check."""
    settings = steps.settings_for(home, profile, as_of)
    try:
        with progress_of("run") as show:
            steps.run(settings, show)
    finally:
        _summary(settings)


@app.command(rich_help_panel=RUN)
def fetch(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Ask every feed for what is new and land the bytes, encrypted. One feed's failure stops no other."""
    _each_feed(steps.settings_for(home, profile, as_of), "fetch")


@app.command(rich_help_panel=RUN)
def load(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Parse, check and merge what landed; rows that fail a rule go to quarantine with the reason."""
    settings = steps.settings_for(home, profile, as_of)
    _each_feed(settings, "load")
    _status(settings, judged_at_as_of=True)


def _each_feed(settings: Settings, step: str) -> None:
    with progress_of(step) as show:
        failed = steps.ingest(settings, show, (step,))
    if failed:
        raise steps.StepError("\n".join(failed))


def _step(name: str, text: str) -> None:
    def command(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
        settings = steps.settings_for(home, profile, as_of)
        with progress_of(name):
            getattr(steps, name)(settings)

    command.__doc__ = text
    app.command(name, rich_help_panel=RUN)(command)


_step("build", "Make staging, core and marts anew from raw, and hold them against their gates.")
_step("score", "Score past forecasts whose hours have come to pass.")
_step("patterns", "Find hot spots, near repeats and space-time clusters.")
_step("forecast", "Forecast demand and place-based risk.")
_step("dispatch", "Turn forecasts into units required.")
_step("publish", "Build a release aside, read it back, and make it the current one.")
_step("check", "Exit 1, with the names, if a step failed or a feed is stale.")


@app.command(rich_help_panel=RUN)
def backfill(
    feed: FeedName,
    start: Annotated[date, typer.Option("--from", parser=date.fromisoformat, metavar="DATE", help="First local day.")],
    end: Annotated[
        date, typer.Option("--to", parser=date.fromisoformat, metavar="DATE", help="Last local day, included.")
    ],
    home: Home = HOME,
    profile: ProfileName = None,
    as_of: AsOf = None,
) -> None:
    """Fetch and load a range of days again; records already known change nothing."""
    settings = steps.settings_for(home, profile, as_of)
    with progress_of("backfill") as show:
        counts = steps.backfill(settings, feed, start, end, show)
    out.print(f"{feed}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))


@app.command(rich_help_panel=RUN)
def watch(home: Home = HOME, profile: ProfileName = None) -> None:
    """Fetch and load what is new of the watched feeds; exit 1 if one is silent, flooded, thin or cannot be read."""
    now = datetime.now(UTC)
    settings = steps.settings_for(home, profile, now.isoformat(), now)
    with progress_of("watch") as show:
        watched = steps.watch(settings, show)
    if watched:
        out.print(f"[green]✓[/green] as usual: {', '.join(watched)}")
    else:
        out.print(f"no feed of profile {settings.profile.name} is watched: `watched = true` in the profile does so")


@app.command(rich_help_panel=READ)
def summary(home: Home = HOME, as_of: AsOf = None) -> None:
    """Show what the newest run made and where, judged at its own as_of; exit 1 when something is stale or failed."""
    if not _summary(steps.settings_of_newest_run(home, as_of)):
        raise typer.Exit(1)


@app.command(rich_help_panel=READ)
def status(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Show freshness per feed, the last run and the current release; exit 1 when something is stale or failed."""
    settings = steps.settings_for(home, profile, as_of, writes=False)
    if not _status(settings, judged_at_as_of=as_of is not None):
        raise typer.Exit(1)


@app.command(rich_help_panel=READ)
def query(
    sql: Annotated[str, typer.Argument(help='One statement, e.g. "select * from feed_status".')],
    audience: Annotated[
        str, typer.Option(help="Who is asking: public, dispatch, police, fire, investigation.")
    ] = "public",
    format: Annotated[
        Format, typer.Option("--format", help="How to print; parquet goes to standard output.")
    ] = Format.table,
    home: Home = HOME,
) -> None:
    """Ask the current release. Never waits for a run, never sees half of one."""
    from pipelines.release import reader

    frame = reader.query(steps.settings_for(home, writes=False), sql, audience)
    if format is Format.table:
        out.print(table_of(frame))
    elif format is Format.csv:
        sys.stdout.write(frame.write_csv())
    elif format is Format.json:
        sys.stdout.write(frame.write_json() + "\n")
    else:
        frame.write_parquet(sys.stdout.buffer)


@app.command(rich_help_panel=COPIES)
def rebuild(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Throw the warehouse away and make it again from landing and records, to the same hashes."""
    settings = steps.settings_of_last_run(home, profile, as_of)
    with progress_of("rebuild") as show:
        hashes = custody.rebuild(settings, show)
    out.print(f"{len(hashes)} tables made again")


@app.command(rich_help_panel=COPIES)
def verify(home: Home = HOME) -> None:
    """Check the ledger's chain, every batch, record and file of a release, byte for byte."""
    checked = custody.verify(steps.settings_for(home))
    out.print("intact: " + ", ".join(f"{count:,} {name}" for name, count in checked.items()))


@app.command(rich_help_panel=COPIES)
def replicate(
    to: Annotated[str, typer.Option("--to", help="Folder or any fsspec URL (sftp://…, s3://…).")], home: Home = HOME
) -> None:
    """Copy landing, records and ledger elsewhere and read them back. The master key stays here: keep it apart."""
    out.print(f"{custody.replicate(steps.settings_for(home), to)} files copied to {to}")


@app.command(rich_help_panel=COPIES)
def restore(
    source: Annotated[str, typer.Option("--from", help="A copy made by `bongsu replicate`.")],
    master_key: Annotated[Path, typer.Option("--master-key", help="The master key, from its safe place.")],
    home: Home = HOME,
) -> None:
    """Bring a home back from a copy into a new or empty folder, verify it, and rebuild the warehouse."""
    custody.restore(home, source, master_key)
    out.print(f"restored into {home}; run `bongsu run` to publish")


@app.command(rich_help_panel=COPIES)
def drill(
    source: Annotated[str | None, typer.Option("--from", help="The copy to try; default: a fresh one.")] = None,
    home: Home = HOME,
    as_of: AsOf = None,
) -> None:
    """Prove that a copy can be restored: restore aside, rebuild, and compare every table's hash."""
    settings = steps.settings_of_last_run(home, None, as_of)
    with progress_of("drill") as show:
        tables = custody.drill(settings, source, show)
    out.print(f"{tables} tables restored and equal, hash for hash")


@app.command(rich_help_panel=COPIES)
def destroy(
    feed: FeedName,
    before: Annotated[
        date,
        typer.Option(
            parser=date.fromisoformat, metavar="DATE", help="Batches whose window ended before this local day."
        ),
    ],
    home: Home = HOME,
    as_of: AsOf = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy a feed's older batches for good: keys, rows, every copy. The ledger keeps that it was done."""
    settings = steps.settings_of_last_run(home, None, as_of)
    if not yes:
        typer.confirm(f"Destroy every batch of {feed} that ended before {before}? This cannot be undone", abort=True)
    with progress_of("destroy") as show:
        count = custody.destroy(settings, feed, before, show)
    out.print(
        f"{count} batches of {feed} destroyed: unreadable here, in no release; run `bongsu replicate` for each copy"
    )


@app.command(rich_help_panel=COPIES)
def expire(
    home: Home = HOME,
    as_of: AsOf = None,
    yes: Annotated[bool, typer.Option("--yes", help="Destroy; without it, only say what would be.")] = False,
) -> None:
    """Destroy what every feed's retention in the profile no longer allows to keep; by default only say what that is."""
    settings = steps.settings_of_last_run(home, None, as_of)
    overdue = custody.expired(settings)
    if yes and overdue:
        with progress_of("expire") as show:
            custody.expire(settings, show)
    did = "destroyed: run `bongsu replicate` for each copy" if yes else "would be destroyed; `--yes` destroys"
    for name, count in overdue.items():
        kept = settings.profile.feeds[name].retention_days
        out.print(f"{name}: {count} batches older than {kept} days {did}")
    if not overdue:
        out.print("nothing is older than its feed's retention")


@app.command(rich_help_panel=OWN)
def simulate(
    days: Annotated[int, typer.Option(min=1, help="Days up to as_of.")] = 30,
    scale: Annotated[
        float | None, typer.Option(min=0, help="Share of the real volume; default: the profile's.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the agencies' interfaces on loopback.")] = False,
    to: Annotated[Path, typer.Option("--out", help="Folder for Parquet files.")] = Path("simulated"),
    profile: Annotated[str, typer.Option(help="A profile with a simulator.")] = "korea",
    province: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Only this province (repeatable); default: the nation.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Write simulated incidents and their truth as Parquet, or serve them as the agencies would."""
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=serve) as progress:
        task = progress.add_task("simulate", total=1.0)

        def show(share: float, rows: int) -> None:
            rate = rows / max(progress.tasks[task].elapsed or 0.0, 1e-3)
            progress.update(task, completed=share, description=f"{rows:,} rows, {rate:,.0f} a second")

        folder = None if serve else to
        steps.simulate(profile, as_of, days, scale, tuple(province or ()), folder, err.print, show)


def _summary(settings: Settings) -> bool:
    """Print where the release lies and the state; True when all is well."""
    if settings.current.exists():
        out.print(f"Release {settings.current.resolve().name}: one briefing and one DuckDB file per audience")
        for audience in settings.profile.audiences:
            print(settings.current / "audiences" / audience / "briefing" / "index.html")
    return _status(settings, judged_at_as_of=True)


def _status(settings: Settings, judged_at_as_of: bool) -> bool:
    """Print the state; True when all is fresh and nothing failed."""
    report = steps.status(settings, judged_at_as_of)
    out.print(
        f"Home {settings.home} · profile {settings.profile.name} · judged at {report.judged_at:%Y-%m-%d %H:%M %Z}"
    )
    out.print(table_of(report.feeds))
    out.print(f"Last run: {report.last_run}")
    out.print(f"Current release: {report.release or 'none yet; run `bongsu run`'}")
    for problem in report.problems:
        out.print(f"[red]✗[/red] {escape(problem)}")
    for note in report.notes:
        out.print(f"[yellow]·[/yellow] {escape(note)}")
    if not report.problems:
        out.print("[green]✓[/green] all feeds fresh, the last run ended well")
    return not report.problems


def main() -> None:
    """Entry point: an expected fault ends in one line and exit code 1, a defect in a saved traceback and code 70."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except BongsuError as error:
        _fail(f"{type(error).__name__}:", str(error))
        sys.exit(1)
    except Exception as error:
        with NamedTemporaryFile("w", prefix="bongsu-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
        _fail(f"unexpected {type(error).__name__}:", f"{error}; please report it with the traceback in {file.name}")
        sys.exit(os.EX_SOFTWARE)


def _fail(kind: str, message: str) -> None:
    err.print(f"[red]bongsu: {kind}[/red] {escape(message)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
