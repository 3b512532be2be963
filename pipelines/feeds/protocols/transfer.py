"""Transfer: an HTTP body received chunk by chunk, unpacked under limits of size, ratio and time.

httpx would unpack whole chunks at once, whatever their unpacked size, and accepts a compressed body that ends too early
as complete, so the raw chunks are unpacked here.
"""

import time
import zlib
from typing import Final

import httpx

from pipelines.feeds.feed import FeedError

__all__ = ["PACKING", "CutOff", "receive"]

PACKING: Final = "gzip"
"""The only compression requested: a zstd or brotli bomb unpacks before its size can be checked."""

MAX_BYTES = 256 * 1024 * 1024
MAX_RATIO = 100
"""A compressed body may unpack to this many times its size: exports of records reach 30."""

FLOOR_BYTES = 1024 * 1024
"""Below this unpacked size, the ratio is not checked."""

_OTHER_MEDIA = ("image/", "audio/", "video/", "font/", "application/pdf", "application/zip", "application/gzip")


class CutOff(Exception):
    """The body ended too early, came too slowly or is corrupt; a retry may succeed."""


def receive(response: httpx.Response, deadline: float, where: str, *, is_text: bool = True) -> bytes:
    """Return the whole body of a streamed answer, unpacked.

    Args:
        response: Of `httpx.Client.stream`, its body not yet read.
        deadline: On the monotonic clock: a server that trickles bytes cannot block a run forever.
        where: Source named in messages.
        is_text: Whether records are expected, and not any file.

    Raises:
        CutOff: The failure may be temporary.
        FeedError: The body is too large, a bomb, compressed in an unrequested way, or not text.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if is_text and kind.startswith(_OTHER_MEDIA):
        raise FeedError(f"{where} returned {kind} instead of records: correct the feed's url in the profile")
    packing = response.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise FeedError(
            f"{where} compressed its answer as {packing!r}, which was not requested: ask the source for gzip"
        )
    if int(response.headers.get("content-length", "0")) > MAX_BYTES:
        raise _too_large(where)
    return _plain(response, deadline, where) if packing in ("", "identity") else _unpacked(response, deadline, where)


def _plain(response: httpx.Response, deadline: float, where: str) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_raw():
        size += len(piece)
        if size > MAX_BYTES:
            raise _too_large(where)
        _hold_to(deadline)
        pieces.append(piece)
    return b"".join(pieces)


def _unpacked(response: httpx.Response, deadline: float, where: str) -> bytes:
    gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    pieces: list[bytes] = []
    received = size = 0
    try:
        for raw in response.iter_raw():
            received += len(raw)
            allowed = min(MAX_BYTES, FLOOR_BYTES + MAX_RATIO * received)
            piece = gzip.decompress(raw, allowed + 1 - size)
            size += len(piece)
            if size > MAX_BYTES:
                raise _too_large(where)
            if size > allowed:
                raise FeedError(
                    f"{where}: {received:,} bytes unpack to more than {MAX_RATIO} times as much: no export of records "
                    "does; ask the source what it sent"
                )
            _hold_to(deadline)
            pieces.append(piece)
    except zlib.error as error:
        raise CutOff(f"the compressed answer is broken: {error}") from None
    if not gzip.eof or gzip.unused_data:
        raise CutOff("the compressed answer is truncated or continues after its end")
    return b"".join(pieces)


def _hold_to(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise CutOff("the answer exceeded the time limit")


def _too_large(where: str) -> FeedError:
    return FeedError(f"{where} sent more than {MAX_BYTES:,} bytes at once: lower page_size of the feed in the profile")
