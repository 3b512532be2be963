"""Fetch: download new data from a feed and store it, encrypted."""

from pipelines import feeds
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.ingest import fetch as ingest
from pipelines.monitoring import run_log


def feed_names(settings: Settings) -> list[str]:
    """The feeds of the profile, in order."""
    return [feed.name for feed in feeds.of(settings.profile)]


def fetch(settings: Settings, feed: str, progress: Progress = silent) -> int:
    """Download everything of a feed up to ``as_of`` into landing; returns the number of deliveries.

    A feed already fetched through ``as_of`` is not requested again.
    """
    with run_log.recorded(settings, "fetch", feed):
        return len(ingest.fetch(settings, feeds.named(settings.profile, feed), progress))
