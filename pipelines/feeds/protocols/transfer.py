"""Transfer: an HTTP body received piece by piece, unpacked under caps of size, ratio and time.

httpx would unpack whole pieces at once, whatever they grow to, and takes a compressed body that ends too early for a
complete one; so the raw pieces are unpacked here.
"""

import time
import zlib
from typing import Final

import httpx

from pipelines.feeds.feed import FeedError

__all__ = ["PACKING", "CutOff", "receive"]

PACKING: Final = "gzip"
"""The only compression asked for: a zstd or brotli bomb is open before anybody can count it."""

MAX_BYTES = 256 * 1024 * 1024
MAX_RATIO = 100
"""A compressed body may unpack to this many times its size: exports of records reach 30."""

FLOOR_BYTES = 1024 * 1024
"""Below this much, unpacked, the ratio is nobody's concern."""

_OTHER_MEDIA = ("image/", "audio/", "video/", "font/", "application/pdf", "application/zip", "application/gzip")


class CutOff(Exception):
    """The body ended too early, came too slowly or is broken: it may come whole the next time."""


def receive(response: httpx.Response, deadline: float, where: str) -> bytes:
    """The whole body of a streamed answer, unpacked.

    Args:
        response: of `httpx.Client.stream`, its body not yet read.
        deadline: on the monotonic clock: a server that trickles bytes cannot hold a run for ever.
        where: what messages name.

    Raises:
        CutOff: what failed may pass.
        FeedError: the body is too large, a bomb, packed in a way that was not asked for, or no text at all.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(_OTHER_MEDIA):
        raise FeedError(f"{where} answers with {kind}, not with records: correct the feed's url in the profile")
    packing = response.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise FeedError(f"{where} packs its answer as {packing!r}, which was not asked for: ask the source for gzip")
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
        raise CutOff("the compressed answer is cut off or goes on after its end")
    return b"".join(pieces)


def _hold_to(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise CutOff("the answer came so slowly that it was given up")


def _too_large(where: str) -> FeedError:
    return FeedError(f"{where} sends more than {MAX_BYTES:,} bytes at once: lower page_size of the feed in the profile")
