"""Answers that are a bare JSON list of rows, sent by SODA and data.police.uk."""

from typing import Any

import orjson

from pipelines.feeds.feed import FeedError

__all__ = ["decode"]

_BOM = b"\xef\xbb\xbf"


def decode(body: bytes, where: str) -> list[dict[str, Any]]:
    """Read a JSON list of objects.

    Raises:
        FeedError: The body is not JSON or not such a list; the message shows `where` and how the body begins.
    """
    try:
        rows = orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        raise FeedError(f"{where}: expected JSON, but the answer begins {body[:80]!r} ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FeedError(
            f"{where}: expected a list of rows, but the answer begins {body[:80]!r}: check url and resource of the "
            "feed in the profile"
        )
    return rows
