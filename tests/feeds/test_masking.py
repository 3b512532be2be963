"""A feed's key is never in a message, however the source writes it and wherever the message cuts it."""

import traceback
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from pipelines.feeds import police_112
from pipelines.feeds.feed import FeedError, Request, TooLarge
from pipelines.feeds.masking import masked
from pipelines.schema.delivery import Delivery
from tests.feeds.korea import request

KEY = "kQ7/x+Zp3==vT9(1)"


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY),
        KEY.replace("/", "\\/"),
        KEY.replace("/", "\\\\/"),
        KEY.replace("=", "\\u003d").replace("+", "\\u002B"),
        KEY.replace("+", "&#43;").replace("/", "&#x2F;"),
    ],
)
@pytest.mark.parametrize("given", [KEY, quote(KEY, safe="")], ids=["plain", "quoted"])
def test_a_key_is_masked_in_every_encoding(written: str, given: str) -> None:
    assert masked(f"unknown key {written}: ask", given) == "unknown key …: ask"


def test_a_key_that_is_cut_at_either_end_is_masked_and_nothing_else() -> None:
    assert masked(f"begins '{KEY[:12]}' ends '{KEY[5:]}'", KEY) == "begins '…' ends '…'"
    assert masked("status 503 at row 7", KEY) == masked("status 503 at row 7", None) == "status 503 at row 7"


def test_no_feed_error_or_its_cause_shows_the_key() -> None:
    def fetch(request: Request) -> Iterator[Delivery]:
        try:
            raise ValueError(f"not JSON: {KEY}")
        except ValueError as error:
            raise TooLarge(f"http://police: the answer begins {KEY}", 7) from error
        yield

    feed = replace(police_112.FEED, fetch=fetch)
    wanted = request("police_112", "http://police", "2025-11-01T00:00+00:00", "2025-11-02T00:00+00:00", KEY)
    with pytest.raises(FeedError, match=r"the answer begins …$") as caught:
        list(feed.fetch(wanted))
    assert isinstance(caught.value, TooLarge) and caught.value.total == 7
    assert KEY not in "".join(traceback.format_exception(caught.value))
