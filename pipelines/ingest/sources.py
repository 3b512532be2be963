"""Sources: where the URL of a feed leads. A scheme of its own is opened by the package that registers it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import entry_points

from pipelines.config.settings import Settings

GROUP = "bongsu.sources"
"""Entry points by URL scheme: a context manager of ``(settings, feed, windows)`` that yields URL and key."""

Window = tuple[datetime | None, datetime]
"""Start and end (UTC) of what is requested; without a start for a snapshot."""


@contextmanager
def opened(settings: Settings, feed: str, windows: Sequence[Window]) -> Iterator[tuple[str, str | None]]:
    """The URL and key of a feed, for as long as it is read."""
    url = settings.feed_url(feed)
    registered = entry_points(group=GROUP, name=url.partition(":")[0])
    if not registered:
        yield url, settings.secret(feed)
        return
    (source,) = registered
    with source.load()(settings, feed, windows) as location:
        yield location
