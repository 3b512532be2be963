"""Cases of the investigation agency: one signed CP949 file a day, in a folder, on SFTP or in S3.

Grain: one row per version of a case. Key: 사건번호; 변경일시 (naive Korean time) orders the versions. A daily drop has
three files: `cases_YYYYMMDD.csv` with that day's changes; `cases_YYYYMMDD.manifest.json` with the day, the file's name,
row count and SHA-256; and `cases_YYYYMMDD.manifest.sig`, the base64 of the Ed25519 signature of the manifest's exact
bytes. The signature is written last. All three are stored as received and verified from the landing, so that a copy can
prove years later what the agency sent. The profile holds the agency's public key.

Pitfalls: CP949; a day without changes has a file with only the header, so a missing file is an error and not a day
without data; the location of a case is withheld, only its province is known; a withdrawn case has 삭제여부 Y.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipelines.config.profile import FeedSource
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.feeds.protocols import file_drop
from pipelines.feeds.protocols.windows import deliveries
from pipelines.schema.delivery import Delivery

ZONE = ZoneInfo("Asia/Seoul")
"""The agency's days are Korean days, in whatever time zone this code runs."""

_SIGNATURE = re.compile(rb"[A-Za-z0-9+/]{86}==\s*")
_NEXT = "nothing of the delivery is loaded; ask the agency to send that day's delivery again; the next run reads it"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    rows: int
    sha256: str


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    agency: str
    date: date
    files: list[_File]


class _Drop(NamedTuple):
    content: bytes
    manifest: bytes
    signature: bytes


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the drops of the days that end in the request's window; yield one delivery per chunk of the window.

    A missing manifest or signature is skipped here: the delivery is stored without it, and `verify` rejects it.

    Raises:
        FeedError: The profile has no key, or a day's file is missing.
    """
    _key(request.source)
    system, folder = file_drop.opened(request.url)

    def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
        return tuple(
            file_drop.read(system, folder, f"cases_{day:%Y%m%d}{ending}")
            for day in _days(start, end)
            for ending in (".csv", ".manifest.json", ".manifest.sig")
            if ending == ".csv" or system.exists(f"{folder}/cases_{day:%Y%m%d}{ending}")
        )

    return deliveries(request, read)


def verify(parts: Sequence[bytes], source: FeedSource, start: datetime | None, end: datetime) -> None:
    """Verify a delivery's manifests, their signatures, and that the drops cover the days of the window.

    Raises:
        FeedError: A delivery is unsigned, signed by another key, altered, of another day, repeated or missing.
    """
    key = _key(source)
    days = _days(start or end, end)
    drops = _drops(parts, days)
    if len(drops) != len(days):
        raise FeedError(f"{len(drops)} drops received for {len(days)} days ({_span(days)}): {_NEXT}")
    for day, drop in zip(days, drops, strict=True):
        _verify_drop(drop, day, key)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the rows of all case files as text; manifests and signatures contain no rows."""
    return file_drop.rows([part for part in parts if _kind(part) == "file"])


def _days(start: datetime, end: datetime) -> list[date]:
    """Return the local days that end in (start, end]."""
    first = start.astimezone(ZONE).date() - timedelta(days=1)
    near = [first + timedelta(days=n) for n in range((end - start).days + 3)]
    return [day for day in near if start < datetime.combine(day + timedelta(days=1), time(), ZONE) <= end]


def _span(days: Sequence[date]) -> str:
    return f"{days[0]} to {days[-1]}" if days else "no day ends in the window"


def _kind(part: bytes) -> str:
    if part.startswith(b"{"):
        return "manifest"
    return "signature" if _SIGNATURE.fullmatch(part) else "file"


def _drops(parts: Sequence[bytes], days: Sequence[date]) -> list[_Drop]:
    kinds = [_kind(part) for part in parts]
    for number in range(0, len(parts), 3):
        if kinds[number : number + 3] != ["file", "manifest", "signature"]:
            day = f"{days[number // 3]}" if number // 3 < len(days) else "a day after the window"
            raise FeedError(
                f"the delivery of {day} is unsigned: expected a file, its manifest and its signature, received "
                f"{', '.join(kinds[number : number + 3])}; {_NEXT}"
            )
    return [_Drop(*parts[number : number + 3]) for number in range(0, len(parts), 3)]


def _verify_drop(drop: _Drop, day: date, key: Ed25519PublicKey) -> None:
    name = f"cases_{day:%Y%m%d}.csv"
    try:
        key.verify(base64.b64decode(drop.signature), drop.manifest)
    except InvalidSignature:
        raise FeedError(
            f"the manifest of {name} does not have a valid signature of the agency: it was altered, or signed with a "
            "key "
            f"other than the profile's public_key; {_NEXT}"
        ) from None
    try:
        manifest = msgspec.json.decode(drop.manifest, type=_Manifest)
    except msgspec.DecodeError as error:
        raise FeedError(
            f"the manifest of {name} does not have the agreed format ({error}): ask the agency what changed"
        ) from error
    if manifest.agency != FEED.agency or manifest.date != day or [file.name for file in manifest.files] != [name]:
        raise FeedError(
            f"expected {name}, but received a delivery signed for {manifest.agency}, {manifest.date}, "
            f"{[file.name for file in manifest.files]}: an old one sent again, or one under a wrong name; {_NEXT}"
        )
    (listed,) = manifest.files
    if hashlib.sha256(drop.content).hexdigest() != listed.sha256.lower():
        raise FeedError(f"{name} differs from the signed file: its SHA-256 differs; {_NEXT}")
    if (rows := file_drop.rows([drop.content]).height) != listed.rows:
        raise FeedError(f"{name} has {rows} rows but its manifest states {listed.rows}; {_NEXT}")


def _key(source: FeedSource) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(source.public_key or "", validate=True))
    except (binascii.Error, ValueError) as error:
        raise FeedError(
            "drops of this feed are signed, and the profile has no valid key to verify them: set public_key to the "
            "agency's raw Ed25519 key in base64"
        ) from error


FEED = Feed(
    name="investigation_cases",
    agency="investigation",
    load_type="keyed",
    columns=dict.fromkeys(
        ("사건번호", "접수일", "범죄분류", "시도코드", "시도명", "진행상태", "삭제여부", "변경일시"), pl.String
    ),
    fetch=fetch,
    parse=parse,
    key=("사건번호",),
    updated_at="변경일시",
    timestamp_columns=("변경일시", "접수일"),
    content_type="csv",
    encoding=file_drop.ENCODING,
    inspect=verify,
)
