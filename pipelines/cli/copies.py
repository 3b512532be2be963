"""Commands for copies of a home, and for what must not be kept."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import COPIES, HOME, AsOf, FeedName, Home, ProfileName, Yes
from pipelines.cli.terminal import out, progress_of


def add_to(app: typer.Typer) -> None:
    """Register the commands of this panel."""
    for command in (rebuild, verify, replicate, restore, drill, destroy, expire):
        app.command(rich_help_panel=COPIES)(command)


def rebuild(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Discard the warehouse and recreate it from landing and records, to the same hashes."""
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
    """Copy landing, records and ledger elsewhere and read them back. The master key stays here: keep it apart."""
    from pipelines.steps.copies import replicate
    from pipelines.steps.run_settings import settings_for

    out.print(f"{replicate(settings_for(home), to)} files copied to {to}")


def restore(
    source: Annotated[str, typer.Option("--from", help="A copy made by `bongsu replicate`.")],
    master_key: Annotated[Path, typer.Option("--master-key", help="The master key, from its safe place.")],
    home: Home = HOME,
) -> None:
    """Restore a home from a copy into a new or empty folder, verify it, and rebuild the warehouse."""
    from pipelines.steps.copies import restore

    restore(home, source, master_key)
    out.print(f"restored into {home}; run `bongsu run` to publish")


def drill(
    source: Annotated[str | None, typer.Option("--from", help="The copy to try; default: a fresh one.")] = None,
    home: Home = HOME,
    as_of: AsOf = None,
) -> None:
    """Prove that a copy can be restored: restore aside, rebuild, and compare every table's hash."""
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
    as_of: AsOf = None,
    yes: Yes = False,
) -> None:
    """Destroy a feed's older batches for good: keys, rows, every copy. The ledger records the destruction."""
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
    as_of: AsOf = None,
    yes: Annotated[bool, typer.Option("--yes", help="Destroy; without it, only list what would be.")] = False,
) -> None:
    """Destroy batches that are past their feed's retention; without --yes only list them."""
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
