"""Patrol minutes by cell and slot: one CSV file a day from the police, in a folder, on SFTP or in S3. Optional.

Grain: one row per version of a cell and slot. Key: `cell_id`, `slot_start`; `recorded_at` orders the versions. The file
`patrols_YYYYMMDD.csv` (UTF-8) contains what was recorded on that local day, in the columns of `FEED`. `cell_id` is a
code of the profile's risk grid, times are ISO 8601 with an offset, and `minutes` is the total of all units in the cell.
To use the feed, add `[feeds.patrols]` to a profile with the folder as `url`, `window_days`, and the settings of every
feed. No officer, unit or vehicle is named: such a column in a file is kept aside, unread, and reported.

Pitfalls: a day without patrols has a file with only the header, so a missing file is an error and not a day without
data; a corrected entry is sent again with a later `recorded_at`, with 0 minutes where there was no patrol.
"""

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.feeds.feed import Feed, Request
from pipelines.feeds.protocols import file_drop
from pipelines.feeds.protocols.windows import deliveries
from pipelines.schema.delivery import Delivery


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the files of the local days that end in the request's window; yield one delivery per chunk of the window.

    Raises:
        FeedError: A day's file is missing or cannot be read.
    """
    system, folder = file_drop.opened(request.url)

    def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
        return tuple(
            file_drop.read(system, folder, f"patrols_{day:%Y%m%d}.csv")
            for day in _days(start, end, request.profile.zone)
        )

    return deliveries(request, read)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the rows of all files, every field as text."""
    frames = [pl.read_csv(io.BytesIO(part), infer_schema=False) for part in parts]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> list[date]:
    """Return the local days that end in (start, end]."""
    first = start.astimezone(zone).date() - timedelta(days=1)
    near = [first + timedelta(days=n) for n in range((end - start).days + 3)]
    return [day for day in near if start < datetime.combine(day + timedelta(days=1), time(), zone) <= end]


FEED = Feed(
    name="patrols",
    agency="police",
    load_type="keyed",
    columns=dict.fromkeys(("cell_id", "slot_start", "slot_end", "minutes", "recorded_at"), pl.String),
    fetch=fetch,
    parse=parse,
    key=("cell_id", "slot_start"),
    updated_at="recorded_at",
    timestamp_columns=("recorded_at",),
    content_type="csv",
    is_reference=True,
)
