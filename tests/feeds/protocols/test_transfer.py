"""Answers larger than allowed end while they are read, packed or plain, whatever they declare."""

import zlib

import httpx
import pytest

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import transfer


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 1000)


def received(body: bytes, headers: dict[str, str]) -> bytes:
    response = httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))
    return transfer.receive(response, float("inf"), "calls")


def gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize("size", [1000, 1001])
@pytest.mark.parametrize("packing", ["identity", "gzip"])
def test_a_body_is_read_up_to_the_limit_and_not_beyond(size: int, packing: str) -> None:
    body = bytes(range(250)) * 4 + b"x" * (size - 1000)
    sent, headers = (gzipped(body) if packing == "gzip" else body), {"content-encoding": packing}
    if size > 1000:
        with pytest.raises(FeedError, match="calls"):
            received(sent, headers)
    else:
        assert received(sent, headers) == body


def test_a_body_that_declares_too_much_is_not_read_at_all() -> None:
    with pytest.raises(FeedError, match="calls"):
        received(b"", {"content-length": "1001"})
