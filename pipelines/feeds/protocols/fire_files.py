"""119 files that fire headquarters publish on the national fire data platform, for places without a live API.

All files in one folder are one complete delivery, read from a local folder, SFTP or S3. Do not use it in a profile that
also reads `fire_119` of the same place: every call would count twice. Layouts differ between headquarters, so each is a
separate feed with the columns as published.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial

import polars as pl

from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.protocols import file_drop
from pipelines.schema.delivery import Delivery

MAX_BYTES = 2 * 1024 * 1024 * 1024
"""No folder of a headquarters reaches this size; all of its files are held in memory together."""

_OF_PATIENTS = ("ptn_", "ptnt_", "pt_", "patient", "환자")
"""Prefixes of columns about a patient: new ones are dropped before they are declared unused."""


_REDUNDANT = re.compile(r".*_(yr|mm|day|dow|hr|mn)|hr_unit_.*|qtr_no|seasn_nm|cty_frmvl_se_nm")
"""Columns of every layout that repeat parts of a date, give the weather, or group the districts."""


def fetch(request: Request) -> Iterator[Delivery]:
    """Read all CSV files of the feed's folder, ordered by name, as one delivery.

    Raises:
        FeedError: A file cannot be read or was cut off, there is none, or they are too large together.
    """
    system, folder = file_drop.opened(request.url)
    names = file_drop.listed(system, folder, ".csv")
    if request.first_page:
        names = names[-1:]
    parts: list[bytes] = []
    for name in names:
        parts.append(file_drop.read(system, folder, name))
        _check_end(parts[-1], f"{folder}/{name}")
        if sum(map(len, parts)) > MAX_BYTES:
            raise FeedError(
                f"{folder} has more than {MAX_BYTES:,} bytes up to {name}: keep only the files of the years that are "
                "needed there"
            )
    yield Delivery(tuple(parts), None, request.window_end)


def _check_end(part: bytes, where: str) -> None:
    """Raise an error if a file ends within a row: the parser would fill the fields that the row lacks with nulls."""
    header, ending = part.partition(b"\n")[0], part.rpartition(b"\n")[2]
    # After a line end within quotation marks, one of them is missing.
    if ending and ending.count(b'"') % 2 == 0 and _fields(ending) < _fields(header):
        raise FeedError(
            f"{where} ends without a line end in a row of {_fields(ending)} of {_fields(header)} fields: it was cut "
            "off; ask the fire headquarters for the whole file"
        )


def _fields(row: bytes) -> int:
    return re.sub(rb'"[^"]*"', b"", row).count(b",") + 1


def feed(
    name: str,
    staged_like: str,
    used: Sequence[str],
    unused: Sequence[str],
    coordinate_columns: tuple[str, str] | None = None,
) -> Feed:
    """Build the feed of one layout from its used columns, read as text, and its unused columns.

    Unused and redundant columns (parts of dates, the weather) are dropped here, and so is any column named like a
    patient attribute. Any other column is unknown: it is kept aside and reported as with every feed. Names are compared
    without surrounding blanks and in lower case.
    """
    return Feed(
        name=name,
        agency="fire",
        load_type="snapshot",
        columns=dict.fromkeys(used, pl.String),
        fetch=fetch,
        parse=partial(_parse, frozenset(used), frozenset(unused)),
        content_type="csv",
        encoding=file_drop.ENCODING,
        timestamp_columns=("dclr_ymd",),
        coordinate_columns=coordinate_columns,
        staged_like=staged_like,
    )


def _parse(used: frozenset[str], unused: frozenset[str], parts: Sequence[bytes]) -> pl.DataFrame:
    frames = []
    for part in parts:
        frame = file_drop.rows([part]).rename(lambda name: name.strip().lower())
        # Without rows, such a file would pass for one of a day without calls.
        if used.isdisjoint(frame.columns):
            raise FeedError(
                f"none of the {frame.width} columns of a file is one of the feed's: it is of another layout, or an "
                "error message in place of the file; open the files of the folder and ask the fire headquarters"
            )
        frames.append(frame.select(name for name in frame.columns if name in used or not _is_dropped(name, unused)))
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def _is_dropped(name: str, unused: frozenset[str]) -> bool:
    return name in unused or name.startswith(_OF_PATIENTS) or _REDUNDANT.fullmatch(name) is not None
