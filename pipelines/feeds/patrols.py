"""Minutes of patrol by cell and slot: one CSV file a day that the police leave in a folder, by SFTP or in S3. Optional.

Grain: one row per version of a cell and slot. Key: `cell_id`, `slot_start`; `recorded_at` orders the versions. The file
`patrols_YYYYMMDD.csv` (UTF-8) holds what was recorded on that local day, in the columns of `FEED`. `cell_id` is a code
of the profile's risk grid, times are ISO 8601 with an offset, `minutes` are those of all units in the cell together.
A profile takes it by `[feeds.patrols]` with the folder as `url`, `window_days`, and what every feed states.
No officer, unit or vehicle is named: a file that brings such a column keeps it aside, unread, and it is reported.

Traps: a day without patrols has a file with the header alone, so a missing file is a fault and not a quiet day; what
was entered wrongly comes again with a later `recorded_at`, and with 0 minutes where nobody was.
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
    """Read the files of the local days that end inside the request's window, one delivery per piece of it.

    Raises:
        FeedError: a day's file is not there or cannot be read.
    """
    system, folder = file_drop.opened(request.url)

    def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
        return tuple(
            file_drop.read(system, folder, f"patrols_{day:%Y%m%d}.csv")
            for day in _days(start, end, request.profile.zone)
        )

    return deliveries(request, read)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """The rows of all files, every field as text."""
    found = [pl.read_csv(io.BytesIO(part), infer_schema=False) for part in parts]
    return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> list[date]:
    """The local days that end in (start, end]."""
    first = start.astimezone(zone).date() - timedelta(days=1)
    near = [first + timedelta(days=n) for n in range((end - start).days + 3)]
    return [day for day in near if start < datetime.combine(day + timedelta(days=1), time(), zone) <= end]


FEED = Feed(
    name="patrols",
    agency="police",
    kind="keyed",
    columns=dict.fromkeys(("cell_id", "slot_start", "slot_end", "minutes", "recorded_at"), pl.String),
    fetch=fetch,
    parse=parse,
    key=("cell_id", "slot_start"),
    updated_at="recorded_at",
    told_at=("recorded_at",),
    media="csv",
    is_reference=True,
)
