"""Windows of keyed feeds: a request cut into pieces that a source answers in one go."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pipelines.feeds.feed import FeedError, Request


def windows(request: Request) -> Iterator[tuple[datetime, datetime]]:
    """The request's window in half-open pieces of at most ``window_days``, oldest first, in UTC.

    Instants are cut to whole seconds: sources here write no finer ones.

    Raises:
        FeedError: the request has no start, which only snapshots may lack.
    """
    if request.window_start is None:
        raise FeedError("a keyed feed needs the start of its window: give --from, or let the cursor decide")
    start, end = (at.astimezone(UTC).replace(microsecond=0) for at in (request.window_start, request.window_end))
    longest = timedelta(days=request.source.window_days) if request.source.window_days else end - start
    while start < end:
        piece = min(start + longest, end)
        yield start, piece
        start = piece
