"""Cases of the investigation agency: one CP949 file a day in a folder, `cases_YYYYMMDD.csv`, with that day's changes.

Grain: one row per version of a case. Key: 사건번호; 변경일시 (naive Korean time) orders the versions.
Traps: CP949; a day without changes has a file with the header alone, so a missing file is a fault and not a quiet
day; the place of a case is withheld, only its province is known; a withdrawn case comes with 삭제여부 Y.
"""

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

import fsspec
import polars as pl

from pipelines.feeds.feed import Delivery, Feed, FeedError, Request
from pipelines.feeds.windows import windows

ENCODING = "cp949"


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the files of the days that end inside the request's window, one delivery per piece of it."""
    system, folder = fsspec.core.url_to_fs(request.url)
    system.invalidate_cache()
    for start, end in windows(request):
        zone = request.profile.zone
        first = start.astimezone(zone).date() - timedelta(days=1)
        days = [first + timedelta(days=n) for n in range((end - start).days + 3)]
        names = [
            f"cases_{day:%Y%m%d}.csv" for day in days if start < datetime.combine(_following(day), time(), zone) <= end
        ]
        yield Delivery(tuple(_read(system, folder, name) for name in names), start, end)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """The rows of all files, as text."""
    found = [pl.read_csv(io.BytesIO(part.decode(ENCODING).encode()), infer_schema=False) for part in parts]
    return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()


def _following(day: date) -> date:
    return day + timedelta(days=1)


def _read(system: fsspec.AbstractFileSystem, folder: str, name: str) -> bytes:
    path = f"{folder.rstrip('/')}/{name}"
    try:
        content: bytes = system.cat_file(path)
    except OSError as error:
        raise FeedError(
            f"{path} cannot be read ({type(error).__name__}): the agency has not dropped this day's file, or the "
            "folder is not mounted; when it is there, the next run reads it"
        ) from error
    return content


FEED = Feed(
    name="investigation_cases",
    agency="investigation",
    kind="keyed",
    columns=dict.fromkeys(
        ("사건번호", "접수일", "범죄분류", "시도코드", "시도명", "진행상태", "삭제여부", "변경일시"), pl.String
    ),
    fetch=fetch,
    parse=parse,
    key=("사건번호",),
    updated_at="변경일시",
    withdrawn="삭제여부",
)
