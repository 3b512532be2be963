"""Commands for the maintenance of a home: its copies, and what must not be kept."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import HOME, MAINTENANCE, FeedName, Home, LastAsOf, ProfileName, Yes
from pipelines.cli.terminal import out, progress_of


def add_to(app: typer.Typer) -> None:
    """Register the commands of this panel."""
    for command in (rebuild, verify, replicate, restore, drill, destroy, expire):
        app.command(rich_help_panel=MAINTENANCE)(command)


def rebuild(home: Home = HOME, profile: ProfileName = None, as_of: LastAsOf = None) -> None:
    """Discard the warehouse and recreate it from landing and records; every table has the same hash as before."""
    from pipelines.steps.rebuild import rebuild
    from pipelines.steps.run_settings import settings_of_last_run

    settings = settings_of_last_run(home, profile, as_of)
    with progress_of("rebuild") as show:
        hashes = rebuild(settings, show)
    out.print(f"{len(hashes)} tables rebuilt")


def verify(home: Home = HOME) -> None:
    """Check the ledger's chain and every batch, record and released file, byte for byte."""
    from pipelines.steps.copies import verify
    from pipelines.steps.run_settings import settings_for

    checked = verify(settings_for(home))
    out.print("intact: " + ", ".join(f"{count:,} {name}" for name, count in checked.items()))


def replicate(
    to: Annotated[str, typer.Option("--to", help="Folder or any fsspec URL (sftp://…, s3://…).")], home: Home = HOME
) -> None:
    """Copy landing, records and ledger to another place and read them back.

    The master key is not copied. Store it separately: without it, the copy cannot be restored.
    """
    from pipelines.steps.copies import replicate
    from pipelines.steps.run_settings import settings_for

    out.print(f"{replicate(settings_for(home), to)} files copied to {to}")


def restore(
    source: Annotated[str, typer.Option("--from", help="A copy made by `bongsu replicate`.")],
    master_key: Annotated[
        Path, typer.Option("--master-key", help="File with the master key, a copy of the home's keys/master.key.")
    ],
    home: Annotated[
        Path, typer.Option(envvar="BONGSU_HOME", help="Folder to restore into. One that has files is refused.")
    ] = HOME,
) -> None:
    """Restore a home from a copy into a new or empty folder, verify it, and rebuild the warehouse."""
    from pipelines.steps.copies import restore

    restore(home, source, master_key)
    out.print(f"restored into {home}; run `bongsu run` to publish")


def drill(
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Copy to test. Default: a new one in a temporary folder of the home, deleted afterwards."
        ),
    ] = None,
    home: Home = HOME,
    as_of: LastAsOf = None,
) -> None:
    """Test a copy: restore it into a temporary folder, rebuild it, and compare the hash of every table."""
    from pipelines.steps.copies import drill
    from pipelines.steps.run_settings import settings_of_last_run

    settings = settings_of_last_run(home, None, as_of)
    with progress_of("drill") as show:
        tables = drill(settings, source, show)
    out.print(f"{tables} tables restored and equal, hash for hash")


def destroy(
    feed: FeedName,
    before: Annotated[
        date,
        typer.Option(
            parser=date.fromisoformat, metavar="DATE", help="Batches whose window ended before this local day."
        ),
    ],
    home: Home = HOME,
    as_of: LastAsOf = None,
    yes: Yes = False,
) -> None:
    """Destroy a feed's older batches for good: their keys, their rows, and all earlier releases.

    The warehouse is rebuilt and a new release published. The ledger records the destruction. Afterwards, run `bongsu
    replicate` for each copy, which removes the keys there.
    """
    from pipelines.steps.destroy import destroy
    from pipelines.steps.run_settings import settings_of_last_run

    settings = settings_of_last_run(home, None, as_of)
    if not yes:
        typer.confirm(f"Destroy every batch of {feed} that ended before {before}? This cannot be undone", abort=True)
    with progress_of("destroy") as show:
        count = destroy(settings, feed, before, show)
    out.print(
        f"{count} batches of {feed} destroyed: unreadable here, in no release; run `bongsu replicate` for each copy"
    )


def expire(
    home: Home = HOME,
    as_of: LastAsOf = None,
    yes: Annotated[bool, typer.Option("--yes", help="Destroy them. Without it, only list them.")] = False,
) -> None:
    """List the batches that are past their feed's retention; with --yes, destroy them (see `bongsu destroy`)."""
    from pipelines.steps.destroy import expire, expired
    from pipelines.steps.run_settings import settings_of_last_run

    settings = settings_of_last_run(home, None, as_of)
    overdue = expired(settings)
    if yes and overdue:
        with progress_of("expire") as show:
            expire(settings, show)
    did = "destroyed: run `bongsu replicate` for each copy" if yes else "would be destroyed; `--yes` destroys"
    for name, count in overdue.items():
        kept = settings.profile.feeds[name].retention_days
        out.print(f"{name}: {count} batches older than {kept} days {did}")
    if not overdue:
        out.print("nothing is older than its feed's retention")
