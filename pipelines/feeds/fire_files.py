"""The 119 files that fire headquarters publish on the national fire data platform, for places that have no live API.

A set of files in one folder is one complete delivery, read from a folder, SFTP or S3 alike. Not for a profile that
reads `fire_119` of the same place as well: every call would count twice. Layouts differ between headquarters, so each
is a feed of its own with the columns as they are published.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import polars as pl

from pipelines.feeds import dropped_files
from pipelines.feeds.feed import Delivery, Feed, Request


def fetch(request: Request) -> Iterator[Delivery]:
    """Read all CSV files of the feed's folder, in order of their names, as one delivery."""
    system, folder = dropped_files.opened(request.url)
    names = dropped_files.listed(system, folder, ".csv")
    parts = tuple(dropped_files.read(system, folder, name) for name in names)
    yield Delivery(parts, None, request.window_end)


def feed(name: str, used: Sequence[str], unused: Sequence[str], place: tuple[str, str] | None = None) -> Feed:
    """The feed of one layout: its columns that are read, as text, and those that the layout has and nobody reads.

    The unused ones (parts of dates, weather, attributes of patients) end here; a column in neither is unknown, and
    kept aside and reported as with every feed.
    """
    return Feed(
        name=name,
        agency="fire",
        kind="snapshot",
        columns=dict.fromkeys(used, pl.String),
        fetch=fetch,
        parse=partial(_parse, frozenset(unused)),
        media="csv",
        encoding=dropped_files.ENCODING,
        place=place,
    )


def _parse(unused: frozenset[str], parts: Sequence[bytes]) -> pl.DataFrame:
    found = dropped_files.rows(parts)
    return found.drop(unused & set(found.columns))
