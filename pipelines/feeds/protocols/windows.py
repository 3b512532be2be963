"""Windows of keyed feeds: a request cut into pieces that a source answers in one go and a delivery can hold."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from pipelines.feeds.feed import FeedError, Request, TooLarge
from pipelines.schema.delivery import Delivery


def deliveries(request: Request, read: Callable[[datetime, datetime], tuple[bytes, ...]]) -> Iterator[Delivery]:
    """One delivery per piece of the request's window, oldest first; a piece with too many rows is halved.

    Args:
        request: What is asked for.
        read: The parts of a half-open window in UTC.

    Raises:
        TooLarge: a single second holds more rows than one delivery may.
        FeedError: the request has no start, which only snapshots may lack, or ``read`` fails.
    """
    waiting = list(windows(request))[::-1]
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
