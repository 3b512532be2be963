"""Options that several commands share."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pipelines.config.paths import DEFAULT_HOME

RUN, READ, OWN, MAINTENANCE = "Run", "Read", "Without the pipeline", "Maintenance"
"""Panels of `bongsu --help`."""
HOME = DEFAULT_HOME

Home = Annotated[
    Path, typer.Option(envvar="BONGSU_HOME", help="Folder of all data at run time; a home has one profile.")
]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", help="korea, toronto or PATH.toml. Default: the home's profile, korea at first use."),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="A date (its 05:15 local time) or an instant. Default: the most recent 05:15."),
]
LastAsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="A date (its 05:15 local time) or an instant. Default: that of the last run."),
]
FeedName = Annotated[str, typer.Option("--feed", help="Name of a feed, as listed by `bongsu status`.")]
FirstDay = Annotated[date, typer.Option("--from", parser=date.fromisoformat, metavar="DATE", help="First local day.")]
LastDay = Annotated[
    date, typer.Option("--to", parser=date.fromisoformat, metavar="DATE", help="Last local day, included.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Encoding of a CSV; default: UTF-8, else CP949.")]
