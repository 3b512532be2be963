"""Open the URL of a feed. A special scheme is opened by the package that registers it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import entry_points

from pipelines.config.settings import Settings

GROUP = "bongsu.sources"
"""Entry points by URL scheme: a context manager of ``(settings, feed, windows)`` that yields URL and key."""

Window = tuple[datetime | None, datetime]
"""Start and end (UTC) of a request; without a start for a snapshot."""


@contextmanager
def opened(settings: Settings, feed: str, windows: Sequence[Window]) -> Iterator[tuple[str, str | None]]:
    """Yield the URL and key of a feed while it is read."""
    url = settings.feed_url(feed)
    registered = entry_points(group=GROUP, name=url.partition(":")[0])
    if not registered:
        yield url, settings.secret(feed)
        return
    (source,) = registered
    with source.load()(settings, feed, windows) as location:
        yield location
