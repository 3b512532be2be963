"""The command `bongsu`: its sub-commands, and how a command that fails ends."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer
from rich.markup import escape

from pipelines.cli import copies, own_data, plan, read, run
from pipelines.cli.terminal import err
from pipelines.config.errors import BongsuError

app = typer.Typer(
    name="bongsu",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Public-safety analytics for several agencies: crime patterns, risk, demand forecasts, dispatch plans.\n\n"
    'Start with `bongsu run`, then `bongsu status` and `bongsu query "show tables" --audience dispatch`.',
)
for commands in (run, read, copies, own_data, plan):
    commands.add_to(app)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from pipelines.release.manifest import code_version

        print(f"bongsu {code_version()}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and the hash of the code."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command, and start the log."""
    from pipelines.config import environment, logs

    logging.basicConfig(level=logging.WARNING, format=logs.FORMAT)
    logging.getLogger("pipelines").setLevel(environment.load().log_level)


def main() -> None:
    """Run a command and return its exit code.

    An expected error prints one line and exits with 1; a defect saves a traceback and exits with 70.
    """
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
