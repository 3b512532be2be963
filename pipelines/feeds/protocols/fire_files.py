"""The 119 files that fire headquarters publish on the national fire data platform, for places that have no live API.

A set of files in one folder is one complete delivery, read from a folder, SFTP or S3 alike. Not for a profile that
reads `fire_119` of the same place as well: every call would count twice. Layouts differ between headquarters, so each
is a feed of its own with the columns as they are published.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import polars as pl

from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.protocols import file_drop
from pipelines.schema.delivery import Delivery

MAX_BYTES = 2 * 1024 * 1024 * 1024
"""No folder of a headquarters' files comes near; all of them are held in memory together."""

_OF_PATIENTS = ("ptn_", "ptnt_", "pt_", "patient", "환자")
"""So begin the names of columns that tell of a patient: new ones are dropped before anybody declares them unused."""


def fetch(request: Request) -> Iterator[Delivery]:
    """Read all CSV files of the feed's folder, in order of their names, as one delivery.

    Raises:
        FeedError: a file cannot be read, there is none, or they are too large together.
    """
    system, folder = file_drop.opened(request.url)
    names = file_drop.listed(system, folder, ".csv")
    parts: list[bytes] = []
    for name in names:
        parts.append(file_drop.read(system, folder, name))
        if sum(map(len, parts)) > MAX_BYTES:
            raise FeedError(
                f"{folder} holds more than {MAX_BYTES:,} bytes up to {name}: leave only files of the years that are "
                "wanted there"
            )
    yield Delivery(tuple(parts), None, request.window_end)


def feed(
    name: str, staged_like: str, used: Sequence[str], unused: Sequence[str], place: tuple[str, str] | None = None
) -> Feed:
    """The feed of one layout: its columns that are read, as text, and those that the layout has and nobody reads.

    The unused ones (parts of dates, weather, attributes of patients) end here, and so does whatever is named like an
    attribute of patients; another column in neither is unknown, and kept aside and reported as with every feed. Names
    are compared without blanks around them and in small letters.
    """
    return Feed(
        name=name,
        agency="fire",
        kind="snapshot",
        columns=dict.fromkeys(used, pl.String),
        fetch=fetch,
        parse=partial(_parse, frozenset(used), frozenset(unused)),
        media="csv",
        encoding=file_drop.ENCODING,
        told_at=("dclr_ymd",),
        place=place,
        staged_like=staged_like,
    )


def _parse(used: frozenset[str], unused: frozenset[str], parts: Sequence[bytes]) -> pl.DataFrame:
    found = []
    for part in parts:
        frame = file_drop.rows([part]).rename(lambda name: name.strip().lower())
        kept = [name for name in frame.columns if name in used or not (name in unused or name.startswith(_OF_PATIENTS))]
        found.append(frame.select(kept))
    return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()
