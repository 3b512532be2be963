"""Windows of keyed feeds: a request split into chunks that a source can answer and a delivery can hold."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from pipelines.feeds.feed import FeedError, Request, TooLarge
from pipelines.schema.delivery import Delivery


def deliveries(request: Request, read: Callable[[datetime, datetime], tuple[bytes, ...]]) -> Iterator[Delivery]:
    """Yield one delivery per chunk of the request's window, oldest first; a chunk with too many rows is halved.

    Args:
        request: The request.
        read: Returns the parts of a half-open window in UTC.

    Raises:
        TooLarge: A single second has more rows than one delivery may hold.
        FeedError: The request has no start, which only snapshots may omit, or ``read`` fails.
    """
    waiting = list(windows(request))[::-1]
    if request.first_page:
        waiting = waiting[:1]
    while waiting:
        start, end = waiting.pop()
        try:
            parts = read(start, end)
        except TooLarge:
            middle = start + timedelta(seconds=(end - start) // timedelta(seconds=2))
            if middle == start:
                raise
            waiting += [(middle, end), (start, middle)]
        else:
            yield Delivery(parts, start, end)
            if request.first_page:
                return


def windows(request: Request) -> Iterator[tuple[datetime, datetime]]:
    """Yield the request's window in half-open chunks of at most ``window_days``, oldest first, in UTC.

    Instants are truncated to whole seconds, the resolution of the sources.

    Raises:
        FeedError: The request has no start, which only snapshots may omit.
    """
    if request.window_start is None:
        raise FeedError("a keyed feed needs the start of its window: set --from, or use the stored cursor")
    start, end = (at.astimezone(UTC).replace(microsecond=0) for at in (request.window_start, request.window_end))
    longest = timedelta(days=request.source.window_days) if request.source.window_days else end - start
    while start < end:
        piece = min(start + longest, end)
        yield start, piece
        start = piece
